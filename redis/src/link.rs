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

use crate::{
    error::Cause,
    job::{Job, Ticket},
    router::Router,
    server::Server,
};

/// One connection and what is on its way over it, oldest first.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    gone: Arc<Notify>,
    identity: Option<Identity>,
    in_flight: VecDeque<Batch>,
}

/// What the server calls a connection; enough to close it from another one.
#[derive(Clone)]
pub(crate) struct Identity {
    id: u64,
    addr: String,
}

/// Commands that were written together.
pub(crate) struct Batch {
    answers: Pin<Box<dyn Future<Output = Answers> + Send>>,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) written: Moment,
}

/// The commands, for those that must be sent again, and what the server said.
pub(crate) type Answers = (Pipeline, RedisResult<Vec<Value>>);

/// Commands written together at most.
pub(crate) const BATCH: usize = 128;

/// Batches on their way at once: one is answered while the next one travels. More would only make
/// them smaller.
const WINDOW: usize = 4;

impl Link {
    /// Connects, closes the connection before at the server, and subscribes to every channel.
    pub(crate) async fn open(
        server: &Server,
        router: &Arc<Router>,
        before: Option<Identity>,
    ) -> Result<Self, Cause> {
        let gone = Arc::new(Notify::new());
        let (notify, pushes) = (gone.clone(), router.clone());
        let mut connection = server
            .connect(move |push| match push.kind {
                PushKind::Disconnection => notify.notify_one(),
                _ => pushes.deliver(push),
            })
            .await?;
        let mut greeting = Pipeline::new();
        greeting.cmd("CLIENT").arg("INFO");
        if let Some(before) = &before {
            // What that connection still carries must not be done after what this one will carry. Both
            // are named: a server that restarted gives numbers out again.
            let kill = greeting.cmd("CLIENT").arg("KILL").arg("ID").arg(before.id);
            kill.arg("ADDR").arg(&before.addr);
        }
        let first_channel = greeting.len();
        let channels = router.channels();
        for channel in &channels {
            greeting.cmd("SUBSCRIBE").arg(&**channel);
        }
        let count = greeting.len();
        let answers = connection.send_packed_commands(&greeting, 0, count).await;
        let answers = answers.map_err(Cause::new)?;
        for (index, answer) in answers.iter().enumerate() {
            let Value::ServerError(error) = answer else { continue };
            let channel = index.checked_sub(first_channel).and_then(|at| channels.get(at));
            tracing::warn!(
                ?server,
                channel = channel.map(|channel| &**channel),
                code = error.code(),
                "a greeting was refused: order across connections or pushes are not assured"
            );
        }
        let identity = answers.into_iter().next().and_then(Identity::read);
        Ok(Self { connection, gone, identity, in_flight: VecDeque::new() })
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < WINDOW
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(crate) fn in_flight(&mut self) -> &mut VecDeque<Batch> {
        &mut self.in_flight
    }

    /// Hands a batch to the driver.
    pub(crate) async fn write(&mut self, jobs: Vec<Job>, clock: &Clock) {
        let (mut pipeline, mut tickets) = (Pipeline::new(), Vec::new());
        for job in jobs {
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
        self.in_flight.push_back(Batch { answers, tickets, written });
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

impl Identity {
    fn read(info: Value) -> Option<Self> {
        let info: String = redis::from_redis_value(info).ok()?;
        let field = |name: &str| {
            info.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        Some(Self { id: field("id")?.parse().ok()?, addr: field("addr")?.to_owned() })
    }
}
