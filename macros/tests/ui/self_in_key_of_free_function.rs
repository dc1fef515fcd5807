use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{self.id}")]
async fn pay(locks: &Locks) -> Result<u64, LockError> {
    Ok(7)
}

fn main() {}
