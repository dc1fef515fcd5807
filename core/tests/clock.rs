//! Time moves only as each clock says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mainstay_core::{Clock, ManualClock, Moment};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn moments_saturate() {
    assert_eq!(Moment::NEVER + SECOND, Moment::NEVER);
    assert_eq!(Moment::from_nanos(5) - SECOND, Moment::from_nanos(0));
    assert_eq!(Moment::from_nanos(5).saturating_since(Moment::NEVER), Duration::ZERO);
}

#[test]
fn the_machines_clock_never_goes_back() {
    let clock = Clock::boot();
    let readings: Vec<_> = (0..1000).map(|_| (clock.now(), clock.coarse_millis())).collect();
    assert!(readings.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
}

#[tokio::test]
async fn a_manual_clock_stands_still_until_it_is_moved() {
    let time = ManualClock::new();
    let clock = time.clock();
    let (start, wall) = (clock.now(), clock.wall());
    time.settle().await;
    assert_eq!(clock.now(), start);
    time.advance(SECOND);
    assert_eq!(clock.now(), start + SECOND);
    assert_eq!(clock.wall(), wall + SECOND);
}

#[tokio::test]
async fn stepping_wakes_sleepers_in_order_and_sees_the_sleeps_they_begin() {
    let time = ManualClock::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    let nap = |name: &'static str, length: Duration| {
        let (clock, log) = (time.clock(), log.clone());
        async move {
            for turn in 1..=2 {
                clock.sleep(length).await;
                log.lock().unwrap().push((name, turn));
            }
        }
    };
    let both = async { tokio::join!(nap("slow", 3 * SECOND), nap("fast", SECOND)) };
    tokio::join!(both, time.run_for(10 * SECOND));
    assert_eq!(*log.lock().unwrap(), [("fast", 1), ("fast", 2), ("slow", 1), ("slow", 2)]);
    assert_eq!(time.sleepers(), 0);
}

#[tokio::test]
async fn a_dropped_sleep_is_forgotten() {
    let time = ManualClock::new();
    let mut sleep = Box::pin(time.clock().sleep(SECOND));
    assert!(futures_poll(sleep.as_mut()).await.is_pending());
    assert_eq!(time.sleepers(), 1);
    drop(sleep);
    assert_eq!(time.sleepers(), 0);
}

#[tokio::test]
async fn a_timeout_prefers_work_that_is_done() {
    let time = ManualClock::new();
    assert_eq!(time.clock().timeout(Duration::ZERO, async { 7 }).await, Ok(7));
    let clock = time.clock();
    let late = clock.timeout(SECOND, std::future::pending::<()>());
    let (late, ()) = tokio::join!(late, time.run_for(SECOND));
    assert!(late.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_tokio_clock_follows_a_paused_runtime() {
    let clock = Clock::tokio();
    let start = clock.now();
    clock.sleep(3600 * SECOND).await;
    assert!(clock.now() >= start + 3600 * SECOND);
}

#[tokio::test]
async fn the_machines_clock_sleeps_until_its_own_reading_says_so() {
    let clock = Clock::boot();
    let deadline = clock.now() + Duration::from_millis(20);
    clock.sleep_until(deadline).await;
    assert!(clock.now() >= deadline);
}

async fn futures_poll<F: Future + Unpin>(mut future: F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(cx)))
        .await
}
