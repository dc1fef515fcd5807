//! The attributes as the facade exports them, and under a path of the user's choice.

// The names under which the facade exports them are looked up in a crate called `mainstay`.
extern crate self as mainstay;

use mainstay_breaker::{Breaker, BreakerError};
use mainstay_limiter::{LimitError, Limiter};
use mainstay_lock::{LockError, Locks};

/// What the facade's module of the lock holds.
pub mod lock {
    pub use mainstay_lock::*;
    pub use mainstay_macros::facade_lock as lock;
}

/// What the facade's module of the limiter holds.
pub mod limiter {
    pub use mainstay_limiter::*;
    pub use mainstay_macros::facade_limit as limit;
}

/// What the facade's module of the breaker holds.
pub mod breaker {
    pub use mainstay_breaker::*;
    pub use mainstay_macros::facade_breaker as breaker;
}

/// What the facade's module of the outbox holds.
pub mod outbox {
    pub use mainstay_macros::{
        facade_idempotent as idempotent, facade_transactional as transactional,
    };
    pub use mainstay_outbox::*;
}

mod renamed {
    pub(crate) use mainstay_lock::*;
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

struct Service {
    limiter: Limiter,
    locks: Locks,
    bank: Breaker,
    outbox: mainstay_outbox::Outbox,
}

impl Service {
    #[mainstay::limiter::limit(with = self.limiter, key = "bank")]
    #[mainstay::lock::lock(with = self.locks, key = "order:{id}", guard = held)]
    #[mainstay::breaker::breaker(with = self.bank)]
    async fn pay(&self, id: u64) -> Result<bool, Refused> {
        Ok(held.is_held() && id == 7)
    }

    #[renamed::lock(with = self.locks, key = "order:{id}", wait = "1s", crate = renamed)]
    #[mainstay::breaker::breaker(with = self.bank)]
    async fn by_path(&self, id: u64) -> Result<u64, Refused> {
        Ok(id)
    }

    #[mainstay::outbox::idempotent(with = self.outbox, key = "submit:{id}")]
    #[mainstay::outbox::idempotent(with = self.outbox, key = "order:{id}", tx = tx)]
    async fn submit(&self, id: u64) -> Result<u64, mainstay_outbox::OutboxError> {
        drop(tx);
        Ok(id)
    }

    #[mainstay::outbox::transactional(with = self.outbox, tx = tx)]
    async fn place(&self, id: u64) -> Result<u64, mainstay_outbox::OutboxError> {
        drop(tx);
        Ok(id)
    }
}

#[tokio::test]
async fn every_attribute_finds_its_names() {
    let file = tempfile::tempdir().unwrap();
    let pool = mainstay_outbox::sqlite::pool(file.path().join("orders.db")).await.unwrap();
    let service = Service {
        limiter: Limiter::in_process(),
        locks: Locks::in_process(),
        bank: Breaker::new("bank"),
        outbox: mainstay_outbox::Outbox::sqlite(pool),
    };
    service.outbox.migrate().await.unwrap();
    assert!(service.pay(7).await.unwrap());
    assert_eq!(service.by_path(7).await.unwrap(), 7);
    assert_eq!(service.submit(7).await.unwrap(), 7);
    assert_eq!(service.place(7).await.unwrap(), 7);
}
