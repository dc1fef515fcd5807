use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}", wait = "30 parsecs")]
async fn unit(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock(with = locks, key = "order:{id}", wait = 250)]
async fn number(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock(with = locks, key = "order:{id}", lease = id)]
async fn variable(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

fn main() {}
