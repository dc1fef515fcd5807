use mainstay_lock::{Locks, lock};

#[lock(with = locks, key = "order")]
struct Payment {
    locks: Locks,
}

fn main() {}
