use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use mainstay_lock::local::{JobError, KeyedExecutor, Submitted};
use mainstay_testkit::cancel::{EveryAwait, yield_once};
use proptest::prelude::*;
use tokio::sync::Notify;

use super::poll;
use crate::ms;

/// What the jobs of all keys have done so far.
#[derive(Default)]
struct Log {
    started: BTreeMap<u8, Vec<usize>>,
    running: BTreeMap<u8, usize>,
    most: usize,
}

async fn job(log: Arc<Mutex<Log>>, key: u8, number: usize, awaits: usize) -> usize {
    {
        let mut log = log.lock().unwrap();
        log.started.entry(key).or_default().push(number);
        *log.running.entry(key).or_default() += 1;
        assert_eq!(log.running[&key], 1, "two jobs of {key} at once");
        log.most = log.most.max(log.running.values().sum());
    }
    for _ in 0..awaits {
        tokio::task::yield_now().await;
    }
    *log.lock().unwrap().running.get_mut(&key).unwrap() -= 1;
    number
}

#[derive(Clone, Debug)]
enum Step {
    Try { key: u8, awaits: usize },
    Submit { key: u8, awaits: usize },
    LetRun,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..5_usize).prop_map(|(key, awaits)| Step::Try { key, awaits }),
        3 => (0..6_u8, 0..5_usize).prop_map(|(key, awaits)| Step::Submit { key, awaits }),
        1 => Just(Step::LetRun),
    ]
}

proptest! {
    #[test]
    fn it_keeps_order_bounds_and_promises(
        (lanes, queue) in (1..4_usize, 1..4_usize),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let executor = KeyedExecutor::new(lanes, queue);
            let (log, mut accepted) = (Arc::new(Mutex::new(Log::default())), Vec::new());
            let mut queues: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
            for (number, step) in steps.iter().enumerate() {
                let submitted = match *step {
                    Step::Try { key, awaits } => {
                        let job = job(log.clone(), key, number, awaits);
                        executor.try_submit(key, job).ok().map(|submitted| (key, submitted))
                    }
                    Step::Submit { key, awaits } => {
                        let job = job(log.clone(), key, number, awaits);
                        Some((key, executor.submit(key, job).await.unwrap()))
                    }
                    Step::LetRun => {
                        tokio::task::yield_now().await;
                        None
                    }
                };
                if let Some((key, submitted)) = submitted {
                    queues.entry(key).or_default().push(number);
                    accepted.push((number, submitted));
                }
            }
            let all = accepted.len();
            for (number, submitted) in accepted {
                assert_eq!(submitted.await, Ok(number));
            }
            let log = log.lock().unwrap();
            assert_eq!(log.started, queues, "{all} jobs in another order");
            assert!(log.most <= lanes, "{} at once in {lanes} lanes", log.most);
        });
    }
}

#[tokio::test]
async fn a_full_lane_gives_the_job_back_and_submit_waits_for_room() {
    let executor = KeyedExecutor::new(1, 2);
    let gate = Arc::new(Notify::new());
    let wait = || {
        let gate = gate.clone();
        async move { gate.notified().await }
    };
    let running = executor.submit("a", wait()).await.unwrap();
    tokio::task::yield_now().await;
    let queued = [0, 1].map(|_| executor.try_submit("b", wait()).unwrap());
    // One runs, two wait, and that is all that is kept.
    let refused = executor.try_submit("c", async { 7 }).unwrap_err();
    assert!(refused.is_full(), "{refused}");
    assert_eq!(refused.into_job().await, 7, "the job comes back as it was");
    let mut waiting = Box::pin(executor.submit("c", async { 8 }));
    assert!(poll(waiting.as_mut()).is_pending());
    gate.notify_one();
    running.await.unwrap();
    let last = waiting.await.unwrap();
    for job in queued {
        gate.notify_one();
        job.await.unwrap();
    }
    assert_eq!(last.await, Ok(8));
}

