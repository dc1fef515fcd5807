use mainstay_lock::{LockError, Locks, lock};

#[lock(with = locks, key = "order:{id}")]
async fn pay(locks: Locks, id: u64) -> Result<u64, LockError> {
    let note = std::rc::Rc::new(id);
    std::future::ready(()).await;
    Ok(*note)
}

fn spawn(future: impl Future + Send) {
    drop(future);
}

fn start(locks: Locks) {
    spawn(pay(locks, 7));
}

fn main() {}
