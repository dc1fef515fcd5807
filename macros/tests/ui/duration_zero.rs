use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}", wait = "0ms")]
async fn wait(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock(with = locks, key = "order:{id}", lease = "0s")]
async fn lease(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

fn main() {}
