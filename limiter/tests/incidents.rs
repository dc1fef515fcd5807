//! Accidents that happened, and what keeps them from happening again.
#![expect(
    clippy::disallowed_methods,
    reason = "the callers of these accidents are tasks of their own"
)]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use mainstay_limiter::{Clock, Limit, LimitError, Limiter, ManualClock, Reason};
use support::{granted, ms, refused, scope, used};
use tokio::sync::Semaphore;

const SLOTS: u32 = 8;
const QUEUE: u32 = 32;

/// A bank that the network made slow.
#[derive(Clone)]
struct SlowBank {
    clock: Clock,
    latency: Arc<AtomicU64>,
    alive: Arc<AtomicUsize>,
}

impl SlowBank {
    async fn pay(self) {
        let latency = self.latency.load(Ordering::Relaxed);
        self.clock.sleep(ms(latency)).await;
    }
}

/// One caller that is in memory, from its arrival to its answer.
struct Caller(Arc<AtomicUsize>);

impl Caller {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(alive.clone())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Calls once a millisecond, and returns the most callers that were in memory at once.
async fn callers<F, Fut>(time: &ManualClock, bank: &SlowBank, calls: usize, call: F) -> usize
where
    F: Fn(SlowBank) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut most = 0;
    for _ in 0..calls {
        let (caller, work) = (Caller::new(&bank.alive), call(bank.clone()));
        tokio::spawn(async move {
            work.await;
            drop(caller);
        });
        time.run_for(ms(1)).await;
        most = most.max(bank.alive.load(Ordering::Relaxed));
    }
    most
}

/// Network jitter made calls a hundred times slower; the pool's queue grew until memory ran out.
#[tokio::test]
async fn jitter_backlog_bounded() {
    let time = ManualClock::new();
    let bank = SlowBank {
        clock: time.clock(),
        latency: Arc::new(AtomicU64::new(500)),
        alive: Arc::new(AtomicUsize::new(0)),
    };

    // The naive way: a pool whose queue has no end.
    let pool = Arc::new(Semaphore::new(8));
    let naive = callers(&time, &bank, 1000, |bank| {
        let pool = pool.clone();
        async move {
            let _slot = pool.acquire().await;
            bank.pay().await;
        }
    });
    assert!(naive.await > 900, "the backlog grows with every call");
    time.run_for(ms(100_000)).await;
    assert_eq!(bank.alive.load(Ordering::Relaxed), 0);

    let limiter = Limiter::builder()
        .clock(time.clock())
        .limit("bank", Limit::max(SLOTS).queue(QUEUE))
        .wait(ms(2000))
        .in_process();
    let refusals = Arc::new(std::sync::Mutex::new(Vec::new()));
    let call = |bank: SlowBank| {
        let (limiter, refusals) = (limiter.clone(), refusals.clone());
        async move {
            let work = async {
                bank.pay().await;
                Ok::<_, LimitError>(())
            };
            if let Err(error) = limiter.acquire("bank:pay").run(work).await {
                refusals.lock().unwrap().push(error);
            }
        }
    };
    let ours = callers(&time, &bank, 3000, call).await;
    let bound = usize::try_from(SLOTS + QUEUE).unwrap() + 1;
    assert!(ours <= bound, "{ours} callers in memory at once");
    let seen = scope(&limiter, "bank");
    assert!(seen.peak <= SLOTS && seen.waiting <= QUEUE);
    {
        let refusals = refusals.lock().unwrap();
        assert!(refusals.len() > 2000, "callers are told instead of kept: {}", refusals.len());
        for error in refusals.iter() {
            let told = matches!(
                error,
                LimitError::Rejected { reason: Reason::QueueFull | Reason::Deadline, .. }
                    | LimitError::Timeout { .. }
            );
            assert!(told && error.retry_after().is_some(), "{error}");
        }
    }

    // The network recovers, and so does the limiter.
    time.run_for(ms(5000)).await;
    bank.latency.store(5, Ordering::Relaxed);
    refusals.lock().unwrap().clear();
    callers(&time, &bank, 200, call).await;
    assert_eq!(refusals.lock().unwrap().len(), 0, "nobody is refused any more");
    time.run_for(ms(5000)).await;
    assert_eq!(used(&limiter, "bank"), 0);
}

/// The reply of a grant was lost; the client's retry with the same id was refused at the limit,
/// although the slot was its own.
#[test]
fn same_id_twice_at_the_limit() {
    // The naive way: slots have no names.
    let naive = Semaphore::new(1);
    let _granted = naive.try_acquire().unwrap();
    assert!(naive.try_acquire().is_err(), "the retry is refused by its own slot");

    let limiter = Limiter::builder().limit("bank", Limit::max(1)).in_process();
    let request = || limiter.acquire("bank:pay").id("order-7");
    let first = granted(&mut request().into_future());
    let retry = granted(&mut request().into_future());
    assert_eq!(used(&limiter, "bank"), 1, "granted again, counted once");
    let other = refused(&mut limiter.acquire("bank:pay").id("order-8").into_future());
    assert!(other.is_rejected(), "{other}");
    drop(first);
    assert_eq!(used(&limiter, "bank"), 1);
    drop(retry);
    assert_eq!(used(&limiter, "bank"), 0);
    assert!(limiter.try_acquire("bank:pay").is_ok());
}
