use mainstay_lock::{LockError, Locks, lock};

#[lock(with = lock, key = "order:{id}", guard = lock)]
async fn pay(lock: &Locks, id: u64) -> Result<u64, LockError> {
    drop(lock.token());
    Ok(id)
}

fn main() {}
