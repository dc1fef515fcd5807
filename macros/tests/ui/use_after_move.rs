use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}", wait = wait(id))]
async fn pay(locks: &Locks, id: String) -> Result<usize, LockError> {
    Ok(id.len())
}

fn wait(id: String) -> std::time::Duration {
    std::time::Duration::from_millis(id.len() as u64)
}

fn main() {}
