//! What `#[limit]` does to the function it annotates.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use mainstay_limiter::{HasLimiter, Limit, LimitError, Limiter, limit};

struct Bank {
    limiter: Limiter,
}

impl HasLimiter for Bank {
    fn limiter(&self) -> &Limiter {
        &self.limiter
    }
}

impl Bank {
    fn new(limit: Limit) -> Arc<Self> {
        Arc::new(Self { limiter: Limiter::builder().limit("bank", limit).in_process() })
    }

    #[limit(with = self, key = "bank:{interface}", permits = 2, wait = Duration::ZERO)]
    async fn call(
        &self,
        interface: &str,
        gate: impl Future<Output = ()>,
    ) -> Result<u32, LimitError> {
        gate.await;
        Ok(self.used(interface))
    }

    #[limit(with = self, key = "bank", wait = Duration::ZERO, guard = permit)]
    async fn unknown_outcome(self: Arc<Self>, ttl: Duration) -> Result<u32, LimitError> {
        let _held = permit.hold(ttl);
        Ok(permit.weight())
    }

    #[limit(
        with = self,
        key = "bank",
        wait = Duration::ZERO,
        on_reject = |error| Ok(error.is_rejected())
    )]
    async fn is_full(&self) -> Result<bool, LimitError> {
        Ok(false)
    }

    #[limit(with = self, key = "bank", wait = Duration::ZERO, id = "{order}")]
    async fn named(&self, order: u64, gate: impl Future<Output = ()>) -> Result<u32, LimitError> {
        gate.await;
        Ok(self.limiter.snapshot().scope("bank").map_or(0, |scope| scope.used))
    }

    fn used(&self, interface: &str) -> u32 {
        let scope = format!("bank:{interface}");
        self.limiter.snapshot().scope(&scope).map_or(0, |scope| scope.used)
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_call_counts_with_its_weight_and_the_next_is_refused() {
    let bank = Bank::new(Limit::max(3));
    bank.limiter.set("bank:pay", Limit::max(9)).unwrap();
    {
        let mut first = pin!(bank.call("pay", std::future::pending()));
        assert!(poll(first.as_mut()).is_pending());
        assert_eq!(bank.used("pay"), 2);
        assert!(bank.call("refund", async {}).await.unwrap_err().is_rejected());
    }
    assert_eq!(bank.used("pay"), 0, "a dropped call gives its permits back");
    assert_eq!(bank.call("pay", async {}).await.unwrap(), 2, "counted while the body runs");
    assert_eq!(bank.used("pay"), 0);
}

#[tokio::test]
async fn a_body_may_keep_its_slot() {
    let bank = Bank::new(Limit::max(1));
    assert!(!bank.is_full().await.unwrap());
    assert_eq!(bank.clone().unknown_outcome(Duration::from_secs(600)).await.unwrap(), 1);
    assert!(bank.is_full().await.unwrap(), "kept after the call is over");
}

#[tokio::test]
async fn on_reject_answers_for_a_refused_call() {
    assert!(Bank::new(Limit::closed()).is_full().await.is_ok());
    let bank = Bank::new(Limit::max(1));
    let _held = bank.limiter.acquire("bank").await.unwrap();
    assert!(bank.is_full().await.unwrap());
}

#[tokio::test]
async fn calls_of_one_id_share_a_slot() {
    let bank = Bank::new(Limit::max(1));
    let mut first = pin!(bank.named(7, std::future::pending()));
    assert!(poll(first.as_mut()).is_pending());
    assert_eq!(bank.named(7, async {}).await.unwrap(), 1);
    assert!(bank.named(8, async {}).await.is_err());
}
