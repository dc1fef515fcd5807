//! Futures dropped at every await: nothing stays held and nobody stays in line.

use std::cell::RefCell;

use mainstay_lock::{InProcess, LockError, Locks, ManualClock};
use mainstay_testkit::cancel::{EveryAwait, cancel_at_every_await_async, yield_once};
use tokio::runtime::Runtime;

use crate::{faulty::Faulty, manual, ms};

/// Work with one await.
async fn rest() -> Result<(), LockError> {
    yield_once().await;
    Ok(())
}

struct Scene {
    runtime: Runtime,
    _time: ManualClock,
    store: InProcess,
    locks: Locks,
}

impl Scene {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (time, builder) = manual();
        let store = InProcess::new(time.clock());
        let locks = builder.store(store.clone());
        Self { runtime, _time: time, store, locks }
    }

    /// Drops `make`'s future at every await while somebody else holds `a` until it waits.
    fn every_await<F: Future>(&self, make: impl Fn() -> F) -> F::Output {
        let _context = self.runtime.enter();
        let holder = RefCell::new(None);
        let take = || self.runtime.block_on(self.locks.lock("a").into_future());
        let done = EveryAwait::new()
            .between_polls(|| drop(holder.take()))
            .after_drop(|at| {
                holder.take();
                assert!(self.store.is_empty(), "{at} left {:?}", self.store);
            })
            .run(|| {
                holder.replace(Some(take().unwrap()));
                make()
            });
        assert!(done.polls > 1, "it never waited");
        done.output
    }
}

#[test]
fn a_lock() {
    let scene = Scene::new();
    let guard = scene.every_await(|| scene.locks.lock("a").into_future()).unwrap();
    assert!(guard.is_held());
}

#[test]
fn work_under_a_lock() {
    let scene = Scene::new();
    let work = || async {
        yield_once().await;
        scene.locks.lock("b").run(rest()).await?;
        yield_once().await;
        Ok::<_, LockError>(7)
    };
    assert_eq!(scene.every_await(|| scene.locks.lock("a").run(work())).unwrap(), 7);
    assert!(scene.store.is_empty());
}

#[test]
fn nested_work() {
    let scene = Scene::new();
    let inner = || scene.locks.lock("a").run(rest());
    let work = || async { inner().await };
    scene.every_await(|| scene.locks.lock("a").run(work())).unwrap();
    assert!(scene.store.is_empty());
}

#[test]
fn a_read_behind_a_writer() {
    let scene = Scene::new();
    let read = || scene.locks.read_write("a").read().run(rest());
    scene.every_await(read).unwrap();
    assert!(scene.store.is_empty());
}

/// Two readers hold the lock while a writer and a reader behind it come and go.
#[test]
fn a_writer_and_a_reader_behind_readers() {
    let scene = Scene::new();
    let lock = scene.locks.read_write("a");
    let call = || async {
        let readers = (lock.read().await?, lock.read().await?);
        let writes = async {
            drop(lock.write().await?);
            Ok::<_, LockError>(())
        };
        let reads = async {
            drop(lock.read().await?);
            Ok::<_, LockError>(())
        };
        let ends = async {
            yield_once().await;
            drop(readers);
            Ok::<_, LockError>(())
        };
        tokio::try_join!(writes, reads, ends)
    };
    scene.every_await(call).unwrap();
    assert!(scene.store.is_empty());
}

#[test]
fn several_locks() {
    let scene = Scene::new();
    let set = scene.every_await(|| scene.locks.lock_all(["0", "a", "b"]).into_future()).unwrap();
    assert_eq!(set.guards().len(), 3);
}

#[test]
fn a_watched_piece_of_work() {
    let scene = Scene::new();
    let call = || async {
        let guard = scene.locks.lock("a").await?;
        guard.run(yield_once()).await?;
        guard.scope(yield_once()).await;
        Ok::<_, LockError>(guard.release().await)
    };
    scene.every_await(call).unwrap();
    assert!(scene.store.is_empty());
}

/// Acquire, work and release all wait for answers here; each is dropped in the middle.
#[tokio::test]
async fn work_under_a_remote_lock() {
    let (time, builder) = manual();
    let backend = Faulty::new(time.clock(), ms(2));
    let locks = builder.lease(ms(60_000)).wait(ms(60_000)).backend(backend.clone());
    let ticker = tokio::spawn({
        let time = time.clone();
        async move {
            loop {
                time.run_for(ms(1)).await;
            }
        }
    });
    let call = || async {
        let work = rest();
        locks.lock("a").run(work).await?;
        let both = (locks.read_write("a").read().await?, locks.read_write("a").read().await?);
        drop(both);
        let guard = locks.lock("a").await?;
        guard.extend(ms(50_000)).await?;
        Ok::<_, LockError>(guard.release().await)
    };
    cancel_at_every_await_async(call).await.output.unwrap();
    ticker.abort();
    time.run_for(ms(1_000)).await;
    assert!(backend.store().is_empty(), "left behind: {:?}", backend.store());
}
