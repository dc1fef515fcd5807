//! Waiting: order, deadlines, ids, holds.

mod support;

use std::{collections::VecDeque, task::Poll};

use mainstay_limiter::{
    Event, Limit, LimitError, Limiter, LimiterConfig, ManualClock, Permit, PermitRequest, Reason,
    scopes,
};
use support::{granted, ms, poll, refused, scope, used, waiting};

fn bank(slots: u32) -> (Limiter, ManualClock) {
    let time = ManualClock::new();
    let builder = Limiter::builder().clock(time.clock()).limit("bank", Limit::max(slots));
    (builder.in_process(), time)
}

fn enter(request: PermitRequest) -> Permit {
    granted(&mut request.into_future())
}

fn is_rejected(error: &LimitError, why: Reason) -> bool {
    matches!(error, LimitError::Rejected { reason, .. } if *reason == why)
}

#[test]
fn waiters_get_in_in_the_order_they_came() {
    let (limiter, _) = bank(1);
    let mut out = limiter.try_acquire("bank").unwrap();
    let mut line: Vec<_> =
        (0..5).map(|_| waiting(limiter.acquire("bank").wait(ms(1000)))).collect();
    for turn in 0..5 {
        drop(out);
        let states: Vec<bool> = line.iter_mut().skip(1).map(|w| poll(w).is_pending()).collect();
        assert!(states.into_iter().all(|pending| pending), "turn {turn}: only the first is in");
        out = granted(&mut line.remove(0));
    }
}

#[test]
fn a_wide_waiter_is_not_overtaken_by_narrow_ones() {
    let (limiter, _) = bank(4);
    let mut permits: Vec<_> = (0..4).map(|_| limiter.try_acquire("bank").unwrap()).collect();
    let mut wide = waiting(limiter.acquire("bank").permits(3).wait(ms(1000)));
    permits.pop();
    let mut narrow = waiting(limiter.acquire("bank").wait(ms(1000)));
    assert!(limiter.try_acquire("bank").is_err(), "the free permit is saved for the wide one");
    permits.pop();
    assert!(poll(&mut wide).is_pending());
    permits.pop();
    let wide = granted(&mut wide);
    assert!(poll(&mut narrow).is_pending());
    permits.pop();
    let _narrow = granted(&mut narrow);
    drop(wide);
}

#[test]
fn a_stuck_channel_does_not_hold_up_its_neighbours() {
    let time = ManualClock::new();
    let limiter = Limiter::builder()
        .clock(time.clock())
        .limit("global", Limit::max(3))
        .limit("slow", Limit::max(1))
        .in_process();
    let _stuck = limiter.try_acquire("slow").unwrap();
    let mut waiter = waiting(limiter.acquire("slow").wait(ms(1000)));
    let fast = limiter.try_acquire("fast").unwrap();
    let other = limiter.try_acquire("fast").unwrap();
    assert!(limiter.try_acquire("fast").is_err(), "the global limit is reached");
    drop((fast, other));
    assert!(poll(&mut waiter).is_pending());
}

#[test]
fn a_waiter_moves_on_to_the_scope_that_lacks_room() {
    let time = ManualClock::new();
    let limiter = Limiter::builder()
        .clock(time.clock())
        .limit("global", Limit::max(2))
        .limit("bank", Limit::max(1))
        .in_process();
    let in_bank = limiter.try_acquire("bank").unwrap();
    let mut waiter = waiting(limiter.acquire("bank").wait(ms(1000)));
    assert_eq!(scope(&limiter, "bank").waiting, 1);
    let card = limiter.try_acquire("card").unwrap();
    let mut behind = waiting(limiter.acquire("card").wait(ms(1000)));
    drop(in_bank);
    // Both wait at the global scope or are in: the older one is first in line there.
    let bank = granted(&mut waiter);
    assert!(poll(&mut behind).is_pending());
    drop(card);
    let _behind = granted(&mut behind);
    drop(bank);
}

