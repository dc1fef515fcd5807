//! A queue of commands, and the task that works it off.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use mainstay_core::Clock;
use tokio::sync::mpsc;

use crate::{
    actor::Actor,
    cluster::Cluster,
    config::RedisConfig,
    error::{Cause, RedisError},
    job::Job,
    place::Place,
    router::Router,
    spawn,
};

/// A queue of commands, and the task that works it off over one connection.
pub(crate) struct Lane {
    pub(crate) place: Place,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<RedisConfig>,
    pub(crate) router: Arc<Router>,
    /// Who is told of commands that belong to another node.
    pub(crate) cluster: Option<Weak<Cluster>>,
    // The actor ends with its runtime; the next command starts another on the caller's.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
}

/// A command that found no place in the queue, and why.
pub(crate) type Rejected = Box<(RedisError, Job)>;

impl Lane {
    pub(crate) fn new(
        place: Place,
        clock: Clock,
        config: Arc<RedisConfig>,
        router: Arc<Router>,
        cluster: Option<Weak<Cluster>>,
    ) -> Self {
        Self { place, clock, config, router, cluster, queue: Mutex::default() }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn enqueue(&self, job: Job) -> Result<(), Rejected> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let running = queue.take().filter(|queue| !queue.is_closed());
        let running = match running.map_or_else(|| self.start(), Ok) {
            Ok(running) => running,
            Err(error) => return Err(Box::new((error, job))),
        };
        let sent = running.try_send(job);
        *queue = Some(running);
        sent.map_err(|refused| Box::new((self.overloaded(), refused.into_inner())))
    }

    /// Starts the task that owns the connection.
    fn start(&self) -> Result<mpsc::Sender<Job>, RedisError> {
        let (queue, jobs) = mpsc::channel(self.config.queue.max(1));
        let actor = Actor::new(self, jobs);
        if spawn::detach(actor.run()) {
            return Ok(queue);
        }
        Err(self.place.name().failed(Cause::new("there is no tokio runtime to connect on")))
    }

    fn overloaded(&self) -> RedisError {
        let waiting = self.config.queue;
        let cause = Cause::new(format!("{waiting} commands wait to be written already"));
        self.place.name().failed(cause)
    }
}
