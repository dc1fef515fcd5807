use mainstay_lock::{LockError, Locks, lock};

struct Order {
    id: u64,
}

#[lock(with = locks, key = "order:{order.number}")]
async fn pay(locks: &Locks, order: Order) -> Result<u64, LockError> {
    Ok(7)
}

fn main() {}
