//! Calls to a backend behind the seam: made at once, answered from wherever the answer comes up.

use std::{sync::Arc, time::Duration};

use mainstay_core::{Backoff, Jitter};

use crate::{
    backend::{Answer, Backend, BackendError, GivenBack, Order, Renewal, Renewed, Replier},
    engine::Ask,
    error::LockError,
    hold::{End, Hold},
    lost::LostReason,
    spawn::Spawner,
};

/// Asks for a waiter whose call has begun.
pub(crate) fn ask(backend: &Arc<dyn Backend>, hold: &Arc<Hold>, ask: Ask) {
    let (claim, hold) = (hold.claim(), hold.clone());
    let order = match ask {
        Ask::Acquire { queue } => {
            Order::Acquire { claim, queue, reply: Replier::new(hold.clone(), acquired) }
        }
        Ask::Poll => Order::Poll { claim, reply: Replier::new(hold.clone(), polled) },
    };
    submit(backend, &hold, order);
}

/// Gives back whatever a hold has.
pub(crate) fn give_back(backend: &Arc<dyn Backend>, hold: &Arc<Hold>) {
    let reply = Replier::new(hold.clone(), given_back);
    submit(backend, hold, Order::Release { claim: hold.claim(), reply });
}

/// A backend that does not take the order has it done on a task that nobody can drop.
fn submit(backend: &Arc<dyn Backend>, hold: &Arc<Hold>, order: Order) {
    if let Some(order) = backend.submit(order) {
        hold.manager().spawner().detach(carry_out(backend.clone(), order));
    }
}

async fn carry_out(backend: Arc<dyn Backend>, order: Order) {
    match order {
        Order::Acquire { claim, queue, reply } => reply.send(backend.acquire(&claim, queue).await),
        Order::Poll { claim, reply } => reply.send(backend.poll(&claim).await),
        Order::Release { claim, reply } => reply.send(backend.release(&claim).await),
    }
}

fn acquired(asked: &Arc<Hold>, answer: Result<Answer, BackendError>) {
    let Some(hold) = &still_there(asked, &answer) else { return };
    if let Err(BackendError::Failed(failure) | BackendError::Unknown(failure)) = &answer {
        // It asked for all of its line.
        for other in hold.manager().lines().disband(hold) {
            let (key, failure) = (other.key().clone(), failure.clone());
            other.refuse(LockError::Backend { key, failure });
        }
    }
    match answer {
        Ok(answer) => {
            hold.answered(answer);
        }
        Err(BackendError::Failed(failure)) => {
            hold.refuse(LockError::Backend { key: hold.key().clone(), failure });
        }
        Err(BackendError::Unknown(failure)) => {
            if hold.refuse(LockError::Unknown { key: hold.key().clone(), failure }) {
                hold.manager().engine().give_back(hold);
            }
        }
    }
    hold.nudge();
}

fn polled(asked: &Arc<Hold>, answer: Result<Answer, BackendError>) {
    let Some(hold) = &still_there(asked, &answer) else { return };
    // A poll changes nothing: without an answer ask again later.
    answer.map_or_else(|_| hold.unanswered(), |answer| _ = hold.answered(answer));
    hold.nudge();
}

/// Ends a call; whom its answer is for, unless there is nobody or the call goes on.
///
/// Whoever left while the call was on the wire left its place to another, or the clean-up to the call.
fn still_there(asked: &Arc<Hold>, answer: &Result<Answer, BackendError>) -> Option<Arc<Hold>> {
    let (lines, engine) = (asked.manager().lines(), asked.manager().engine());
    let hold = if asked.in_line() { lines.current(asked) } else { asked.clone() };
    if matches!(answer, Ok(Answer::Gone)) && hold.is_waiting() {
        // The backend forgot the queue: it stands in line again. One that was granted meanwhile must not ask:
        // if it was lost again, it would be taken anew and its guard would not notice that others were in
        // between.
        engine.ask_on(&hold, Ask::Acquire { queue: true });
        return None;
    }
    let (hold, stays) =
        if asked.in_line() { lines.end_call(asked) } else { (asked.clone(), asked.end_call()) };
    if stays {
        return Some(hold);
    }
    engine.give_back(&hold);
    None
}

fn given_back(hold: &Arc<Hold>, answer: Result<GivenBack, BackendError>) {
    match answer {
        Ok(given_back) => hold.given_back(released_or_lost(given_back)),
        Err(error) => {
            not_given_back(hold, &error);
            hold.manager().engine().give_back_later(hold);
        }
    }
}

fn not_given_back(hold: &Arc<Hold>, error: &BackendError) {
    hold.manager().observe().release_failed(hold.key(), error);
    if matches!(error, BackendError::Unknown(_)) {
        hold.doubt_release();
    }
    hold.given_back(End::Unknown);
}

/// Tries until an answer came, or the lease has ended the hold for us.
pub(crate) async fn give_back_in_the_end(backend: Arc<dyn Backend>, hold: Arc<Hold>) {
    let clock = hold.clock().clone();
    let give_up = clock.now() + hold.lease() * 2;
    let pause = Backoff::exponential(FIRST_RETRY, LAST_RETRY).jitter(Jitter::Equal);
    let mut last = Duration::ZERO;
    for attempt in 1.. {
        if clock.now() >= give_up {
            return;
        }
        last = pause.delay(attempt, last);
        clock.sleep(last).await;
        match backend.release(&hold.claim()).await {
            Ok(given_back) => return hold.given_back(released_or_lost(given_back)),
            Err(error) => not_given_back(&hold, &error),
        }
    }
}

pub(crate) fn released_or_lost(given_back: GivenBack) -> End {
    match given_back {
        GivenBack::Released => End::Released,
        GivenBack::NotHeld => End::Lost(LostReason::TakenOver),
    }
}

/// Renews at most [`MAX_BATCH`](crate::backend::MAX_BATCH) leases.
pub(crate) async fn renew(backend: Arc<dyn Backend>, holds: Vec<Arc<Hold>>) {
    let Some(first) = holds.first() else { return };
    let sent = first.clock().now();
    let renewal = |hold: &Arc<Hold>| Renewal::new(hold.claim(), hold.lease());
    let batch: Vec<_> = holds.iter().map(renewal).collect();
    match backend.renew(&batch).await {
        Ok(results) => {
            for (renewal, result) in batch.iter().zip(results) {
                match result {
                    Renewed::Renewed => _ = renewal.claim.hold().renewed(sent, renewal.lease),
                    Renewed::NotHeld => renewal.claim.hold().lose_on_wire(&LostReason::TakenOver),
                    Renewed::Unanswered => renewal.claim.hold().renewal_failed(),
                }
            }
        }
        Err(error) => {
            first.manager().observe().renewal_failed(holds.len(), &error);
            holds.iter().for_each(|hold| hold.renewal_failed());
        }
    }
}

/// Waits for a call that goes on if nobody waits for it any more.
pub(crate) async fn drive<T: Send + 'static>(
    spawner: &Spawner,
    call: impl Future<Output = Result<T, BackendError>> + Send + 'static,
) -> Result<T, BackendError> {
    match spawner.detach(call) {
        Some(task) => task.await.unwrap_or_else(|error| Err(BackendError::unknown(error))),
        None => Err(BackendError::failed("there is no tokio runtime to make the call on")),
    }
}

const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_secs(1);
