//! The handle.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use mainstay_core::{Clock, IntoKey, Key, KeyError};
use sqlx::{Database, Pool};
use tokio::sync::watch;

use crate::{
    DeadLetters, Enqueued, Event, Health, IdempotentRequest, Message, MessageId, Observer,
    OutboxConfig, OutboxError, Stats, TxRequest,
    dialect::Dialect,
    error::During,
    gate::{Gate, OpenTx},
    observe::Observe,
};

/// Messages that leave exactly when their transaction commits, and everything around them.
///
/// A cheap handle: a clone shares pool, clock, configuration and counters.
///
/// # Guarantees
///
/// - A message of a transaction that commits is sent at least once; one of a transaction that rolls
///   back never is.
/// - Messages of one key and lane are first sent in commit order, across retries and redrives. (A
///   dead message that was skipped takes its old place among those that are still unsent.)
/// - A crash of the relay sends at most one batch again, under the same ids.
///
/// # When the backend is down
///
/// Nothing is lost: what cannot be stored fails in the caller's own transaction, what cannot be sent
/// waits.
///
/// # Examples
///
#[cfg_attr(feature = "sqlite", doc = "```")]
#[cfg_attr(not(feature = "sqlite"), doc = "```text")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use mainstay_outbox::{Message, Outbox, sqlite};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders.db");
/// let pool = sqlite::pool(path).await?;
/// let outbox = Outbox::sqlite(pool.clone());
/// outbox.migrate().await?;
///
/// let mut tx = pool.begin().await?;
/// // .. the business rows, through the same `tx` ..
/// outbox.enqueue(&mut tx, Message::json("order.paid", &7)?.key("order:7")).await?;
/// tx.commit().await?;
/// outbox.wake();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Outbox<DB: Database = sqlx::Sqlite>(Arc<Inner<DB>>);

pub(crate) struct Inner<DB: Database> {
    pub(crate) pool: Pool<DB>,
    pub(crate) clock: Clock,
    pub(crate) config: OutboxConfig,
    pub(crate) observe: Observe,
    gate: Gate,
    wake: watch::Sender<u64>,
    relays: Mutex<Relays>,
    /// Tells this process' relays from those of others.
    instance: String,
}

/// Relays of this process. A lease of one that has stopped need not be waited for.
#[derive(Debug, Default)]
struct Relays {
    next: u64,
    live: HashSet<String>,
}

/// Settings of an [`Outbox`], made by [`Outbox::builder`].
#[must_use = "call `build` to get the outbox"]
pub struct OutboxBuilder<DB: Database> {
    pool: Pool<DB>,
    clock: Clock,
    config: OutboxConfig,
    observer: Option<Box<dyn Observer>>,
}

#[cfg(feature = "sqlite")]
impl Outbox<sqlx::Sqlite> {
    /// An outbox on SQLite with default settings; see [`sqlite`](crate::sqlite) for what the pool needs.
    pub fn sqlite(pool: sqlx::SqlitePool) -> Self {
        Self::builder(pool).build()
    }
}

impl<DB: Dialect> Outbox<DB> {
    /// Starts an outbox on `pool`, the one that holds the business tables.
    pub fn builder(pool: Pool<DB>) -> OutboxBuilder<DB> {
        OutboxBuilder {
            pool,
            clock: Clock::default(),
            config: OutboxConfig::default(),
            observer: None,
        }
    }

    /// Makes or updates the tables, all of them prefixed `mainstay_`. Safe to call at every start, by
    /// any number of processes.
    ///
    /// # Errors
    ///
    /// [`OutboxError::SchemaTooNew`] if a newer version of this crate made them.
    pub async fn migrate(&self) -> Result<(), OutboxError> {
        let mut open = self.begin().await?;
        let found = DB::migrate(&mut open.tx, self.now()).await.during("migrate the schema")?;
        if found > DB::SCHEMA {
            return Err(OutboxError::SchemaTooNew { found, known: DB::SCHEMA });
        }
        open.commit().await
    }

