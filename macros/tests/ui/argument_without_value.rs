use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key)]
async fn no_value(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock("order")]
async fn no_name(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

fn main() {}
