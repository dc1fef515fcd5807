use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{ordr}")]
async fn pay(locks: &Locks, order: u64) -> Result<u64, LockError> {
    Ok(7)
}

fn main() {}