/// Each time the wide call gets to the front of one queue, the other scope is full.
#[test]
fn a_call_between_two_busy_scopes_gets_in() {
    let time = ManualClock::new();
    let builder = Limiter::builder().clock(time.clock()).limit("x", 2).limit("y", 2);
    let limiter = builder.in_process();
    let narrow = |name: &str| limiter.acquire(scopes![name]).wait(ms(100_000));
    let mut inside = ["x", "y"].map(|name| vec![enter(narrow(name)), enter(narrow(name))]);
    let mut wide = waiting(limiter.acquire(scopes!["x", "y"]).permits(2).wait(ms(100_000)));
    let mut lines =
        ["x", "y"].map(|name| VecDeque::from([waiting(narrow(name)), waiting(narrow(name))]));
    let rounds = (0..50).take_while(|_| {
        for (at, name) in ["x", "y"].into_iter().enumerate() {
            inside[at].clear();
            lines[at].extend([waiting(narrow(name)), waiting(narrow(name))]);
            while let Some(Poll::Ready(permit)) = lines[at].front_mut().map(poll) {
                inside[at].push(permit.unwrap());
                lines[at].pop_front();
            }
        }
        poll(&mut wide).is_pending()
    });
    assert!(rounds.count() < 10, "narrow calls pass the wide one for ever");
    for (at, name) in ["x", "y"].into_iter().enumerate() {
        inside[at].clear();
        assert_eq!(used(&limiter, name), 2, "the wide call was in and has left: the queue goes on");
    }
}

#[test]
fn a_call_out_of_time_is_refused_even_if_there_is_room() {
    let (limiter, time) = bank(1);
    let now = time.clock().now();
    time.advance(ms(10));
    let error = refused(&mut limiter.acquire("bank").until(now).into_future());
    assert!(is_rejected(&error, Reason::Deadline), "{error}");
    assert_eq!(used(&limiter, "bank"), 0);
}

#[test]
fn a_waiter_out_of_time_is_told_so_and_never_let_in_late() {
    let (limiter, time) = bank(1);
    let permit = limiter.try_acquire("bank").unwrap();
    let mut late = waiting(limiter.acquire("bank").wait(ms(100)));
    let mut next = waiting(limiter.acquire("bank").wait(ms(500)));
    time.advance(ms(100));
    drop(permit);
    let error = refused(&mut late);
    assert!(error.is_timeout() && error.retry_after().is_some(), "{error}");
    assert!(matches!(error, LimitError::Timeout { waited, .. } if waited == ms(100)));
    let _in = granted(&mut next);
    assert_eq!(scope(&limiter, "bank").rejected.timed_out, 1);
}

#[test]
fn the_timer_alone_ends_the_wait() {
    let (limiter, time) = bank(1);
    let _in = limiter.try_acquire("bank").unwrap();
    let mut late = waiting(limiter.acquire("bank").wait(ms(100)));
    time.advance(ms(99));
    assert!(poll(&mut late).is_pending());
    time.advance(ms(1));
    assert!(refused(&mut late).is_timeout());
    assert_eq!(limiter.snapshot().waiting, 0);
}

#[test]
fn the_earlier_of_budget_and_deadline_counts() {
    let (limiter, time) = bank(1);
    let _in = limiter.try_acquire("bank").unwrap();
    let end = time.clock().now() + ms(50);
    let mut first = waiting(limiter.acquire("bank").wait(ms(100)).until(end));
    let mut only = waiting(limiter.acquire("bank").until(end));
    time.advance(ms(50));
    assert!(refused(&mut first).is_timeout());
    assert!(refused(&mut only).is_timeout());
}

#[test]
fn a_full_queue_refuses_at_once() {
    let (limiter, _) = bank(1);
    limiter.set("bank", Limit::max(1).queue(2)).unwrap();
    let _in = limiter.try_acquire("bank").unwrap();
    let _first = waiting(limiter.acquire("bank").wait(ms(1000)));
    let _second = waiting(limiter.acquire("bank").wait(ms(1000)));
    let error = refused(&mut limiter.acquire("bank").wait(ms(1000)).into_future());
    assert!(is_rejected(&error, Reason::QueueFull) && error.retry_after().is_some(), "{error}");
}

#[test]
fn the_whole_limiter_queues_no_more_than_it_may() {
    let config = LimiterConfig { waiting: 2, ..LimiterConfig::default() };
    let time = ManualClock::new();
    let builder = Limiter::builder().clock(time.clock()).config(config);
    let limiter = builder.limit("a", 1).limit("b", 1).in_process();
    let _in = (limiter.try_acquire("a").unwrap(), limiter.try_acquire("b").unwrap());
    let _waiting = ["a", "b"].map(|name| waiting(limiter.acquire(name).wait(ms(1000))));
    let error = refused(&mut limiter.acquire("a").wait(ms(1000)).into_future());
    assert!(is_rejected(&error, Reason::QueueFull), "{error}");
}

