use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = 7)]
async fn pay(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(7)
}

fn main() {}
