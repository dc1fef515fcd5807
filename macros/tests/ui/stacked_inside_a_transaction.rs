use mainstay_breaker::{Breaker, breaker};
use mainstay_limiter::{Limiter, limit};
use mainstay_lock::{Locks, lock};
use mainstay_outbox::{Outbox, idempotent, transactional};

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Service {
    outbox: Outbox,
    locks: Locks,
    limiter: Limiter,
    bank: Breaker,
}

impl Service {
    #[transactional(with = self.outbox, tx = tx)]
    #[lock(with = self.locks, key = "order:{id}")]
    async fn locked(&self, id: u64) -> Result<u64, Error> {
        drop(tx);
        Ok(id)
    }

    #[idempotent(with = self.outbox, key = "submit:{id}")]
    #[limit(with = self.limiter, key = "bank:pay")]
    async fn limited(&self, id: u64) -> Result<u64, Error> {
        Ok(id)
    }

    #[idempotent(with = self.outbox, key = "submit:{id}", tx = tx)]
    #[breaker(with = self.bank)]
    async fn remote(&self, id: u64) -> Result<u64, Error> {
        drop(tx);
        Ok(id)
    }

    #[idempotent(with = self.outbox, key = "submit:{id}", tx = tx)]
    #[transactional(with = self.outbox, tx = inner)]
    async fn nested(&self, id: u64) -> Result<u64, Error> {
        drop((tx, inner));
        Ok(id)
    }
}

fn main() {}
