//! Attributes stacked on one function: the top one is the outermost.

use std::sync::{Arc, Mutex, PoisonError};

use mainstay_breaker::{Breaker, BreakerError};
use mainstay_limiter::{Limit, LimitError, Limiter};
use mainstay_lock::{LockError, Locks};

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Limit,
    Lock,
    Breaker,
}

impl From<LimitError> for Refused {
    fn from(_: LimitError) -> Self {
        Self::Limit
    }
}

impl From<LockError> for Refused {
    fn from(_: LockError) -> Self {
        Self::Lock
    }
}

impl From<BreakerError> for Refused {
    fn from(_: BreakerError) -> Self {
        Self::Breaker
    }
}

struct Service {
    limiter: Limiter,
    locks: Locks,
    bank: Breaker,
    /// What was evaluated, in order.
    seen: Mutex<Vec<&'static str>>,
}

impl Service {
    fn new() -> Self {
        Self {
            limiter: Limiter::in_process(),
            locks: Locks::in_process(),
            bank: Breaker::builder("bank").consecutive(1).build(),
            seen: Mutex::default(),
        }
    }

    fn note<'a, T>(&'a self, what: &'static str, handle: &'a T) -> &'a T {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        handle
    }

    #[mainstay_limiter::limit(with = self.note("limit", &self.limiter), key = "bank", wait = std::time::Duration::ZERO)]
    #[mainstay_lock::lock(with = self.note("lock", &self.locks), key = "order:{id}", wait = std::time::Duration::ZERO, guard = held)]
    #[mainstay_breaker::breaker(with = self.note("breaker", &self.bank))]
    async fn pay(&self, id: u64) -> Result<bool, Refused> {
        Ok(held.is_held())
    }

    #[mainstay_breaker::breaker(with = self.bank)]
    #[mainstay_lock::lock(with = self.locks, key = "order:{id}", wait = std::time::Duration::ZERO)]
    async fn other_order(&self, id: u64) -> Result<bool, Refused> {
        Ok(true)
    }
}

#[async_trait::async_trait]
trait Pay: Sync {
    async fn pay_dyn(&self, id: u64) -> Result<u64, Refused>;
}

#[async_trait::async_trait]
impl Pay for Service {
    #[mainstay_limiter::limit(with = self.limiter, key = "bank", guard = permit)]
    #[mainstay_lock::lock(with = self.locks, key = "order:{id}", guard = held)]
    #[mainstay_breaker::breaker(with = self.bank, guard = call)]
    async fn pay_dyn(&self, id: u64) -> Result<u64, Refused> {
        assert!(permit.is_held() && held.is_held() && !call.is_trial());
        Ok(id)
    }
}

#[tokio::test]
async fn each_attribute_works_in_the_order_written() {
    let service = Service::new();
    assert_eq!(service.pay(7).await, Ok(true));
    assert_eq!(*service.seen.lock().unwrap(), ["limit", "lock", "breaker"]);

    let held = service.locks.lock("order:7").await.unwrap();
    assert_eq!(service.pay(7).await, Err(Refused::Lock));
    assert_eq!(service.bank.state(), mainstay_breaker::State::Closed, "the breaker is inside");

    service.limiter.set("bank", Limit::closed()).unwrap();
    assert_eq!(service.pay(7).await, Err(Refused::Limit), "the limit is asked before the lock");
    service.limiter.set("bank", Limit::unlimited()).unwrap();

    assert_eq!(service.other_order(7).await, Err(Refused::Lock));
    assert_eq!(
        service.bank.state(),
        mainstay_breaker::State::Open,
        "the breaker saw the lock's refusal"
    );
    drop(held);
    assert_eq!(service.pay(8).await, Err(Refused::Breaker));
}

#[tokio::test]
async fn a_stack_works_under_async_trait_and_in_spawned_tasks() {
    let service = Arc::new(Service::new());
    let clone = service.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { clone.pay(7).await.is_ok() && clone.pay_dyn(7).await.is_ok() });
    assert!(tasks.join_next().await.unwrap().unwrap());
}