    /// Stores a message in the caller's transaction. It is sent if and when that commits.
    ///
    /// `conn` is any connection of this database: `&mut *tx` of a transaction. Call [`wake`](Self::wake) after the
    /// commit; the transactions of [`transaction`](Self::transaction) do.
    ///
    /// On SQLite a transaction of the caller's own that reads before it writes should begin with `BEGIN IMMEDIATE`
    /// (`pool.begin_with`): otherwise its first write fails at once when another writer was faster.
    ///
    /// # Errors
    ///
    /// [`OutboxError::InvalidMessage`] before anything is written; [`OutboxError::Database`].
    ///
    /// # Cost
    ///
    /// One statement.
    pub async fn enqueue(
        &self,
        conn: &mut DB::Connection,
        message: Message,
    ) -> Result<Enqueued, OutboxError> {
        message.check(&self.0.config)?;
        let id = self.id_of(&message);
        DB::append(conn, &[(id, &message)], self.now()).await.during("store a message")?;
        Ok(Enqueued { id })
    }

    /// Stores messages in the caller's transaction, in the order given: all or none.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue); all are checked before the first is written.
    ///
    /// # Cost
    ///
    /// One statement for a thousand messages.
    pub async fn enqueue_many(
        &self,
        conn: &mut DB::Connection,
        messages: impl IntoIterator<Item = Message> + Send,
    ) -> Result<Vec<Enqueued>, OutboxError> {
        let messages: Vec<Message> = messages.into_iter().collect();
        messages.iter().try_for_each(|message| message.check(&self.0.config))?;
        let rows: Vec<_> = messages.iter().map(|message| (self.id_of(message), message)).collect();
        if !rows.is_empty() {
            DB::append(conn, &rows, self.now()).await.during("store messages")?;
        }
        Ok(rows.iter().map(|(id, _)| Enqueued { id: *id }).collect())
    }

    fn id_of(&self, message: &Message) -> MessageId {
        message.id.unwrap_or_else(|| MessageId::at(self.0.clock.wall()))
    }

