//! Limit, lock and breaker around one call: as layers, as attributes, and dropped at every await.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mainstay::{
    breaker,
    breaker::{Breaker, BreakerError, BreakerLayer},
    key, limit,
    limiter::{LimitError, LimitLayer, Limiter},
    lock,
    lock::{LockError, LockLayer, Locks},
};
use mainstay_testkit::cancel::{cancel_at_every_await_async, yield_once};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Breaker(#[from] BreakerError),
    #[error("the bank says no")]
    Bank,
}

/// A partner that counts who is inside.
#[derive(Debug, Default)]
struct Bank {
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Bank {
    async fn charge(&self, cents: i64) -> Result<i64, CallError> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        yield_once().await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
        if cents < 0 { Err(CallError::Bank) } else { Ok(cents) }
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Debug)]
struct Shop {
    locks: Locks,
    limits: Limiter,
    breaker: Breaker,
    bank: Arc<Bank>,
}

impl Shop {
    fn new(at_once: u32) -> Self {
        let limits = Limiter::builder().limit("bank", at_once).in_process();
        let breaker = Breaker::builder("bank").consecutive(3).build();
        Self { locks: Locks::in_process(), limits, breaker, bank: Arc::default() }
    }

    #[limit(with = self.limits, key = "bank:pay", wait = WAIT)]
    #[lock(with = self.locks, key = "customer:{customer}", wait = WAIT)]
    #[breaker(with = self.breaker)]
    async fn pay(&self, customer: u32, cents: i64) -> Result<i64, CallError> {
        self.bank.charge(cents).await
    }

    /// Nothing is held: no permit, no lock, nobody in line.
    async fn assert_idle(&self) {
        let snapshot = self.limits.snapshot();
        assert!(snapshot.scopes.values().all(|scope| scope.used == 0), "{snapshot:?}");
        assert_eq!(snapshot.waiting, 0);
        for customer in 0..3 {
            // A lock is given back in the background: whoever comes next waits for that, not for a lease.
            let guard = self
                .locks
                .lock(key!("customer:{}", customer))
                .wait(WAIT)
                .await
                .expect("a free lock");
            guard.release().await;
        }
    }
}

#[tokio::test]
async fn attributes_stack_from_the_outside_in() {
    let service = Shop::new(4);
    let calls = (0..30).map(|n| service.pay(n % 3, 1));
    for paid in futures_util::future::join_all(calls).await {
        assert_eq!(paid.expect("paid"), 1);
    }
    // Three customers, one call of each at a time.
    assert_eq!(service.bank.most(), 3);
    service.assert_idle().await;
}

#[tokio::test]
async fn a_refusal_of_any_of_them_arrives_as_the_calls_own_error() {
    let service = Shop::new(4);
    for _ in 0..3 {
        assert!(matches!(service.pay(0, -1).await, Err(CallError::Bank)));
    }
    let refused = service.pay(0, 1).await;
    assert!(matches!(&refused, Err(CallError::Breaker(error)) if error.is_open()), "{refused:?}");
    service.limits.close("bank").expect("a scope");
    assert!(matches!(service.pay(0, 1).await, Err(CallError::Limit(_))));
    service.assert_idle().await;
}

#[tokio::test]
async fn layers_stack_like_attributes() {
    let parts = Shop::new(2);
    let bank = parts.bank.clone();
    let service = ServiceBuilder::new()
        .layer(LimitLayer::new(parts.limits.clone(), |_: &(u32, i64)| "bank:pay").wait(WAIT))
        .layer(
            LockLayer::new(parts.locks.clone(), |call: &(u32, i64)| key!("customer:{}", call.0))
                .wait(WAIT),
        )
        .layer(BreakerLayer::new(parts.breaker.clone()))
        .service(service_fn(move |call: (u32, i64)| {
            let bank = bank.clone();
            async move { bank.charge(call.1).await }
        }));
    let calls = (0..30).map(|n| service.clone().oneshot((n % 3, 1)));
    for paid in futures_util::future::join_all(calls).await {
        assert_eq!(paid.expect("paid"), 1);
    }
    assert_eq!(parts.bank.most(), 2);
    // A clone that became ready and is never called holds nothing.
    let mut idle = service.clone();
    idle.ready().await.expect("ready");
    parts.assert_idle().await;
    assert_eq!(idle.call((1, 5)).await.expect("paid"), 5);
}

#[tokio::test]
async fn a_stacked_call_dropped_at_any_await_leaves_nothing_behind() {
    let service = Shop::new(1);
    let done = cancel_at_every_await_async(|| service.pay(0, 7)).await;
    assert_eq!(done.output.expect("paid"), 7);
    assert!(done.polls > 1, "there was an await to be dropped at");
    service.assert_idle().await;
}