/// Those who wait for room are served in their order, one who leaves takes nothing along.
#[test]
fn a_submission_dropped_at_any_await_leaves_its_room_to_the_next() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _context = runtime.enter();
    let executor = KeyedExecutor::new(1, 1);
    let (gate, ran) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let busy: RefCell<VecDeque<Submitted<()>>> = RefCell::default();
    let fill = || {
        // One that runs and one that waits.
        while let Ok(job) = executor.try_submit("a", {
            let gate = gate.clone();
            async move { gate.notified().await }
        }) {
            busy.borrow_mut().push_back(job);
            runtime.block_on(tokio::task::yield_now());
        }
    };
    let finish_one = || {
        if let Some(job) = busy.borrow_mut().pop_front() {
            gate.notify_one();
            runtime.block_on(job).unwrap();
            runtime.block_on(tokio::task::yield_now());
        }
    };
    let done = EveryAwait::new()
        .between_polls(finish_one)
        .after_drop(|at| {
            while !busy.borrow().is_empty() {
                finish_one();
            }
            assert_eq!(ran.load(Ordering::SeqCst), 0, "{at} ran");
            let next = executor.try_submit("a", async { 1 });
            assert_eq!(runtime.block_on(next.expect("room again")), Ok(1), "{at} keeps its room");
        })
        .run(|| {
            fill();
            let ran = ran.clone();
            executor.submit("a", async move { ran.fetch_add(1, Ordering::SeqCst) })
        });
    assert!(done.polls > 1, "it never waited");
    while !busy.borrow().is_empty() {
        finish_one();
    }
    assert_eq!(runtime.block_on(done.output.unwrap()), Ok(0));
}

#[tokio::test]
async fn a_panic_is_reported_and_the_next_job_runs() {
    let executor = KeyedExecutor::new(1, 8);
    let bad = executor.submit("a", async { panic!("on {}", "purpose") }).await.unwrap();
    let good = executor.submit("a", async { 7 }).await.unwrap();
    assert_eq!(bad.await, Err::<(), _>(JobError::Panicked { message: "on purpose".into() }));
    assert_eq!(good.await, Ok(7));

    /// Panics when it is dropped, as a result and as a part of the job.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                std::panic::resume_unwind(Box::new("bomb"));
            }
        }
    }
    drop(executor.submit("a", async { Bomb }).await.unwrap());
    let _unheard = executor.submit("a", async {
        let _bomb = Bomb;
        yield_once().await;
    });
    assert_eq!(executor.submit("a", async { 8 }).await.unwrap().await, Ok(8));
}

#[tokio::test]
async fn a_job_runs_although_nobody_waits_for_it_and_the_executor_is_gone() {
    let executor = KeyedExecutor::new(2, 8);
    let ran = Arc::new(AtomicUsize::new(0));
    for key in 0..8 {
        let ran = ran.clone();
        let job = async move {
            yield_once().await;
            ran.fetch_add(1, Ordering::SeqCst);
        };
        drop(executor.submit(key, job).await.unwrap());
    }
    drop(executor);
    let all_ran = async {
        while ran.load(Ordering::SeqCst) < 8 {
            tokio::task::yield_now().await;
        }
    };
    mainstay_lock::Clock::boot().timeout(ms(30_000), all_ran).await.unwrap();
}

#[test]
fn a_runtime_that_stopped_is_replaced_by_the_callers() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let executor = KeyedExecutor::new(1, 8);
    let refused = executor.try_submit("a", async { 1 });
    assert_eq!(refused.unwrap_err().to_string(), "there is no tokio runtime to run the job on");
    let first = runtime();
    let lost = first.block_on(async {
        let stuck = executor.submit("a", std::future::pending::<()>()).await.unwrap();
        tokio::task::yield_now().await;
        (stuck, executor.submit("a", async {}).await.unwrap())
    });
    drop(first);
    runtime().block_on(async {
        assert_eq!(lost.0.await, Err(JobError::Interrupted));
        assert_eq!(lost.1.await, Err(JobError::NotRun));
        assert_eq!(executor.submit("a", async { 2 }).await.unwrap().await, Ok(2));
    });
}
