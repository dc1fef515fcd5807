//! What an attribute costs, against the same call by hand.

use std::{
    future::{pending, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use mainstay_breaker::{Breaker, BreakerError, breaker};
use mainstay_limiter::{LimitError, Limiter, limit};
use mainstay_lock::{LockError, Locks, lock};

/// How a body ends: a kilobyte and a wait for ever, or at once.
enum Body {
    Waits,
    Ends,
}

/// A body that keeps a kilobyte across an await.
async fn body(kind: Body) {
    if let Body::Ends = kind {
        return ready(()).await;
    }
    let bytes = [7_u8; 1024];
    pending::<()>().await;
    std::hint::black_box(&bytes);
}

#[lock(with = locks, key = "order:{id}")]
async fn locked(locks: &Locks, id: u64, kind: Body) -> Result<(), LockError> {
    body(kind).await;
    Ok(())
}

async fn locked_by_hand(locks: &Locks, id: u64, kind: Body) -> Result<(), LockError> {
    let request = locks.lock(mainstay_lock::key!("order:{}", id));
    request
        .run(async move {
            body(kind).await;
            Ok(())
        })
        .await
}

#[lock(with = locks, key = "order:{id}", guard = held)]
async fn locked_with_guard(locks: &Locks, id: u64, kind: Body) -> Result<(), LockError> {
    body(kind).await;
    drop(held);
    Ok(())
}

#[limit(with = limiter, key = "bank")]
async fn limited(limiter: &Limiter, kind: Body) -> Result<(), LimitError> {
    body(kind).await;
    Ok(())
}

async fn limited_by_hand(limiter: &Limiter, kind: Body) -> Result<(), LimitError> {
    let request = limiter.acquire("bank");
    request
        .run(async move {
            body(kind).await;
            Ok(())
        })
        .await
}

#[breaker(with = bank)]
async fn broken(bank: &Breaker, kind: Body) -> Result<(), BreakerError> {
    body(kind).await;
    Ok(())
}

async fn broken_by_hand(bank: &Breaker, kind: Body) -> Result<(), BreakerError> {
    let request = bank.call();
    request
        .run(async move {
            body(kind).await;
            Ok(())
        })
        .await
}

/// The four sizes that matter are compared; `cargo test -- --nocapture` shows them.
#[test]
fn an_attribute_costs_what_the_call_costs() {
    let (locks, limiter, bank) = (Locks::in_process(), Limiter::in_process(), Breaker::new("bank"));
    let bare = size_of_val(&body(Body::Waits));
    let by_hand = [
        size_of_val(&locked_by_hand(&locks, 7, Body::Waits)),
        size_of_val(&limited_by_hand(&limiter, Body::Waits)),
        size_of_val(&broken_by_hand(&bank, Body::Waits)),
    ];
    let by_attribute = [
        size_of_val(&locked(&locks, 7, Body::Waits)),
        size_of_val(&limited(&limiter, Body::Waits)),
        size_of_val(&broken(&bank, Body::Waits)),
    ];
    let with_guard = size_of_val(&locked_with_guard(&locks, 7, Body::Waits));
    println!(
        "body {bare}; by hand {by_hand:?}; by attribute {by_attribute:?}; with guard {with_guard}"
    );
    for (attribute, hand) in by_attribute.iter().zip(by_hand) {
        assert!(*attribute <= hand + 8, "an attribute adds {} bytes", attribute - hand);
    }
    assert!(
        with_guard <= by_attribute[0] + 16,
        "a guard adds {} bytes",
        with_guard - by_attribute[0]
    );
    assert!(by_attribute.iter().all(|size| *size < 2 * bare), "the body is stored once");
}

/// Allocations of a call that ends at once; the first one may fill registries.
fn allocations<F: Future<Output: std::fmt::Debug>>(call: impl Fn() -> F) -> u64 {
    let run = || {
        let mut future = pin!(call());
        let mut context = Context::from_waker(Waker::noop());
        let done = std::iter::repeat_with(|| future.as_mut().poll(&mut context)).take(8);
        assert!(done.into_iter().any(|poll| matches!(poll, Poll::Ready(_))), "it ends at once");
    };
    run();
    allocation_counter::measure(run).count_total
}

#[test]
fn an_attribute_allocates_nothing_more() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let (locks, limiter, bank) =
        (&Locks::in_process(), &Limiter::in_process(), &Breaker::new("bank"));
    let lock = [
        allocations(|| locked_by_hand(locks, 7, Body::Ends)),
        allocations(|| locked(locks, 7, Body::Ends)),
    ];
    let limit = [
        allocations(|| limited_by_hand(limiter, Body::Ends)),
        allocations(|| limited(limiter, Body::Ends)),
    ];
    let breaker = [
        allocations(|| broken_by_hand(bank, Body::Ends)),
        allocations(|| broken(bank, Body::Ends)),
    ];
    println!("by hand and by attribute: lock {lock:?}, limit {limit:?}, breaker {breaker:?}");
    for [by_hand, by_attribute] in [lock, limit, breaker] {
        assert_eq!(by_attribute, by_hand);
    }
}

#[derive(Debug)]
struct Refused;

impl From<LockError> for Refused {
    fn from(_: LockError) -> Self {
        Self
    }
}

impl From<LimitError> for Refused {
    fn from(_: LimitError) -> Self {
        Self
    }
}

impl From<BreakerError> for Refused {
    fn from(_: BreakerError) -> Self {
        Self
    }
}

#[limit(with = limiter, key = "bank")]
#[lock(with = locks, key = "order:{id}")]
#[breaker(with = bank)]
async fn stacked(
    (limiter, locks, bank): (&Limiter, &Locks, &Breaker),
    id: u64,
    kind: Body,
) -> Result<(), Refused> {
    body(kind).await;
    Ok(())
}

/// An `async fn run(work)` would keep its work twice, and three of them eight times.
#[test]
fn a_stack_stores_the_body_once() {
    let (locks, limiter, bank) = (Locks::in_process(), Limiter::in_process(), Breaker::new("bank"));
    let size = size_of_val(&stacked((&limiter, &locks, &bank), 7, Body::Waits));
    println!("three attributes around {} bytes: {size}", size_of_val(&body(Body::Waits)));
    assert!(size < 2 * size_of_val(&body(Body::Waits)));
}
