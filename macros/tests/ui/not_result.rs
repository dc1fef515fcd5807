use mainstay_lock::{Locks, lock};

struct Receipt;

#[lock(with = locks, key = "order:{id}")]
async fn nothing(locks: &Locks, id: u64) {
    drop((locks, id));
}

#[lock(with = locks, key = "order:{id}")]
async fn an_option(locks: &Locks, id: u64) -> Option<u64> {
    Some(id)
}

#[lock(with = locks, key = "order:{id}")]
async fn a_type_of_ones_own(locks: &Locks, id: u64) -> Receipt {
    Receipt
}

fn main() {}
