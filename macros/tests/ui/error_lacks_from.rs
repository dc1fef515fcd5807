use mainstay_lock::{Locks, lock};

struct PayError;

#[lock(with = locks, key = "order:{id}")]
async fn pay(locks: &Locks, id: u64) -> Result<u64, PayError> {
    Ok(id)
}

fn main() {}