#[test]
fn a_queue_that_is_too_slow_for_the_deadline_refuses_at_once() {
    let (limiter, time) = bank(1);
    let mut out = limiter.try_acquire("bank").unwrap();
    let mut line: Vec<_> =
        (0..6).map(|_| waiting(limiter.acquire("bank").wait(ms(100_000)))).collect();
    for _ in 0..3 {
        // One permit a second: that is the pace a newcomer has to reckon with.
        time.advance(ms(1000));
        drop(out);
        out = granted(&mut line.remove(0));
    }
    let error = refused(&mut limiter.acquire("bank").wait(ms(500)).into_future());
    assert!(is_rejected(&error, Reason::Deadline), "{error}");
    assert_eq!(error.retry_after(), Some(ms(4000)), "three before it, one a second");
    let _patient = waiting(limiter.acquire("bank").wait(ms(10_000)));
}

#[test]
fn an_empty_queue_is_joined_whatever_the_pace_was() {
    let (limiter, time) = bank(1);
    let mut out = limiter.try_acquire("bank").unwrap();
    for _ in 0..3 {
        let mut line = [
            waiting(limiter.acquire("bank").wait(ms(100_000))),
            waiting(limiter.acquire("bank").wait(ms(100_000))),
        ];
        for waiter in &mut line {
            time.advance(ms(1000));
            drop(out);
            out = granted(waiter);
        }
    }
    let _hopeful = waiting(limiter.acquire("bank").wait(ms(1)));
}

#[test]
fn a_dropped_waiter_makes_way() {
    let (limiter, _) = bank(2);
    let mut permits: Vec<_> = (0..2).map(|_| limiter.try_acquire("bank").unwrap()).collect();
    let wide = waiting(limiter.acquire("bank").permits(2).wait(ms(1000)));
    let mut narrow = waiting(limiter.acquire("bank").wait(ms(1000)));
    permits.pop();
    assert!(poll(&mut narrow).is_pending(), "the wide one is first");
    drop(wide);
    let _in = granted(&mut narrow);
    assert_eq!(used(&limiter, "bank"), 2);
}

#[test]
fn a_grant_that_nobody_heard_of_goes_to_the_next() {
    let (limiter, _) = bank(1);
    let permit = limiter.try_acquire("bank").unwrap();
    let first = waiting(limiter.acquire("bank").wait(ms(1000)));
    let mut second = waiting(limiter.acquire("bank").wait(ms(1000)));
    drop(permit);
    drop(first);
    let _in = granted(&mut second);
    assert_eq!(used(&limiter, "bank"), 1);
}

#[test]
fn the_same_id_is_let_in_again_and_counted_once() {
    let (limiter, _) = bank(1);
    let first = enter(limiter.acquire("bank").id("order-7"));
    let again = enter(limiter.acquire("bank").id("order-7"));
    assert_eq!(used(&limiter, "bank"), 1);
    assert!(limiter.try_acquire("bank").is_err());
    drop(first);
    assert_eq!(used(&limiter, "bank"), 1, "the second still holds the slot");
    drop(again);
    assert_eq!(used(&limiter, "bank"), 0);
    let _fresh = enter(limiter.acquire("bank").id("order-7"));
}

#[test]
fn two_waiters_of_one_id_get_in_together() {
    let (limiter, _) = bank(1);
    let permit = limiter.try_acquire("bank").unwrap();
    let mut first = waiting(limiter.acquire("bank").id("order-7").wait(ms(1000)));
    let mut other = waiting(limiter.acquire("bank").wait(ms(1000)));
    let mut twin = waiting(limiter.acquire("bank").id("order-7").wait(ms(1000)));
    drop(permit);
    let (first, twin) = (granted(&mut first), granted(&mut twin));
    assert_eq!(used(&limiter, "bank"), 1);
    drop(first);
    assert!(poll(&mut other).is_pending());
    drop(twin);
    let _other = granted(&mut other);
}

#[test]
fn an_id_in_use_is_not_shared_by_a_different_call() {
    let (limiter, _) = bank(3);
    let _in = enter(limiter.acquire("bank").id("order-7"));
    for other in
        [limiter.acquire("bank").id("order-7").permits(2), limiter.acquire("card").id("order-7")]
    {
        let error = refused(&mut other.into_future());
        assert!(
            matches!(&error, LimitError::IdInUse { id } if id.as_str() == "order-7"),
            "{error}"
        );
    }
    assert_eq!(used(&limiter, "bank"), 1);
}