    /// Tells the relays of this process that messages were committed.
    ///
    /// Without it a relay finds them by polling, within [`OutboxConfig::poll_max`].
    pub fn wake(&self) {
        self.0.wake.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Takes a message back that was certainly not sent: one for later, one that no relay has claimed,
    /// or one that waits for another attempt after attempts that certainly did nothing.
    ///
    /// `false` means that it was sent, may have been, is being sent, is dead, or never was.
    ///
    /// # Cost
    ///
    /// One transaction. A message that is neither for later nor to be retried is looked for in the
    /// unsent backlog.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Database`] and [`OutboxError::Busy`].
    pub async fn cancel(&self, id: MessageId) -> Result<bool, OutboxError> {
        let mut open = self.begin().await?;
        let done = DB::cancel(open.conn(), id).await.during("cancel a message")?;
        open.commit().await?;
        self.wake();
        Ok(done)
    }

    /// A transaction that commits when its body says `Ok`, and wakes the relays.
    pub fn transaction(&self) -> TxRequest<DB> {
        TxRequest::new(self.clone())
    }

    /// Runs a piece of work once per key; later calls get the stored result.
    pub fn idempotent(&self, key: impl IntoKey) -> IdempotentRequest<DB> {
        let key: Result<Key, KeyError> = key.into_key();
        IdempotentRequest::new(self.clone(), key)
    }

    /// The messages that were given up.
    pub fn dead(&self) -> DeadLetters<DB> {
        DeadLetters::new(self.clone())
    }

    /// What this process did since the outbox was made.
    pub fn stats(&self) -> Stats {
        self.0.observe.stats()
    }

    /// What is where, read from the database.
    ///
    /// # Cost
    ///
    /// Counts the unsent backlog: ask every few seconds, not per call.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Database`].
    pub async fn health(&self) -> Result<Health, OutboxError> {
        let mut conn = self.0.pool.acquire().await.during("get a connection")?;
        DB::health(&mut conn, self.now()).await.during("count messages")
    }

    /// The settings.
    pub fn config(&self) -> &OutboxConfig {
        &self.0.config
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Waits for this process' turn to write, then opens a transaction.
    pub(crate) async fn begin(&self) -> Result<OpenTx<DB>, OutboxError> {
        let inner = &self.0;
        inner.gate.begin(&inner.pool, &inner.clock, inner.config.busy_wait).await
    }

    pub(crate) fn event(&self, event: &Event) {
        self.0.observe.event(event);
    }

    pub(crate) fn woken(&self) -> watch::Receiver<u64> {
        self.0.wake.subscribe()
    }

    /// Milliseconds of the calendar, for rows.
    pub(crate) fn now(&self) -> i64 {
        millis_since_epoch(self.0.clock.wall())
    }

    /// Registers a relay of this process; it counts as stopped when the value is dropped.
    pub(crate) fn join(&self) -> Membership<DB> {
        let mut relays = self.relays();
        relays.next += 1;
        let owner = format!("{}/{}", self.0.instance, relays.next);
        relays.live.insert(owner.clone());
        drop(relays);
        Membership { outbox: self.clone(), owner }
    }

    /// Whether `owner` was a relay of this process and has stopped.
    pub(crate) fn is_gone(&self, owner: &str) -> bool {
        let ours = owner.split_once('/').is_some_and(|(instance, _)| instance == self.0.instance);
        ours && !self.relays().live.contains(owner)
    }
}

impl<DB: Database> Outbox<DB> {
    pub(crate) fn inner(&self) -> &Inner<DB> {
        &self.0
    }

    fn relays(&self) -> MutexGuard<'_, Relays> {
        self.0.relays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running relay's name.
pub(crate) struct Membership<DB: Database> {
    outbox: Outbox<DB>,
    pub(crate) owner: String,
}

impl<DB: Database> Drop for Membership<DB> {
    fn drop(&mut self) {
        self.outbox.relays().live.remove(&self.owner);
    }
}

pub(crate) fn millis_since_epoch(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    millis(since)
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<DB: Database> Clone for Outbox<DB> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<DB: Database> fmt::Debug for Outbox<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("stats", &self.0.observe).finish_non_exhaustive()
    }
}

impl<DB: Dialect> OutboxBuilder<DB> {
    /// Uses another source of time.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Uses other settings.
    pub fn config(mut self, config: OutboxConfig) -> Self {
        self.config = config;
        self
    }

    /// Reports events.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Makes the outbox.
    pub fn build(self) -> Outbox<DB> {
        let instance = MessageId::at(self.clock.wall()).to_string();
        Outbox(Arc::new(Inner {
            pool: self.pool,
            clock: self.clock,
            config: self.config,
            observe: Observe::new(self.observer),
            gate: Gate::default(),
            wake: watch::Sender::new(0),
            relays: Mutex::default(),
            instance,
        }))
    }
}

impl<DB: Database> fmt::Debug for OutboxBuilder<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Whoever has an outbox: what the attributes' `with = ..` asks for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no outbox",
    note = "pass an `Outbox`, or implement `HasOutbox` for `{Self}`"
)]
pub trait HasOutbox {
    /// Database of the outbox.
    type Db: Dialect;

    /// The outbox.
    fn outbox(&self) -> &Outbox<Self::Db>;
}

impl<DB: Dialect> HasOutbox for Outbox<DB> {
    type Db = DB;

    fn outbox(&self) -> &Outbox<DB> {
        self
    }
}

impl<T: HasOutbox + ?Sized> HasOutbox for &T {
    type Db = T::Db;

    fn outbox(&self) -> &Outbox<T::Db> {
        (**self).outbox()
    }
}

impl<T: HasOutbox + ?Sized> HasOutbox for Arc<T> {
    type Db = T::Db;

    fn outbox(&self) -> &Outbox<T::Db> {
        (**self).outbox()
    }
}
