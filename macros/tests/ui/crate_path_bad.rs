use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}", crate = "mainstay_lock")]
async fn text(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

fn main() {}
