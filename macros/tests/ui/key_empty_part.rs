use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order::{id}")]
async fn pay(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(7)
}

fn main() {}
