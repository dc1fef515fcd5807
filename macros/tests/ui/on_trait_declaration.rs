#![allow(async_fn_in_trait)]

use mainstay_lock::{LockError, lock};

trait Pay {
    #[lock(with = self.locks, key = "order:{id}")]
    async fn pay(&self, id: u64) -> Result<u64, LockError>;
}

fn main() {}
