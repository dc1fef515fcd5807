use mainstay_lock::{LockError, lock};

#[lock(key = "order:{id}")]
async fn pay(id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock]
async fn bare(id: u64) -> Result<u64, LockError> {
    Ok(id)
}

fn main() {}
