//! Recovery without user traffic: a task asks whether the other side is back.
//!
//! The prober takes trial permits like a caller, one after the other. Callers leave them to it, unless
//! it is long overdue: its runtime may be gone, and nothing may keep a breaker open for ever.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use mainstay_core::{Clock, Outcome};

use crate::{
    State,
    group::{Probe, ProbeFuture},
    inner::{Inner, Ticket},
    machine::{Admission, Who},
    observe::Event,
    spawn,
};

enum Next {
    Wait(Duration),
    Probe(Ticket, ProbeFuture, Duration),
    Stop,
}

impl Inner {
    /// Starts a prober, if there is a probe, after the breaker opened.
    pub(crate) fn start_probing(self: &Arc<Self>, from: State) {
        let Some(probe) = &self.group.probe else { return };
        let (policy, now) = (self.group.policy(), self.group.coarse_millis());
        self.gate.update(&policy.recovery, |books| {
            let rest = books.rest();
            if rest.machine.word().state() != State::Open {
                return;
            }
            let alive = rest.prober.as_ref().is_some_and(|task| !task.is_finished());
            // Half-open => open is the prober's own doing: it goes on.
            if !(alive && from == State::HalfOpen) {
                rest.prober.take().inspect(|task| task.abort());
                let task = run(Arc::downgrade(self), self.group.clock.clone(), probe.clone());
                rest.prober = spawn::detached(task);
            }
            rest.machine.set_probed(now, rest.prober.is_some());
        });
    }

    fn next_probe(self: &Arc<Self>, probe: &Probe) -> Next {
        let (policy, now) = (self.group.policy(), self.group.coarse_millis());
        let lease = Duration::from_millis(policy.recovery.lease);
        let admitted = self.change(now, &policy, |books, changes| {
            let rest = books.rest();
            let machine = &mut rest.machine;
            let due = match machine.word().state() {
                State::Open => now >= machine.until(),
                State::HalfOpen => true,
                State::Closed | State::Ramping | State::ForcedOpen | State::Disabled => {
                    rest.prober = None;
                    return Err(Next::Stop);
                }
            };
            let admission = if due {
                machine.admit(now, &policy.recovery, Who::Prober, changes)
            } else {
                Admission::Refuse
            };
            match admission {
                Admission::Trial(trial) => Ok(Ticket::new(machine.word(), now, trial)),
                Admission::Pass | Admission::Refuse => {
                    let open = machine.word().state() == State::Open;
                    let until = if open { Some(machine.until()) } else { machine.first_end() };
                    let wait = until.unwrap_or(now).saturating_sub(now).max(1);
                    Err(Next::Wait(Duration::from_millis(wait)))
                }
            }
        });
        // The user's code makes its future outside of the mutex.
        admitted.map_or_else(|next| next, |ticket| Next::Probe(ticket, probe(&self.name), lease))
    }

    fn probed(self: &Arc<Self>, ticket: Ticket, outcome: Outcome) {
        self.group.observer.tell(|| Event::Probed { name: self.name.clone(), outcome });
        // Only a success proves that the other side is back.
        let proven = if outcome == Outcome::Success { outcome } else { Outcome::Failure };
        self.finish(ticket, proven, None);
    }
}

async fn run(breaker: Weak<Inner>, clock: Clock, probe: Probe) {
    loop {
        let next = match breaker.upgrade() {
            Some(inner) => inner.next_probe(&probe),
            None => return,
        };
        match next {
            Next::Stop => return,
            Next::Wait(wait) => clock.sleep(wait).await,
            Next::Probe(ticket, future, lease) => {
                // A probe that panics has failed; the prober goes on.
                let caught = AssertUnwindSafe(future).catch_unwind();
                let outcome = match clock.timeout(lease, caught).await {
                    Ok(Ok(outcome)) => outcome,
                    Ok(Err(_panic)) => Outcome::Failure,
                    Err(_elapsed) => Outcome::Unknown,
                };
                let Some(inner) = breaker.upgrade() else { return };
                inner.probed(ticket, outcome);
            }
        }
    }
}
