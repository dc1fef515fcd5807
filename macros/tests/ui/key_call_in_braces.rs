use mainstay_lock::{LockError, Locks, lock};

struct Order;

#[lock(with = locks, key = "order:{order.id()}")]
async fn pay(locks: &Locks, order: Order) -> Result<u64, LockError> {
    Ok(7)
}

fn main() {}