#[test]
fn a_held_slot_stays_until_it_is_released_or_its_time_ends() {
    let (limiter, time) = bank(1);
    let held = limiter.try_acquire("bank").unwrap().hold(ms(1000));
    assert!(limiter.try_acquire("bank").is_err());
    assert!(held.is_held() && held.remaining() == ms(1000));
    assert_eq!(limiter.snapshot().held, 1);
    assert!(held.release());
    let held = limiter.try_acquire("bank").unwrap().hold(ms(1000));
    time.advance(ms(999));
    assert!(limiter.try_acquire("bank").is_err());
    time.advance(ms(1));
    let permit = limiter.try_acquire("bank").unwrap();
    assert!(!held.is_held() && !held.release());
    drop(permit);
    assert_eq!(used(&limiter, "bank"), 0);
}

#[test]
fn a_held_slot_is_shared_by_an_inquiry_with_its_id() {
    let (limiter, _) = bank(1);
    let _held = enter(limiter.acquire("bank").id("order-7")).hold(ms(1000));
    let inquiry = enter(limiter.acquire("bank").id("order-7"));
    assert_eq!(used(&limiter, "bank"), 1);
    drop(inquiry);
    assert_eq!(used(&limiter, "bank"), 1, "the hold goes on");
}

#[tokio::test]
async fn the_end_of_a_hold_wakes_whoever_waits() {
    let (limiter, time) = bank(1);
    drop(limiter.try_acquire("bank").unwrap().hold(ms(1000)));
    let waiter = limiter.acquire("bank").wait(ms(5000)).into_future();
    let (permit, ()) = tokio::join!(waiter, time.run_for(ms(1000)));
    assert_eq!(permit.unwrap().waited(), ms(1000));
}

#[tokio::test]
async fn work_may_keep_its_slot_beyond_its_end() {
    let (limiter, time) = bank(1);
    let request = limiter.acquire("bank");
    let permit = request.handle();
    assert!(!permit.is_held() && !permit.hold(ms(10)).is_held());
    let seen = permit.clone();
    let held = request
        .run(async move {
            assert!(permit.is_held() && permit.weight() == 1);
            Ok::<_, LimitError>(permit.hold(ms(1000)))
        })
        .await
        .unwrap();
    assert!(limiter.try_acquire("bank").is_err() && held.is_held());
    time.advance(ms(1000));
    assert!(limiter.try_acquire("bank").is_ok());
    assert!(!seen.is_held());
}

#[tokio::test]
async fn a_hold_shorter_than_the_work_does_not_end_it_early() {
    let (limiter, time) = bank(1);
    let request = limiter.acquire("bank");
    let (permit, other) = (request.handle(), limiter.clone());
    request
        .run(async move {
            drop(permit.hold(ms(10)));
            time.run_for(ms(20)).await;
            assert!(other.try_acquire("bank").is_err(), "the work is still in");
            Ok::<_, LimitError>(())
        })
        .await
        .unwrap();
    assert!(limiter.try_acquire("bank").is_ok());
}

#[tokio::test]
async fn a_refused_run_returns_what_the_caller_asked_for() {
    let (limiter, _) = bank(1);
    let _in = limiter.try_acquire("bank").unwrap();
    let work = async { Ok::<_, LimitError>("paid") };
    assert!(limiter.acquire("bank").run(work).await.unwrap_err().is_rejected());
    let fallback = mainstay_limiter::With(|error: LimitError| Ok::<_, String>(error.to_string()));
    let work = async { Ok::<_, String>("paid".into()) };
    let text = limiter.acquire("bank").run_or(fallback, work).await.unwrap();
    assert!(text.contains("no permit is free"), "{text}");
}

#[test]
fn the_observer_hears_in_order() {
    let (tell, heard) = std::sync::mpsc::channel();
    let tell = move |event: Event<'_>| tell.send(format!("{event:?}")).unwrap();
    let time = ManualClock::new();
    let limiter =
        Limiter::builder().clock(time.clock()).limit("bank", 1).observer(tell).in_process();
    let permit = limiter.try_acquire("bank").unwrap();
    let mut waiter = waiting(limiter.acquire("bank").wait(ms(50)));
    limiter.try_acquire("bank").unwrap_err();
    drop(permit);
    let permit = granted(&mut waiter);
    drop(permit.hold(ms(1)));
    time.advance(ms(1));
    limiter.snapshot();
    limiter.shutdown();
    let words: Vec<_> = heard
        .try_iter()
        .map(|line| line.split([' ', '(']).next().unwrap_or_default().to_owned())
        .collect();
    let wanted = ["LimitChanged", "Queued", "Refused", "Granted", "Held", "HoldEnded", "ShutDown"];
    assert_eq!(words, wanted);
}
