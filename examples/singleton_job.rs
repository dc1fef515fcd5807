//! How does a job run on one host at a time, and go on when that host stops?
//!
//! ```text
//! cargo run --example singleton_job
//! cargo run --example singleton_job --features redis -- --redis redis://127.0.0.1/
//! ```
//!
//! Three candidates campaign for one leadership; whoever leads does the job. The leader is stopped, the next
//! one takes over, and so on. On Redis the candidates may as well be processes on three hosts.

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{Result, locks};
use mainstay::lock::{Clock, LockError, LockHandle, Locks, election::Election};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};

const HOSTS: [&str; 3] = ["host-1", "host-2", "host-3"];

/// Steps of the job that a leader does before it is stopped.
const STEPS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    run(common::redis().as_deref()).await
}

pub(crate) async fn run(redis: Option<&str>) -> Result<()> {
    let locks = locks(redis)?;
    let job = Arc::new(Job::default());
    let (mut hosts, mut stops) = (JoinSet::new(), Vec::new());
    for id in HOSTS {
        let (stop, stopped) = oneshot::channel();
        stops.push((id, stop));
        hosts.spawn(host(locks.clone(), id, job.clone(), stopped));
    }
    while !stops.is_empty() {
        let leader = job.until_leader_did(STEPS).await?;
        let at =
            stops.iter().position(|(id, _)| *id == leader).ok_or("a stopped host led again")?;
        println!("{leader} is stopped");
        // It may have been quicker than we are; it stops all the same.
        let _ = stops.swap_remove(at).1.send(());
        while hosts.len() > stops.len() {
            hosts.join_next().await.ok_or("a host is missing")???;
        }
    }
    job.verdict()
}

/// A host: campaigns, does the job while it leads, and resigns when it is told to stop.
async fn host(
    locks: Locks,
    id: &'static str,
    job: Arc<Job>,
    stopped: oneshot::Receiver<()>,
) -> Result<Option<()>, LockError> {
    let election = Election::new(&locks, "nightly-report").candidate_id(id);
    let stop = async {
        let _ = stopped.await;
    };
    election.run_until(stop, |term| job.clone().work(id, term)).await
}

/// The job that must not run twice at once, and what became of it.
#[derive(Default)]
struct Job {
    running: Mutex<usize>,
    terms: Mutex<Vec<(&'static str, i64)>>,
    /// Who leads, and how many steps it did.
    steps: watch::Sender<(&'static str, usize)>,
}

impl Job {
    /// One step after the other, for as long as it leads; dropped when it does not.
    async fn work(self: Arc<Self>, id: &'static str, term: LockHandle) {
        let _running = Running::begin(&self);
        println!("{id} leads in term {}", term.fence());
        self.terms.lock().expect("nobody panicked").push((id, term.fence().get()));
        for step in 1.. {
            Clock::boot().sleep(Duration::from_millis(5)).await;
            self.steps.send_replace((id, step));
        }
    }

    async fn until_leader_did(&self, steps: usize) -> Result<&'static str> {
        let led = self.terms.lock().expect("nobody panicked").len().max(1);
        let mut watched = self.steps.subscribe();
        loop {
            let (leader, done) = *watched.borrow_and_update();
            let current = self.terms.lock().expect("nobody panicked").last().copied();
            if done >= steps && current.is_some_and(|(id, _)| id == leader) {
                return Ok(leader);
            }
            let next = Clock::boot().timeout(Duration::from_secs(60), watched.changed()).await;
            next.map_err(|_| format!("nobody followed leader number {led}"))??;
        }
    }

    fn verdict(&self) -> Result<()> {
        let terms = self.terms.lock().map_err(|_| "the job ran twice at once")?;
        let rising = terms.windows(2).all(|pair| pair[0].1 < pair[1].1);
        let all = HOSTS.iter().all(|host| terms.iter().any(|(id, _)| id == host));
        if terms.len() != HOSTS.len() || !rising || !all {
            return Err(format!("every host was to lead once, in rising terms: {terms:?}").into());
        }
        println!("{} hosts led one after the other, in rising terms", terms.len());
        Ok(())
    }
}

/// The job while it runs.
struct Running(Arc<Job>);

impl Running {
    fn begin(job: &Arc<Job>) -> Self {
        let mut running = job.running.lock().expect("nobody panicked");
        *running += 1;
        assert_eq!(*running, 1, "the job runs twice at once");
        Self(job.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(mut running) = self.0.running.lock() {
            *running -= 1;
        }
    }
}
