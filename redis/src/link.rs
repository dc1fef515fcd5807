//! One connection and what is on its way over it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mainstay_core::{Clock, Moment};
use redis::{Value, cmd};

pub(crate) use crate::greeting::Identity;
use crate::{
    error::Cause,
    greeting::{Greeting, Told},
    job::{Answer, Job},
    place::{Found, Place},
    router::Router,
    server::{Name, Primary},
    socket::Socket,
};

/// One connection and what is on its way over it, oldest first.
pub(crate) struct Link {
    socket: Socket,
    name: Name,
    primary: Arc<Primary>,
    identity: Option<Identity>,
    in_flight: VecDeque<Batch>,
}

/// Commands that were written together.
pub(crate) struct Batch {
    /// Those that must be sent again are needed again.
    pub(crate) jobs: Vec<Job>,
    /// What came back so far.
    pub(crate) answers: Vec<Value>,
    /// How many calls it is, those that were joined counted each.
    calls: usize,
    pub(crate) written: Moment,
}

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
pub(crate) const ENOUGH: usize = 16;

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
        let named = |cause: Cause| cause.of(server.name().text());
        let mut socket = server.connect(router.clone()).await.map_err(named)?;
        let before = before.filter(|before| before.server == *server.name());
        let greeting = Greeting::new(place, &server, before.as_ref(), router.channels());
        let told = greeting.exchange(&mut socket, &server, epoch).await.map_err(named)?;
        let name = server.name().clone();
        let Told { identity, primary } = told;
        Ok(Self { socket, name, identity, primary, in_flight: VecDeque::new() })
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

    /// Puts a batch of so many calls behind those that are on their way.
    pub(crate) async fn write(&mut self, jobs: Vec<Job>, calls: usize, clock: &Clock) {
        let written = clock.now();
        let mut batch = Batch {
            answers: Vec::with_capacity(jobs.len()),
            jobs: Vec::with_capacity(jobs.len()),
            calls,
            written,
        };
        for job in jobs {
            if job.ticket.asking {
                batch.put(
                    &mut self.socket,
                    Job::new(cmd("ASKING"), None, Answer::Nobody, Moment::NEVER),
                );
            }
            batch.put(&mut self.socket, job);
        }
        self.in_flight.push_back(batch);
        // What cannot be written at once is while answers are waited for.
        poll_fn(|cx| {
            self.socket.flush(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Waits for the answers to the oldest batch, or for why there will be none.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn answered(&mut self) -> Result<Batch, Cause> {
        poll_fn(|cx| self.poll_answered(cx)).await
    }

    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<Result<Batch, Cause>> {
        loop {
            let answer = ready!(self.socket.poll(cx))?;
            let Some(oldest) = self.in_flight.front_mut() else {
                return Poll::Ready(Err(Cause::new(
                    "the server answered without having been asked",
                )));
            };
            oldest.answers.push(answer);
            if oldest.answers.len() == oldest.jobs.len()
                && let Some(batch) = self.in_flight.pop_front()
            {
                return Poll::Ready(Ok(batch));
            }
        }
    }
}

impl Batch {
    fn put(&mut self, socket: &mut Socket, job: Job) {
        socket.put(&job.command);
        self.jobs.push(job);
    }
}
