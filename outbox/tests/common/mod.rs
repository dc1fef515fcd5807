//! What the tests share: an outbox on a file of its own, and a publisher that does as it is told.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "every test binary uses a part of it"
)]

use std::{
    collections::VecDeque,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use mainstay_outbox::{
    Backoff, Confirm, Event, ManualClock, Message, MessageId, Outbox, OutboxConfig, Outgoing,
    PublishError, Publisher, Relay, RetryPolicy, sqlite,
};
use sqlx::{
    SqlitePool,
    sqlite::{SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;

pub const SECOND: Duration = Duration::from_secs(1);

/// A file with an outbox on it.
pub struct World {
    pub dir: TempDir,
    pub pool: SqlitePool,
    pub outbox: Outbox,
    pub time: ManualClock,
    pub events: Arc<Mutex<Vec<Event>>>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: OutboxConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let time = ManualClock::new();
        let pool = open(dir.path().join("outbox.db")).await;
        let events = Arc::new(Mutex::new(Vec::new()));
        let outbox = build(&pool, &time, config, &events);
        outbox.migrate().await.unwrap();
        Self { dir, pool, outbox, time, events }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("outbox.db")
    }

    /// Another outbox handle on the same file, as another process has one.
    pub fn other_process(&self) -> Outbox {
        build(&self.pool, &self.time, self.outbox.config().clone(), &self.events)
    }

    pub async fn send(&self, topic: &str, key: &str, text: &str) -> MessageId {
        let mut tx = self.pool.begin().await.unwrap();
        let message = Message::new(topic, text).key(key);
        let id = self.outbox.enqueue(&mut tx, message).await.unwrap().id;
        tx.commit().await.unwrap();
        id
    }

    pub async fn drain<P: Publisher>(&self, publisher: P) {
        Relay::new(&self.outbox, publisher).run_until_idle().await.unwrap();
    }

    /// Lets time pass, second by second, until something happened; gives up after a day.
    pub async fn pass_until(&self, mut happened: impl FnMut() -> bool) {
        for _ in 0..86_400 {
            if happened() {
                return;
            }
            self.time.run_for(SECOND).await;
        }
        panic!("it did not happen");
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

fn build(
    pool: &SqlitePool,
    time: &ManualClock,
    config: OutboxConfig,
    events: &Arc<Mutex<Vec<Event>>>,
) -> Outbox {
    let events = events.clone();
    Outbox::builder(pool.clone())
        .clock(time.clock())
        .config(config)
        .observer(move |event: &Event| events.lock().unwrap().push(event.clone()))
        .build()
}

/// Waits of one second, three attempts, nothing random.
pub fn config() -> OutboxConfig {
    let mut config = OutboxConfig::default();
    config.retry = RetryPolicy::new(Backoff::fixed(SECOND), 3, Duration::from_secs(3600));
    config.outage = Backoff::fixed(SECOND);
    config
}

pub async fn open(path: PathBuf) -> SqlitePool {
    let options = sqlite::connect_options(path).synchronous(SqliteSynchronous::Off);
    SqlitePoolOptions::new().max_connections(8).connect_with(options).await.unwrap()
}

/// Answers from a list of rules; what it confirmed and what it was asked can be read.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: Vec<(String, VecDeque<PublishError>)>,
    seen: Vec<Seen>,
    sent: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: MessageId,
    pub text: String,
    pub attempt: u32,
    pub redelivered: bool,
}

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next publishes of the message with this text fail so, one after the other.
    pub fn fail(self, text: &str, errors: impl IntoIterator<Item = PublishError>) -> Self {
        self.then(text, errors);
        self
    }

    pub fn then(&self, text: &str, errors: impl IntoIterator<Item = PublishError>) {
        self.0.lock().unwrap().answers.push((text.to_owned(), errors.into_iter().collect()));
    }

    /// Texts that were confirmed, in order.
    pub fn sent(&self) -> Vec<String> {
        self.0.lock().unwrap().sent.clone()
    }

    /// Every publish.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl Publisher for Script {
    async fn publish(&self, message: &Outgoing) -> Result<Confirm, PublishError> {
        let text = String::from_utf8(message.payload().to_vec()).unwrap();
        // A turn of the runtime in the middle, where a crash can happen.
        tokio::task::yield_now().await;
        let mut inner = self.0.lock().unwrap();
        let (id, attempt, redelivered) =
            (message.id(), message.attempt(), message.is_redelivered());
        inner.seen.push(Seen { id, text: text.clone(), attempt, redelivered });
        let rule = inner.answers.iter_mut().filter(|(of, _)| *of == text);
        if let Some(error) = rule.filter_map(|(_, errors)| errors.pop_front()).next() {
            return Err(error);
        }
        inner.sent.push(text);
        Ok(Confirm::acknowledged())
    }
}

pub fn retryable() -> PublishError {
    PublishError::retryable("not now")
}

/// Drops a future at its n-th wait: `None` if it was dropped.
pub struct CutAfter<F> {
    future: Pin<Box<F>>,
    waits: usize,
}

impl<F: Future> CutAfter<F> {
    pub fn new(waits: usize, future: F) -> Self {
        Self { future: Box::pin(future), waits }
    }
}

impl<F: Future> Future for CutAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        match self.future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.waits == 0 => Poll::Ready(None),
            Poll::Pending => {
                self.waits -= 1;
                Poll::Pending
            }
        }
    }
}
