//! The task that runs the jobs of one lane.

use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    select,
    sync::{mpsc, watch},
};

use super::{job::Job, outcome::Leftover};

/// How far a shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Jobs are accepted.
    Open,
    /// What was accepted is run, and nothing more is.
    Draining,
    /// Nothing is run any more.
    Stopped,
}

impl Phase {
    /// Moves on to `phase`; never back. Whether it moved.
    pub(super) fn reach(&mut self, phase: Self) -> bool {
        let moves = *self < phase;
        *self = (*self).max(phase);
        moves
    }
}

/// Runs jobs one after the other.
pub(super) struct Worker<K> {
    jobs: mpsc::Receiver<Job<K>>,
    phase: watch::Receiver<Phase>,
    seen: Phase,
    leftover: Arc<Mutex<Leftover<K>>>,
}

impl<K> Worker<K> {
    pub(super) fn new(
        jobs: mpsc::Receiver<Job<K>>,
        phase: watch::Receiver<Phase>,
        leftover: Arc<Mutex<Leftover<K>>>,
    ) -> Self {
        Self { jobs, phase, seen: Phase::Open, leftover }
    }

    /// Ends when nothing is left and nothing can come.
    pub(super) async fn run(mut self) {
        loop {
            let job = select! {
                biased;
                phase = beyond(&mut self.phase, self.seen) => {
                    self.enter(phase);
                    continue;
                }
                // Those who were promised room may still come after the close: it waits for them.
                job = self.jobs.recv() => job,
            };
            match job {
                Some(job) => self.work_off(job).await,
                None => return,
            }
        }
    }

    async fn work_off(&mut self, job: Job<K>) {
        let Job { key, mut work } = job;
        let started = self.seen < Phase::Stopped;
        while self.seen < Phase::Stopped {
            select! {
                biased;
                () = &mut work => return,
                phase = beyond(&mut self.phase, self.seen) => self.enter(phase),
            }
        }
        // What it drops is the user's, and the lane goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(work)));
        let mut leftover = self.leftover.lock().unwrap_or_else(PoisonError::into_inner);
        let list = if started { &mut leftover.interrupted } else { &mut leftover.not_run };
        list.push(key);
    }

    fn enter(&mut self, phase: Phase) {
        self.seen = phase;
        // Whoever waits for room learns that there will be none.
        self.jobs.close();
    }
}

/// Waits until a shutdown is further than `seen`.
async fn beyond(phase: &mut watch::Receiver<Phase>, seen: Phase) -> Phase {
    if let Ok(phase) = phase.wait_for(|phase| *phase > seen).await {
        return *phase;
    }
    // The last handle is gone: what was accepted is run to its end.
    pending().await
}
