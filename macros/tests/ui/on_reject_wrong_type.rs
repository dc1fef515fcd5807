use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}", on_reject = |error| error.is_busy())]
async fn not_a_result(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock(with = locks, key = "order:{id}", on_reject = 7)]
async fn not_a_function(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

fn main() {}
