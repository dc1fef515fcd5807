//! Accounting of the plain service: a queue in memory and a task that empties it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::SqlitePool;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    Result,
    books::{Book, Entry},
    seam::Mishaps,
    spawn::spawn,
    time,
};

/// Events that wait for accounting at most.
const QUEUE: usize = 1_024;

/// Pause between two looks at what is still pending.
const LOOK: Duration = Duration::from_millis(20);

/// Sends events to the ledger and keeps it.
#[derive(Debug)]
pub(super) struct Accounting {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    pool: SqlitePool,
    mishaps: Mishaps,
    queue: Mutex<mpsc::Sender<Entry>>,
    pending: AtomicU64,
    seen: AtomicU64,
    lost: AtomicU64,
    restarts: AtomicU64,
}

impl Accounting {
    /// Starts the task.
    pub(super) fn start(pool: SqlitePool, mishaps: Mishaps) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            pool,
            mishaps,
            queue: Mutex::new(sender),
            pending: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
        });
        let task = spawn(shared.clone().run(receiver));
        Self { shared, task }
    }

    /// Tells the ledger about a payment, if it listens.
    pub(super) fn tell(&self, order_id: &str, cents: u64) {
        let event = Entry { order_id: order_id.to_owned(), cents };
        self.shared.pending.fetch_add(1, Ordering::Relaxed);
        if self.shared.sender().try_send(event).is_err() {
            self.shared.lose();
        }
    }

    /// Waits until every event is posted or lost.
    pub(super) async fn caught_up(&self) {
        while self.shared.pending.load(Ordering::Relaxed) > 0 {
            time::sleep(LOOK).await;
        }
    }

    /// Events that never reached the ledger.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// How often the task was started again.
    pub(super) fn restarts(&self) -> u64 {
        self.shared.restarts.load(Ordering::Relaxed)
    }

    /// The ledger as it stands.
    pub(super) async fn book(&self) -> Result<Book> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as(include_str!("read_ledger.sql")).fetch_all(&self.shared.pool).await?;
        let entry = |(order_id, cents)| {
            let cents = u64::try_from(cents)?;
            Ok::<_, std::num::TryFromIntError>(Entry { order_id, cents })
        };
        let entries: Vec<Entry> = rows.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Book::new("ledger consumer", entries))
    }

    /// Ends the task.
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Shared {
    fn sender(&self) -> mpsc::Sender<Entry> {
        let queue = self.queue.lock();
        queue.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn run(self: Arc<Self>, mut receiver: mpsc::Receiver<Entry>) {
        loop {
            self.consume(&mut receiver).await;
            // Killed: whatever waited in memory is gone with it.
            self.lose();
            receiver.close();
            while receiver.recv().await.is_some() {
                self.lose();
            }
            time::sleep(self.mishaps.down_for).await;
            let (sender, fresh) = mpsc::channel(QUEUE);
            *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = sender;
            self.restarts.fetch_add(1, Ordering::Relaxed);
            receiver = fresh;
        }
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.done();
    }

    fn done(&self) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns when the task is killed.
    async fn consume(&self, receiver: &mut mpsc::Receiver<Entry>) {
        while let Some(event) = receiver.recv().await {
            if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.mishaps.carrier_killed_at_event
            {
                return;
            }
            match self.post(&event).await {
                Ok(()) => self.done(),
                Err(_) => self.lose(),
            }
        }
    }

    async fn post(&self, event: &Entry) -> Result<()> {
        if self.mishaps.is_poison(&event.order_id) {
            return Err("the handler cannot read this event".into());
        }
        sqlx::query(include_str!("post_entry.sql"))
            .bind(&event.order_id)
            .bind(i64::try_from(event.cents)?)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
