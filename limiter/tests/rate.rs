//! Rates and quotas that change.

mod support;

use std::task::Poll;

use mainstay_limiter::{LimitError, ManualClock, Quota, RateLimit, Reason};
use support::{ms, poll};

fn rate(quota: Quota) -> (RateLimit, ManualClock) {
    let time = ManualClock::new();
    (RateLimit::with_clock("sms", quota, time.clock()), time)
}

fn passed(rate: &RateLimit) -> usize {
    (0..1000).take_while(|_| rate.check().is_ok()).count()
}

#[test]
fn a_burst_passes_and_cells_come_back_one_by_one() {
    let (rate, time) = rate(Quota::per_second(10));
    assert_eq!(passed(&rate), 10);
    let error = rate.check().unwrap_err();
    assert!(matches!(error, LimitError::Rejected { reason: Reason::Rate, .. }), "{error}");
    assert_eq!(error.retry_after(), Some(ms(100)));
    time.advance(ms(99));
    assert!(rate.check().is_err());
    time.advance(ms(1));
    assert_eq!(passed(&rate), 1);
    time.advance(ms(60_000));
    assert_eq!(passed(&rate), 10, "no more than a burst, however long the pause");
}

/// A limiter rebuilt over the old state would read it against a start of its own, and stay shut for
/// as long as the old one has lived.
#[test]
fn a_doubled_quota_refuses_nothing_that_the_old_one_would_have_let_through() {
    let (rate, time) = rate(Quota::per_second(10));
    time.advance(ms(3000));
    assert!(rate.check().is_ok(), "one of ten cells is used");
    rate.set(Quota::per_second(20));
    assert_eq!(passed(&rate), 19, "nineteen of twenty are free");
    time.advance(ms(50));
    assert_eq!(passed(&rate), 1);
}

#[test]
fn used_cells_stay_used_in_every_change() {
    let (rate, time) = rate(Quota::per_second(10));
    time.advance(ms(7000));
    assert_eq!(passed(&rate), 10);
    rate.set(Quota::per_second(20));
    assert_eq!(passed(&rate), 10, "ten of twenty are used");
    rate.set(Quota::per_second(10));
    assert!(rate.check().is_err(), "twenty of ten are used");
    time.advance(ms(1000));
    assert!(rate.check().is_err(), "the debt is paid first");
    time.advance(ms(100));
    assert_eq!(passed(&rate), 1);
}

#[test]
fn a_quota_of_nothing_is_closed_and_opens_again() {
    let (rate, _) = rate(Quota::per_second(0));
    assert!(rate.check().unwrap_err().is_closed());
    rate.set(Quota::per_second(2));
    assert_eq!(passed(&rate), 2);
    rate.set(Quota::per_second(0));
    assert!(rate.check().unwrap_err().is_closed());
    assert_eq!(rate.quota(), Quota::per_second(0));
}

#[test]
fn a_call_of_several_cells_takes_all_or_none() {
    let (rate, _) = rate(Quota::per_minute(60).burst(5));
    assert!(rate.check_n(3).is_ok());
    assert!(rate.check_n(3).unwrap_err().retry_after().is_some());
    assert_eq!(passed(&rate), 2);
    let error = rate.check_n(6).unwrap_err();
    assert!(matches!(error, LimitError::Rejected { reason: Reason::TooWide, .. }), "{error}");
    assert_eq!(error.retry_after(), None);
}

#[test]
fn extreme_quotas_do_not_panic() {
    use std::time::Duration;
    for (cells, per) in [(1, Duration::MAX), (u32::MAX, Duration::ZERO), (1, Duration::ZERO)] {
        let (rate, time) = rate(Quota::new(cells, per).burst(u32::MAX));
        assert!(rate.check().is_ok(), "{cells} per {per:?}");
        time.advance(Duration::from_secs(1 << 30));
        rate.set(Quota::new(3, Duration::MAX).burst(u32::MAX));
        let _ = rate.check_n(u32::MAX);
        rate.set(Quota::new(u32::MAX, Duration::from_nanos(1)));
        let _ = rate.check();
    }
}

#[tokio::test]
async fn a_waiter_passes_when_its_cell_is_due() {
    let (rate, time) = rate(Quota::per_second(10));
    assert_eq!(passed(&rate), 10);
    let began = time.clock().now();
    let (outcome, ()) = tokio::join!(rate.until_ready(ms(500)), time.run_for(ms(100)));
    outcome.unwrap();
    assert_eq!(time.clock().now().saturating_since(began), ms(100));
}

#[test]
fn a_budget_that_ends_too_early_is_refused_at_once() {
    let (rate, _) = rate(Quota::per_second(10));
    passed(&rate);
    let Poll::Ready(Err(error)) = poll(&mut rate.until_ready(ms(99))) else { panic!("it waits") };
    assert!(matches!(error, LimitError::Rejected { reason: Reason::Deadline, .. }), "{error}");
    assert_eq!(error.retry_after(), Some(ms(100)));
    assert!(poll(&mut rate.until_ready(ms(100))).is_pending());
}

#[test]
fn waiters_are_bounded_and_leave_their_place() {
    let (rate, _) = rate(Quota::per_second(10));
    passed(&rate);
    let mut line: Vec<_> = (0..256).map(|_| rate.until_ready(ms(500))).collect();
    assert!(line.iter_mut().all(|waiter| poll(waiter).is_pending()));
    let Poll::Ready(Err(error)) = poll(&mut rate.until_ready(ms(500))) else { panic!("it waits") };
    assert!(matches!(error, LimitError::Rejected { reason: Reason::QueueFull, .. }), "{error}");
    line.pop();
    assert!(poll(&mut rate.until_ready(ms(500))).is_pending());
}

#[test]
fn a_waiter_that_others_beat_gets_a_time_out() {
    let (rate, time) = rate(Quota::per_second(10));
    passed(&rate);
    let mut slow = rate.until_ready(ms(150));
    assert!(poll(&mut slow).is_pending());
    time.advance(ms(100));
    assert!(rate.check().is_ok(), "a newcomer is faster");
    let Poll::Ready(Err(error)) = poll(&mut slow) else { panic!("it waits") };
    assert!(matches!(error, LimitError::Timeout { waited, .. } if waited == ms(100)), "{error}");
}

#[test]
fn a_quota_reads_back_as_it_was_written() {
    let quota: Quota = serde_json::from_str(r#"{"cells": 100, "per": "1s", "burst": 20}"#).unwrap();
    assert_eq!(quota, Quota::per_second(100).burst(20));
    assert_eq!(
        serde_json::from_str::<Quota>(&serde_json::to_string(&quota).unwrap()).unwrap(),
        quota
    );
    assert!(serde_json::from_str::<Quota>(r#"{"cells": 1, "per": "1s", "bust": 2}"#).is_err());
}
