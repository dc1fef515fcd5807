//! The handle that users hold.

use std::{fmt, sync::Arc};

use mainstay_core::Clock;
use redis::{Client, Cmd, ToRedisArgs, cmd};
use tokio::sync::oneshot;

use crate::{
    builder::{RedisBuilder, Target},
    call::Call,
    check::{Ask, Check},
    cluster::{Cluster, slot_of, slot_of_command},
    config::RedisConfig,
    error::RedisError,
    job::{Answer, Handler, Job},
    lane::{Lane, Rejected},
    place::Place,
    router::Router,
    script::{Invocation, Script},
    sentinel::Sentinels,
    server::{Address, Name, Server},
    subscription::Subscription,
};

/// One pipelined connection to a Redis, or to the primary that its Sentinels name; opened when first used and
/// opened again when lost.
///
/// A clone is a reference count and uses the same connection. See the [crate](crate) for the guarantees.
#[derive(Clone)]
pub struct Redis {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    way: Way,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<RedisConfig>,
    pub(crate) router: Arc<Router>,
}

enum Way {
    Lane(Lane),
    Cluster(Arc<Cluster>),
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
        Address::parse(url).map(Target::Single).map(RedisBuilder::new)
    }

    /// The primary that `sentinels`, a list of URLs, call `primary`. Finish with
    /// [`build`](RedisBuilder::build).
    ///
    /// The URLs carry the credentials of the Sentinels;
    /// [`credentials`](RedisBuilder::credentials), [`database`](RedisBuilder::database) and
    /// [`server_tls`](RedisBuilder::server_tls) are about the servers behind them. If the Sentinels are
    /// `rediss://` the servers are spoken to over TLS as well.
    ///
    /// See [the crate](crate#sentinel) for what is promised.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`].
    pub fn sentinel<U: AsRef<str>>(
        sentinels: impl IntoIterator<Item = U>,
        primary: &str,
    ) -> Result<RedisBuilder, RedisError> {
        let parse = |url: U| Address::parse(url.as_ref());
        let sentinels: Vec<_> = sentinels.into_iter().map(parse).collect::<Result<_, _>>()?;
        if sentinels.is_empty() {
            return Err(RedisError::settings("there is no Sentinel; name at least one"));
        }
        Ok(RedisBuilder::new(Target::Watched { sentinels, primary: primary.into() }))
    }

    /// The Cluster that the nodes at `nodes`, a list of URLs, belong to: one connection to each node that
    /// serves slots. Finish with [`build`](RedisBuilder::build).
    ///
    /// One node is enough if it is there; more are tried in turn. User, password and TLS of the first URL
    /// are those for every node; under TLS the nodes' addresses, as they announce them, must be in their
    /// certificates.
    ///
    /// See [the crate](crate#cluster) for what is promised.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`].
    pub fn cluster<U: AsRef<str>>(
        nodes: impl IntoIterator<Item = U>,
    ) -> Result<RedisBuilder, RedisError> {
        let parse = |url: U| Address::parse(url.as_ref());
        let nodes: Vec<_> = nodes.into_iter().map(parse).collect::<Result<_, _>>()?;
        if nodes.is_empty() {
            return Err(RedisError::settings("there is no node; name at least one"));
        }
        Ok(RedisBuilder::new(Target::Cluster(nodes)))
    }

    /// Sets clock and patience of a connection with the settings of `client`: address, user, database, TCP. Its own
    /// protocol and time-outs do not matter.
    ///
    /// If the client is encrypted so are we, as with a `rediss://` URL. It does not show certificates of its own: give
    /// them once more, by [`RedisBuilder::tls`](RedisBuilder). One that does not check the server's is refused
    /// by [`build`](RedisBuilder::build).
    #[expect(clippy::needless_pass_by_value, reason = "it is handed over")]
    pub fn from_client(client: Client) -> RedisBuilder {
        RedisBuilder::new(Target::Single(Address::of(&client)))
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
        let (clock, config) = (self.clock().clone(), self.inner.config.clone());
        match &self.inner.way {
            Way::Lane(lane) => Self::to(lane.place().clone(), clock, config),
            Way::Cluster(cluster) => Self::to_cluster(cluster.seeds().to_vec(), clock, config),
        }
    }

    pub(crate) fn to(place: Place, clock: Clock, config: Arc<RedisConfig>) -> Self {
        let router = Arc::<Router>::default();
        let lane = Lane::new(place, clock.clone(), config.clone(), router.clone(), None);
        Self { inner: Arc::new(Inner { way: Way::Lane(lane), clock, config, router }) }
    }

    pub(crate) fn to_cluster(seeds: Vec<Server>, clock: Clock, config: Arc<RedisConfig>) -> Self {
        let router = Arc::<Router>::default();
        let cluster = Cluster::new(seeds, clock.clone(), config.clone(), router.clone());
        let way = Way::Cluster(Arc::new(cluster));
        Self { inner: Arc::new(Inner { way, clock, config, router }) }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &Name {
        match &self.inner.way {
            Way::Lane(lane) => lane.place().name(),
            Way::Cluster(cluster) => cluster.name(),
        }
    }

    /// Whether it is a Cluster, where the keys of one call must share a slot and the number that `PUBLISH`
    /// answers means little.
    pub fn is_cluster(&self) -> bool {
        matches!(self.inner.way, Way::Cluster(_))
    }

    fn sentinels(&self) -> Option<&Arc<Sentinels>> {
        match &self.inner.way {
            Way::Lane(lane) => match lane.place() {
                Place::Watched(sentinels) => Some(sentinels),
                Place::Fixed(_) | Place::Node(_) | Place::Anywhere(_) => None,
            },
            Way::Cluster(_) => None,
        }
    }

    /// The highest epoch of a primary that is known, from the Sentinels or [`saw_epoch`](Self::saw_epoch).
    /// `None` without Sentinels, and before one has answered.
    pub fn epoch(&self) -> Option<u64> {
        self.sentinels().map(|sentinels| sentinels.epoch()).filter(|epoch| *epoch > 0)
    }

    /// Notes an epoch that somebody else saw, another process for example. If it is higher than all before,
    /// the connection to the older primary is given up, and no primary of a lower epoch is connected to any more.
    ///
    /// Without Sentinels it does nothing.
    pub fn saw_epoch(&self, epoch: u64) {
        if let Some(sentinels) = self.sentinels() {
            sentinels.saw(epoch);
        }
    }

    /// Puts a command into the queue, before it returns, and gives the future of its answer.
    ///
    /// Commands that block (`BLPOP`, `WAIT`) belong on a [`dedicated`](Self::dedicated) handle: others
    /// share this one. Commands that change the connection (`MULTI`, `SELECT`) have no place at all.
    pub fn call(&self, command: Cmd) -> Call {
        self.send(command, None)
    }

    /// As [`call`](Self::call), for a command that names no key itself but belongs where `key` is, such as a
    /// `WAIT` behind a script. Without a Cluster they are the same.
    pub fn call_near(&self, key: impl AsRef<[u8]>, command: Cmd) -> Call {
        self.send_to(command, None, Some(slot_of(key.as_ref())))
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

    /// Starts a look at the server, or servers, before they are relied on.
    pub fn check(&self) -> Check<'_> {
        Check::new(self)
    }

    /// One way to ask each server that takes writes.
    pub(crate) async fn servers(&self) -> Result<Vec<Box<Ask<'_>>>, RedisError> {
        match &self.inner.way {
            Way::Lane(_) => Ok(vec![Box::new(|command| self.call(command))]),
            Way::Cluster(cluster) => {
                // Once this is answered the nodes are known.
                self.call_near("", cmd("PING")).await?;
                let ask = |lane: Arc<Lane>| -> Box<Ask<'_>> {
                    Box::new(move |command| cluster.ask(&lane, command))
                };
                Ok(cluster.lanes().into_iter().map(ask).collect())
            }
        }
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
        let slot = self.inner.slot(&command);
        self.send_to(command, script, slot)
    }

    fn send_to(&self, command: Cmd, script: Option<&'static Script>, slot: Option<u16>) -> Call {
        let (answer, answered) = oneshot::channel();
        let name = self.name().clone();
        match self.inner.enqueue_to(command, script, Answer::Caller(answer), slot) {
            Ok(()) => Call::waiting(name, answered),
            Err(refused) => Call::refused(name, refused.0),
        }
    }

    pub(crate) fn send_with(
        &self,
        command: Cmd,
        script: Option<&'static Script>,
        handler: Handler,
    ) {
        if let Err(refused) = self.inner.enqueue(command, script, Answer::Handler(handler)) {
            let (error, job) = *refused;
            if let Answer::Handler(handler) = job.ticket.answer {
                handler(Err(error));
            }
        }
    }
}

impl Inner {
    pub(crate) fn enqueue(
        &self,
        command: Cmd,
        script: Option<&'static Script>,
        answer: Answer,
    ) -> Result<(), Rejected> {
        let slot = self.slot(&command);
        self.enqueue_to(command, script, answer, slot)
    }

    fn enqueue_to(
        &self,
        command: Cmd,
        script: Option<&'static Script>,
        answer: Answer,
        slot: Option<u16>,
    ) -> Result<(), Rejected> {
        let deadline = self.clock.now() + self.config.budget;
        let mut job = Job::new(command, script, answer, deadline);
        match &self.way {
            Way::Lane(lane) => lane.enqueue(job),
            Way::Cluster(cluster) => {
                job.ticket.slot = slot;
                cluster.enqueue(job)
            }
        }
    }

    /// The slot of a command, where that matters.
    fn slot(&self, command: &Cmd) -> Option<u16> {
        match self.way {
            Way::Lane(_) => None,
            Way::Cluster(_) => slot_of_command(command),
        }
    }
}

/// The address and the patience; never the user or the password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut redis = f.debug_struct("Redis");
        redis.field("server", self.name()).field("config", &self.inner.config);
        redis.finish_non_exhaustive()
    }
}
