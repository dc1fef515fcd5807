//! What `#[lock]` does to the function it annotates.

use std::{
    cell::Cell,
    pin::pin,
    task::{Context, Poll, Waker},
};

use mainstay_lock::{HasLocks, LockError, Locks, lock};

#[derive(Clone)]
struct Service {
    locks: Locks,
}

impl HasLocks for Service {
    fn locks(&self) -> &Locks {
        &self.locks
    }
}

impl Service {
    fn new() -> Self {
        Self { locks: Locks::in_process() }
    }

    #[lock(with = self, key = "order:{id}", guard = held)]
    async fn work(&self, id: u64, gate: impl Future<Output = ()>) -> Result<bool, LockError> {
        gate.await;
        Ok(held.is_held())
    }

    #[lock(with = self, key = "order:{id}", wait = std::time::Duration::ZERO)]
    async fn refused_at_once(&self, id: u64) -> Result<(), LockError> {
        Ok(())
    }

    #[lock(with = self, key = "order:{id}")]
    async fn outer(&self, id: u64) -> Result<bool, LockError> {
        self.work(id, async {}).await
    }

    #[lock(
        with = self,
        key = "order:{id}",
        wait = std::time::Duration::ZERO,
        on_reject = |error| if error.is_busy() { Ok("busy") } else { Err(error) }
    )]
    async fn answers_busy(&self, id: u64) -> Result<&'static str, LockError> {
        Ok("done")
    }

    #[lock(with = self, key = "order:{id}", mode = "read", wait = std::time::Duration::ZERO)]
    async fn reads<F: Future<Output = bool>>(&self, id: u64, also: F) -> Result<bool, LockError> {
        Ok(also.await)
    }

    #[lock(with = self, key = "order:{id}", mode = "write", wait = std::time::Duration::ZERO)]
    async fn writes(&self, id: u64) -> Result<(), LockError> {
        Ok(())
    }

    async fn is_held(&self, id: u64) -> bool {
        let key = mainstay_lock::key!("order:{}", id);
        self.locks.inspect(key).await.expect("in process").is_held()
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn the_body_runs_under_the_lock_and_others_wait() {
    let service = Service::new();
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let entered = Cell::new(false);
    let mut first = pin!(service.work(7, async { drop(gate.await) }));
    let mut second = pin!(service.work(7, async { entered.set(true) }));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    assert!(!entered.get(), "two bodies under one key");
    assert!(service.work(8, async {}).await.unwrap(), "another key is free");
    open.send(()).unwrap();
    assert!(first.await.unwrap(), "the guard is held inside the body");
    assert!(second.await.unwrap());
    assert!(entered.get());
    assert!(!service.is_held(7).await);
}

#[tokio::test]
async fn a_dropped_call_gives_the_lock_back() {
    let service = Service::new();
    {
        let mut call = pin!(service.work(7, std::future::pending()));
        assert!(poll(call.as_mut()).is_pending());
        assert!(service.is_held(7).await);
    }
    service.work(7, async {}).await.unwrap();
}

#[tokio::test]
async fn a_nested_call_of_the_same_key_is_the_same_hold() {
    assert!(Service::new().outer(7).await.unwrap());
}

#[tokio::test]
async fn a_refusal_becomes_the_functions_error() {
    let service = Service::new();
    let _held = service.locks.lock("order:7").await.unwrap();
    assert!(service.refused_at_once(7).await.unwrap_err().is_busy());
    assert_eq!(service.answers_busy(7).await.unwrap(), "busy");
    assert_eq!(service.answers_busy(8).await.unwrap(), "done");
}

#[tokio::test]
async fn a_value_cannot_forge_another_key() {
    #[lock(with = locks, key = "order:{id}:pay", guard = held)]
    async fn name(locks: &Locks, id: &str) -> Result<String, LockError> {
        Ok(held.key().unwrap().to_string())
    }
    let locks = Locks::in_process();
    assert_eq!(name(&locks, "7:pay").await.unwrap(), "order:7%3Apay:pay");
    assert!(matches!(name(&locks, "").await, Err(LockError::InvalidKey(_))));
}

#[tokio::test]
async fn handle_and_key_are_taken_before_the_body_moves_its_arguments() {
    #[lock(with = service.locks, key = "order:{text}")]
    async fn consumes(service: Service, text: String) -> Result<usize, LockError> {
        drop(service);
        Ok(text.into_bytes().len())
    }
    assert_eq!(consumes(Service::new(), "abc".to_owned()).await.unwrap(), 3);
}

#[tokio::test]
async fn readers_get_in_beside_readers_and_writers_do_not() {
    let (service, gate) = (Service::new(), tokio::sync::Notify::new());
    let first = service.reads(7, async {
        gate.notified().await;
        true
    });
    let beside = async {
        let reads = service.reads(7, async { true }).await;
        let writes = service.writes(7).await;
        gate.notify_one();
        (reads, writes)
    };
    let (first, (reads, writes)) = tokio::join!(first, beside);
    assert!(first.is_ok() && reads.is_ok());
    assert!(writes.is_err_and(|error| error.is_contended()));
    assert!(service.writes(7).await.is_ok());
}
