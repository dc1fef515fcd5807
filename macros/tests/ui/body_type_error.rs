use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}")]
async fn in_the_middle(locks: &Locks, id: u64) -> Result<u64, LockError> {
    let text: &str = id;
    Ok(id)
}

#[lock(with = locks, key = "order:{id}")]
async fn at_the_end(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok("seven")
}

#[lock(with = locks, key = "order:{id}")]
async fn nothing_at_the_end(locks: &Locks, id: u64) -> Result<u64, LockError> {
    drop(id);
}

fn main() {}
