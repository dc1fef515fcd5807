use mainstay_lock::{LockError, Locks, lock};

struct Order;

#[lock(with = locks, key = Order)]
async fn pay(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(7)
}

fn main() {}
