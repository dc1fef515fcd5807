use mainstay_lock::{LockError, lock};

struct Service {
    name: String,
}

impl Service {
    #[lock(with = self.name, key = "order:{id}")]
    async fn by_field(&self, id: u64) -> Result<u64, LockError> {
        Ok(id)
    }

    #[lock(with = self, key = "order:{id}")]
    async fn by_self(&self, id: u64) -> Result<u64, LockError> {
        Ok(id)
    }
}

fn main() {}
