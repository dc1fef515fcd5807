//! One connection and what is on its way over it.

use std::{
    collections::VecDeque,
    future::{poll_fn, ready},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use mainstay_core::{Clock, Moment};
use redis::{Pipeline, PushKind, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{sync::Notify, task::unconstrained};

pub(crate) use crate::greeting::Identity;
use crate::{
    error::Cause,
    greeting::{Greeting, Told},
    job::{Answer, Job, Ticket},
    place::{Found, Place},
    router::Router,
    server::{Name, Primary},
};

/// One connection and what is on its way over it, oldest first.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    gone: Arc<Notify>,
    name: Name,
    primary: Arc<Primary>,
    identity: Option<Identity>,
    in_flight: VecDeque<Batch>,
}

/// Commands that were written together.
pub(crate) struct Batch {
    answers: Pin<Box<dyn Future<Output = Answers> + Send>>,
    pub(crate) tickets: Vec<Ticket>,
    /// How many calls it is, those that were joined counted each.
    calls: usize,
    pub(crate) written: Moment,
}

/// The commands, for those that must be sent again, and what the server said.
pub(crate) type Answers = (Pipeline, RedisResult<Vec<Value>>);

/// Commands taken together at most.
pub(crate) const BATCH: usize = 128;

/// Batches on their way at once: one is answered while the next one travels. More would only make
/// them smaller, and small ones cost the server and us more a call.
const WINDOW: usize = 2;

/// As many are on their way at once where that makes them no smaller than they should be, or where so little is on
/// its way that whoever calls next had better not wait.
const DEEP_WINDOW: usize = 8;

/// A batch of so many calls gains little by more: what is over makes the next one, so that we encode and decode while
/// the server works.
pub(crate) const ENOUGH: usize = 32;

/// Fewer calls on their way are few.
const FEW: usize = 16;

impl Link {
    /// Connects, closes the connection before at the server, and subscribes to every channel.
    pub(crate) async fn open(
        place: &Place,
        router: &Arc<Router>,
        before: Option<Identity>,
    ) -> Result<Self, Cause> {
        let Found { server, epoch } = place.find().await?;
        let gone = Arc::new(Notify::new());
        let (notify, pushes) = (gone.clone(), router.clone());
        let mut connection = server
            .connect(move |push| match push.kind {
                PushKind::Disconnection => notify.notify_one(),
                _ => pushes.deliver(push),
            })
            .await
            .map_err(|cause| cause.of(server.name().text()))?;
        let before = before.filter(|before| before.server == *server.name());
        let greeting = Greeting::new(place, before.as_ref(), router.channels());
        let told = greeting.exchange(&mut connection, &server, epoch).await?;
        let name = server.name().clone();
        let Told { identity, primary } = told;
        Ok(Self { connection, gone, name, identity, primary, in_flight: VecDeque::new() })
    }

    /// The server's name.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Which server it is, this time.
    pub(crate) fn primary(&self) -> &Arc<Primary> {
        &self.primary
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Whether to write a batch of so many calls now.
    pub(crate) fn has_room(&self, calls: usize) -> bool {
        let batches = self.in_flight.len();
        batches < WINDOW
            || batches < DEEP_WINDOW && (calls >= ENOUGH || self.calls_in_flight() < FEW)
    }

    fn calls_in_flight(&self) -> usize {
        self.in_flight.iter().map(|batch| batch.calls).sum()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(crate) fn in_flight(&mut self) -> &mut VecDeque<Batch> {
        &mut self.in_flight
    }

    /// Hands a batch of so many calls to the driver.
    pub(crate) async fn write(&mut self, jobs: Vec<Job>, calls: usize, clock: &Clock) {
        let (mut pipeline, mut tickets) = (Pipeline::new(), Vec::new());
        for job in jobs {
            if job.ticket.asking {
                pipeline.cmd("ASKING");
                tickets.push(Ticket::new(None, Answer::Nobody, Moment::NEVER));
            }
            pipeline.add_command(job.command);
            tickets.push(job.ticket);
        }
        let mut connection = self.connection.clone();
        let written = clock.now();
        // Polled once here, it is in the driver's queue, which is longer than the window: so batches are
        // written in this order although only the oldest is polled later.
        let answers = async move {
            let count = pipeline.len();
            let answers = connection.send_packed_commands(&pipeline, 0, count).await;
            (pipeline, answers)
        };
        let mut answers: Pin<Box<dyn Future<Output = Answers> + Send>> =
            Box::pin(unconstrained(answers));
        let early = poll_fn(|cx| Poll::Ready(answers.as_mut().poll(cx))).await;
        if let Poll::Ready(early) = early {
            answers = Box::pin(ready(early));
        }
        self.in_flight.push_back(Batch { answers, tickets, calls, written });
    }

    /// Waits for the answers to the oldest batch. `None` when the connection is gone.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn answered(&mut self) -> Option<(Batch, Answers)> {
        let Some(oldest) = self.in_flight.front_mut() else {
            self.gone.notified().await;
            return None;
        };
        let answers = oldest.answers.as_mut().await;
        self.in_flight.pop_front().map(|batch| (batch, answers))
    }
}
