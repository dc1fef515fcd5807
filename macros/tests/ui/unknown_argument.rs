use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}", wati = "250ms")]
async fn misspelt(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock(with = locks, key = "order:{id}", timeout = "250ms")]
async fn by_another_name(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock(with = locks, key = "order:{id}", permits = 2)]
async fn of_another_attribute(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock(with = locks, key = "order:{id}", banana = 2)]
async fn of_none(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

fn main() {}
