//! A client: a process of its own, with tasks that contend.

mod habit;
mod hold;
mod store;
mod task;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use fastrand::Rng;
use mainstay_core::Clock;
use mainstay_lock::Locks;
use mainstay_testkit::history::Recorder;

pub(crate) use self::{habit::Habit, store::SCHEMA};
use self::{store::Store, task::Task};
use crate::{
    Result,
    event::{Event, What, now},
    shape::Shape,
    spawn::spawn,
    world,
};

/// What a client is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClientArgs {
    /// Its number in the history
    #[arg(long)]
    pub(crate) number: u32,
    /// Decides what it does
    #[arg(long)]
    pub(crate) seed: u64,
    /// Where the locks are kept
    #[arg(long)]
    pub(crate) shape: Shape,
    /// Where the servers are
    #[arg(long, required = true)]
    pub(crate) url: Vec<String>,
    /// Where the store is that checks fences
    #[arg(long)]
    pub(crate) store: String,
    /// The file that its history goes to
    #[arg(long)]
    pub(crate) history: PathBuf,
    /// The file that tells it what to do: nothing, `calm` or `stop`
    #[arg(long)]
    pub(crate) control: PathBuf,
    /// Tasks that contend
    #[arg(long)]
    pub(crate) tasks: u32,
    /// Locks that they contend for
    #[arg(long)]
    pub(crate) keys: u32,
    /// What its tasks do
    #[arg(long, value_enum, default_value_t)]
    pub(crate) habit: Habit,
}

/// What the driver says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Things will be broken.
    Work,
    /// Nothing will be broken any more.
    Calm,
    /// Finish what was begun.
    Stop,
}

/// What the tasks share.
pub(crate) struct Client {
    args: ClientArgs,
    locks: Locks,
    store: Store,
    recorder: Recorder,
    clock: Clock,
    next_op: AtomicU64,
}

/// Works until told to stop.
pub(crate) async fn run(args: ClientArgs) -> Result<()> {
    let client = Arc::new(Client {
        locks: world::locks(args.shape, &args.url)?,
        store: Store::open(&args.store).await?,
        recorder: Recorder::open(&args.history)?,
        clock: Clock::boot(),
        next_op: AtomicU64::new(u64::from(args.number) << 32),
        args,
    });
    let mut rng = Rng::with_seed(client.args.seed);
    let start = |_| spawn(Task::new(client.clone(), rng.fork()).run());
    let tasks: Vec<_> = (0..client.args.tasks).map(start).collect();
    for task in tasks {
        task.await??;
    }
    client.locks.shutdown(Duration::from_secs(5)).await;
    client.record(What::Done)
}

impl Client {
    /// Writes down what happens now.
    pub(crate) fn record(&self, what: What) -> Result<()> {
        self.record_at(now(), what)
    }

    /// Writes down what happened at `at`.
    pub(crate) fn record_at(&self, at: u64, what: What) -> Result<()> {
        Ok(self.recorder.record(&Event { at, client: self.args.number, what })?)
    }

    pub(crate) fn next_op(&self) -> u64 {
        self.next_op.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn order(&self) -> Order {
        match fs::read_to_string(&self.args.control).as_deref().map(str::trim) {
            Ok("stop") => Order::Stop,
            Ok("calm") => Order::Calm,
            _ => Order::Work,
        }
    }
}
