use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use mainstay_lock::local::SingleFlight;
use mainstay_testkit::cancel::{EveryAwait, yield_once};
use tokio::sync::{Notify, oneshot};

use super::poll;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_ask_meanwhile_share_one_call() {
    let flights = SingleFlight::new();
    let (calls, arrived, gate) =
        (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0), Notify::new());
    let (arrived, gate) = (Arc::new(arrived), Arc::new(gate));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (flights, calls) = (flights.clone(), calls.clone());
            let (arrived, gate) = (arrived.clone(), gate.clone());
            tokio::spawn(async move {
                let call = async {
                    gate.notified().await;
                    Err::<(), _>(calls.fetch_add(1, Ordering::SeqCst))
                };
                let mut once = std::pin::pin!(flights.once("rate", call));
                assert!(poll(once.as_mut()).is_pending());
                arrived.fetch_add(1, Ordering::SeqCst);
                once.await
            })
        })
        .collect();
    while arrived.load(Ordering::SeqCst) < 64 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Err(0), "the error is shared as well");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(flights.is_empty());
}

/// The reader has read the old value when the write is done; whoever comes then must not have it.
#[tokio::test]
async fn a_read_that_arrives_after_a_write_never_joins_an_earlier_flight() {
    let (flights, row) = (SingleFlight::new(), Cell::new("old"));
    let read = async |gate: oneshot::Receiver<()>| {
        let value = row.get();
        gate.await.unwrap();
        value
    };
    let (open_early, early_gate) = oneshot::channel();
    let mut early = Box::pin(flights.once("a", read(early_gate)));
    assert!(poll(early.as_mut()).is_pending());
    let mut joined =
        Box::pin(flights.once("a", async { unreachable!("it shares the first call") }));
    assert!(poll(joined.as_mut()).is_pending());

    flights.write("a", async { row.set("new") }).await;

    let (open_late, late_gate) = oneshot::channel();
    let mut late = Box::pin(flights.once("a", read(late_gate)));
    assert!(poll(late.as_mut()).is_pending());
    // The early flight lands first, and takes only those along who asked before the write was done.
    open_early.send(()).unwrap();
    assert_eq!((early.await, joined.await), ("old", "old"));
    assert!(poll(late.as_mut()).is_pending());
    // And the late one is joined by whoever comes while it flies.
    let mut last = Box::pin(flights.once("a", async { unreachable!("it shares the late call") }));
    assert!(poll(last.as_mut()).is_pending());
    open_late.send(()).unwrap();
    assert_eq!((late.await, last.await), ("new", "new"));
    assert!(flights.is_empty());
}

/// What a write did that was dropped or panicked is not known, so it counts as done.
#[tokio::test]
async fn a_write_cut_off_in_the_middle_cuts_off_flights_too() {
    let flights = SingleFlight::new();
    for panics in [false, true] {
        let mut early = Box::pin(flights.once("a", std::future::pending()));
        assert!(poll(early.as_mut()).is_pending());
        if panics {
            let flights = flights.clone();
            let write = async move { flights.write("a", async { panic!("on purpose") }).await };
            tokio::spawn(write).await.unwrap_err();
        } else {
            let mut write = Box::pin(flights.write("a", std::future::pending::<()>()));
            assert!(poll(write.as_mut()).is_pending());
        }
        assert_eq!(flights.once("a", async { 7 }).await, 7);
    }
    let mut early = Box::pin(flights.once("a", std::future::pending()));
    assert!(poll(early.as_mut()).is_pending());
    flights.invalidate_all();
    assert_eq!(flights.once("a", async { 8 }).await, 8);
}

#[tokio::test]
async fn the_next_one_takes_over_from_a_caller_that_is_dropped_or_panics() {
    for panics in [false, true] {
        let flights = SingleFlight::new();
        let first = flights.clone();
        let (fail, failed) = oneshot::channel::<()>();
        let first = tokio::spawn(async move {
            let call = async move {
                let _ = failed.await;
                panic!("on purpose")
            };
            first.once("a", call).await
        });
        tokio::task::yield_now().await;
        let others: Vec<_> = (1..=3)
            .map(|own| {
                let flights = flights.clone();
                tokio::spawn(async move { flights.once("a", async move { own }).await })
            })
            .collect();
        tokio::task::yield_now().await;
        if panics {
            fail.send(()).unwrap();
        } else {
            first.abort();
        }
        assert_eq!(first.await.unwrap_err().is_panic(), panics);
        for other in others {
            assert_eq!(other.await.unwrap(), 1, "the first of those who wait runs its own");
        }
        assert!(flights.is_empty());
    }
}

/// It is no cache: what was returned is not given to whoever asks afterwards.
#[tokio::test]
async fn a_call_that_begins_after_another_returned_runs_itself() {
    let flights = SingleFlight::new();
    for number in 0..10 {
        assert_eq!(flights.once("a", async { number }).await, number);
    }
    // Also where the one that returned had joined, and the one that ran has not looked yet.
    let gate = Notify::new();
    let call = async {
        gate.notified().await;
        10
    };
    let mut first = Box::pin(flights.once("a", call));
    assert!(poll(first.as_mut()).is_pending());
    let mut second = Box::pin(flights.once("a", async { 11 }));
    assert!(poll(second.as_mut()).is_pending());
    gate.notify_one();
    assert_eq!(poll(first.as_mut()), Poll::Ready(10));
    let mut third = Box::pin(flights.once("a", async { 12 }));
    assert_eq!(poll(third.as_mut()), Poll::Ready(12), "the flight had landed");
    assert_eq!(poll(second.as_mut()), Poll::Ready(10));
    assert!(flights.is_empty());
}

#[test]
fn a_future_dropped_at_any_await_leaves_nothing() {
    let flights = SingleFlight::new();
    let run = || {
        flights.once("a", async {
            yield_once().await;
            yield_once().await;
            7
        })
    };
    let left = |at| assert!(flights.is_empty(), "{at} left a flight");
    assert_eq!(EveryAwait::new().after_drop(left).run(run).output, 7);

    // One that waits for another's call, which is dropped meanwhile.
    let other = RefCell::new(None);
    let done = EveryAwait::new()
        .between_polls(|| drop(other.take()))
        .after_drop(|at| {
            other.take();
            assert!(flights.is_empty(), "{at} left a flight");
        })
        .run(|| {
            let mut first = Box::pin(flights.once("a", std::future::pending()));
            assert!(poll(first.as_mut()).is_pending());
            other.replace(Some(first));
            run()
        });
    assert_eq!(done.output, 7);
}

#[test]
fn the_call_is_stored_once() {
    let flights: SingleFlight<u64, ()> = SingleFlight::new();
    let call = async {
        let large = [0_u8; 4096];
        yield_once().await;
        std::hint::black_box(&large);
    };
    let alone = size_of_val(&call);
    let shared = size_of_val(&flights.once(7, call));
    assert!(shared <= alone + 96, "{shared} bytes around {alone}");
}
