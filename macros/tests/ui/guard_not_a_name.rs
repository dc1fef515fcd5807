use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}", guard = "held")]
async fn pay(locks: &Locks, id: u64) -> Result<u64, LockError> {
    drop(held.token());
    Ok(id)
}

fn main() {}
