//! The handle that users hold.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use mainstay_core::Clock;
use redis::{Client, Cmd, ToRedisArgs};
use tokio::sync::{mpsc, oneshot};

use crate::{
    actor::Actor,
    builder::RedisBuilder,
    call::Call,
    config::RedisConfig,
    error::{Cause, RedisError},
    job::{Answer, Handler, Job},
    router::Router,
    script::{Invocation, Script},
    server::{Address, Server},
    spawn,
    subscription::Subscription,
};

/// One pipelined connection to a Redis, opened when first used and opened again when lost.
///
/// A clone is a reference count and uses the same connection. See the [crate](crate) for the guarantees.
#[derive(Clone)]
pub struct Redis {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) server: Server,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<RedisConfig>,
    pub(crate) router: Arc<Router>,
    // The actor ends with its runtime; the next command starts another on the caller's.
    pub(crate) queue: Mutex<Option<mpsc::Sender<Job>>>,
}

impl Redis {
    /// The server at a URL such as `redis://user:password@host:6379/0`. Nothing is sent yet.
    ///
    /// A `rediss://` URL is spoken to over TLS (feature `tls`), and never in plain text instead. See
    /// [`RedisBuilder`] for authorities and client certificates of your own.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`], also for a `rediss://` URL without the feature.
    pub fn open(url: &str) -> Result<Self, RedisError> {
        Self::builder(url)?.build()
    }

    /// Sets clock and patience of a connection to `url`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn builder(url: &str) -> Result<RedisBuilder, RedisError> {
        Address::parse(url).map(RedisBuilder::new)
    }

    /// Sets clock and patience of a connection with the settings of `client`, whatever its own
    /// protocol and time-outs are. One that does not check certificates is refused by
    /// [`build`](RedisBuilder::build).
    #[expect(clippy::needless_pass_by_value, reason = "it is handed over")]
    pub fn from_client(client: Client) -> RedisBuilder {
        RedisBuilder::new(Address::of(&client))
    }

    /// A handle with the same target and settings and a connection of its own, opened when first used.
    ///
    /// For commands that block (`WAIT`, `BLPOP`): they hold up nobody but the callers of this handle and
    /// of its clones. The budget counts for them too, so let the server block for less than that. Calls
    /// made one after the other by the only caller are written one after the other, with nothing in
    /// between.
    ///
    /// # Cost
    ///
    /// One connection and one task more.
    #[must_use]
    pub fn dedicated(&self) -> Self {
        let inner = Inner {
            server: self.inner.server.clone(),
            clock: self.inner.clock.clone(),
            config: self.inner.config.clone(),
            router: Arc::default(),
            queue: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Puts a command into the queue, before it returns, and gives the future of its answer.
    ///
    /// Commands that block (`BLPOP`, `WAIT`) belong on a [`dedicated`](Self::dedicated) handle: others
    /// share this one. Commands that change the connection (`MULTI`, `SELECT`) have no place at all.
    pub fn call(&self, command: Cmd) -> Call {
        self.send(command, None)
    }

    /// Starts a call of a script. Whatever it touches is named by `keys`.
    pub fn eval<K: ToRedisArgs>(
        &self,
        script: &'static Script,
        keys: impl IntoIterator<Item = K, IntoIter: ExactSizeIterator>,
    ) -> Invocation<'_> {
        Invocation::new(self, script, keys.into_iter())
    }

    /// Listens to a channel; commands sent after this find the subscription in place.
    ///
    /// Pushes are not kept: one that was sent while the connection was down is gone, and the listener
    /// is told that this may be so.
    pub fn subscribe(&self, channel: impl Into<Arc<str>>) -> Subscription {
        Subscription::new(self, channel.into())
    }

    /// The clock that budgets run on.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The time budgets.
    pub fn config(&self) -> &RedisConfig {
        &self.inner.config
    }

    pub(crate) fn send(&self, command: Cmd, script: Option<&'static Script>) -> Call {
        let (answer, answered) = oneshot::channel();
        let server = self.inner.server.clone();
        match self.inner.enqueue(command, script, Answer::Caller(answer)) {
            Ok(()) => Call::waiting(server, answered),
            Err(refused) => Call::refused(server, refused.0),
        }
    }

    pub(crate) fn send_with(
        &self,
        command: Cmd,
        script: Option<&'static Script>,
        handler: Handler,
    ) {
        if let Err(refused) = self.inner.enqueue(command, script, Answer::Handler(handler)) {
            let (error, answer) = *refused;
            if let Answer::Handler(handler) = answer {
                handler(Err(error));
            }
        }
    }
}

impl Inner {
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        command: Cmd,
        script: Option<&'static Script>,
        answer: Answer,
    ) -> Result<(), Box<(RedisError, Answer)>> {
        let deadline = self.clock.now() + self.config.budget;
        let job = Job::new(command, script, answer, deadline);
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let running = queue.take().filter(|queue| !queue.is_closed());
        let running = match running.map_or_else(|| self.start(), Ok) {
            Ok(running) => running,
            Err(error) => return Err(Box::new((error, job.ticket.answer))),
        };
        let sent = running.try_send(job);
        *queue = Some(running);
        sent.map_err(|refused| Box::new((self.overloaded(), refused.into_inner().ticket.answer)))
    }

    /// Starts the task that owns the connection.
    fn start(&self) -> Result<mpsc::Sender<Job>, RedisError> {
        let (queue, jobs) = mpsc::channel(self.config.queue.max(1));
        let (server, router) = (self.server.clone(), self.router.clone());
        let actor = Actor::new(server, self.clock.clone(), self.config.clone(), router, jobs);
        if spawn::detach(actor.run()) {
            return Ok(queue);
        }
        Err(self.server.failed(Cause::new("there is no tokio runtime to connect on")))
    }

    fn overloaded(&self) -> RedisError {
        let waiting = self.config.queue;
        self.server.failed(Cause::new(format!("{waiting} commands wait to be written already")))
    }
}

/// The address and the patience; never the user or the password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut redis = f.debug_struct("Redis");
        redis.field("server", &self.inner.server).field("config", &self.inner.config);
        redis.finish_non_exhaustive()
    }
}
