use mainstay_lock::{LockError, Locks, lock};

// A function and not a closure: a closure's name is its path, whose length changes rustc's wording.
fn is_busy(error: LockError) -> bool {
    error.is_busy()
}

#[lock(with = locks, key = "order:{id}", on_reject = is_busy)]
async fn not_a_result(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

#[lock(with = locks, key = "order:{id}", on_reject = 7)]
async fn not_a_function(locks: &Locks, id: u64) -> Result<u64, LockError> {
    Ok(id)
}

fn main() {}
