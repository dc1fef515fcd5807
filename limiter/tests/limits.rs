//! Scopes, limits and changing them.

mod support;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use mainstay_limiter::{
    Event, Key, Limit, LimitError, Limiter, LimiterConfig, ManualClock, Reason, Scopes, key, scopes,
};
use support::{granted, ms, refused, scope, used, waiting};

fn limiter(limits: &[(&str, Limit)]) -> Limiter {
    let start = Limiter::builder().clock(ManualClock::new().clock());
    limits.iter().fold(start, |builder, (name, limit)| builder.limit(*name, *limit)).in_process()
}

fn reason(error: &LimitError) -> Reason {
    match error {
        LimitError::Rejected { reason, .. } => *reason,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn a_path_counts_in_all_its_scopes() {
    let limiter = Limiter::in_process();
    let permit = limiter.try_acquire("bank:pay").unwrap();
    let names: Vec<_> = permit.scopes().keys().map(Key::as_str).collect();
    assert_eq!(names, ["global", "bank", "bank:pay"]);
    for name in names {
        assert_eq!(used(&limiter, name), 1, "{name}");
    }
    drop(permit);
    for name in ["global", "bank", "bank:pay"] {
        assert_eq!(used(&limiter, name), 0, "{name}");
        assert_eq!((scope(&limiter, name).peak, scope(&limiter, name).admitted), (1, 1));
    }
}

#[test]
fn a_refused_call_takes_nothing_in_any_scope() {
    let limiter = limiter(&[
        ("global", Limit::max(10)),
        ("bank", Limit::max(10)),
        ("bank:pay", Limit::max(1)),
    ]);
    let _in = limiter.try_acquire("bank:pay").unwrap();
    let error = limiter.try_acquire("bank:pay").unwrap_err();
    assert_eq!(error.scope().unwrap().as_str(), "bank:pay");
    assert_eq!(reason(&error), Reason::Full);
    assert!(error.retry_after().is_some() && error.is_busy());
    assert_eq!(used(&limiter, "global"), 1);
    assert_eq!(used(&limiter, "bank"), 1);
    assert_eq!(scope(&limiter, "bank:pay").rejected.full, 1);
    assert!(limiter.try_acquire("bank:refund").is_ok());
}

#[test]
fn a_weight_counts_in_every_scope_and_is_refused_when_it_can_never_fit() {
    let limiter = limiter(&[("bank", Limit::max(4))]);
    let permit = limiter.acquire("bank:pay").permits(3);
    let permit = granted(&mut permit.into_future());
    assert_eq!((permit.weight(), used(&limiter, "bank"), used(&limiter, "global")), (3, 3, 3));
    let second = refused(&mut limiter.acquire("bank:pay").permits(2).into_future());
    assert_eq!(reason(&second), Reason::Full);
    let wide = refused(&mut limiter.acquire("bank:pay").permits(5).wait(ms(100)).into_future());
    assert_eq!(reason(&wide), Reason::TooWide);
    assert_eq!(wide.retry_after(), None, "waiting does not help");
    let widest = refused(&mut limiter.acquire("card").permits(u32::MAX).into_future());
    assert_eq!(reason(&widest), Reason::TooWide);
}

#[test]
fn a_weight_of_zero_is_one() {
    let limiter = Limiter::in_process();
    assert_eq!(granted(&mut limiter.acquire("bank").permits(0).into_future()).weight(), 1);
}

#[test]
fn a_floor_lifts_a_lower_maximum_and_does_not_open_a_closed_scope() {
    let limiter = limiter(&[("bank", Limit::max(0).floor(1)), ("card", Limit::closed().floor(9))]);
    let permit = limiter.try_acquire("bank").unwrap();
    assert!(limiter.try_acquire("bank").is_err());
    assert!(limiter.try_acquire("card").unwrap_err().is_closed());
    drop(permit);
    limiter.set("bank", 0).unwrap();
    assert!(limiter.try_acquire("bank").unwrap_err().is_closed(), "zero without a floor is closed");
}

#[test]
fn custom_scopes_are_exactly_those_listed_each_counted_once() {
    let limiter = limiter(&[("eu", Limit::max(2))]);
    let tenant = "a:b";
    let permit = limiter.try_acquire(scopes!["eu", key!("tenant:{}", tenant), "eu"]).unwrap();
    assert_eq!(used(&limiter, "eu"), 1);
    assert_eq!(used(&limiter, "tenant:a%3Ab"), 1);
    assert_eq!(used(&limiter, "global"), 0);
    let with_path = limiter.try_acquire(Scopes::path("bank:pay").and("eu")).unwrap();
    assert_eq!((used(&limiter, "eu"), used(&limiter, "global")), (2, 1));
    drop((permit, with_path));
    let none = limiter.try_acquire(Scopes::of::<Key>([])).unwrap();
    assert_eq!((none.scopes().keys().len(), used(&limiter, "global")), (1, 1));
}

#[test]
fn the_global_scope_is_counted_once_in_its_own_paths() {
    let limiter = limiter(&[("global", Limit::max(1))]);
    let permit = limiter.try_acquire("global:odd").unwrap();
    assert_eq!(used(&limiter, "global"), 1);
    assert_eq!(permit.scopes().keys().len(), 2);
}

#[test]
fn a_key_that_is_none_is_reported_when_the_request_is_used() {
    let limiter = Limiter::in_process();
    let request = limiter.acquire("bank::pay");
    assert!(matches!(refused(&mut request.into_future()), LimitError::InvalidKey(_)));
    let request = limiter.acquire("bank").id("");
    assert!(matches!(refused(&mut request.into_future()), LimitError::InvalidKey(_)));
    assert!(matches!(limiter.try_acquire(scopes!["a", ""]), Err(LimitError::InvalidKey(_))));
    assert!(limiter.set("", 1).is_err());
    assert!(Limiter::builder().limit("", 1).try_in_process().is_err());
}

#[test]
fn a_lowered_limit_keeps_what_is_out_and_pays_it_first() {
    let limiter = limiter(&[("bank", Limit::max(3))]);
    let mut permits: Vec<_> = (0..3).map(|_| limiter.try_acquire("bank").unwrap()).collect();
    let mut waiter = waiting(limiter.acquire("bank").wait(ms(1000)));
    limiter.set("bank", 1).unwrap();
    assert_eq!((scope(&limiter, "bank").used, scope(&limiter, "bank").limit), (3, Some(1)));
    permits.pop();
    permits.pop();
    assert!(support::poll(&mut waiter).is_pending(), "two returned, two were owed");
    assert!(limiter.try_acquire("bank").is_err());
    permits.pop();
    let permit = granted(&mut waiter);
    assert_eq!(used(&limiter, "bank"), 1);
    drop(permit);
}

#[test]
fn a_raised_limit_lets_waiters_in_before_newcomers() {
    let limiter = limiter(&[("bank", Limit::max(1))]);
    let _in = limiter.try_acquire("bank").unwrap();
    let mut first = waiting(limiter.acquire("bank").wait(ms(1000)));
    let mut second = waiting(limiter.acquire("bank").wait(ms(1000)));
    limiter.set("bank", 2).unwrap();
    assert!(limiter.try_acquire("bank").is_err(), "the new slot belongs to the queue");
    let permit = granted(&mut first);
    assert!(support::poll(&mut second).is_pending());
    limiter.set("bank", Limit::unlimited()).unwrap();
    let _second = granted(&mut second);
    drop(permit);
    assert_eq!(used(&limiter, "bank"), 2);
}

#[test]
fn calls_without_a_limit_are_counted_for_the_limit_to_come() {
    let limiter = Limiter::in_process();
    let permits: Vec<_> = (0..5).map(|_| limiter.try_acquire("bank").unwrap()).collect();
    limiter.set("bank", 5).unwrap();
    assert!(limiter.try_acquire("bank").is_err(), "unlimited calls are counted too");
    drop(permits);
    assert_eq!(used(&limiter, "bank"), 0);
}

#[test]
fn closing_refuses_the_queue_with_a_reason() {
    let limiter = limiter(&[("bank", Limit::max(1))]);
    let permit = limiter.try_acquire("bank:pay").unwrap();
    let mut first = waiting(limiter.acquire("bank:pay").wait(ms(1000)));
    let mut second = waiting(limiter.acquire("bank:refund").wait(ms(1000)));
    limiter.close("bank").unwrap();
    for waiter in [&mut first, &mut second] {
        let error = refused(waiter);
        assert!(error.is_closed() && error.retry_after().is_none(), "{error}");
        assert_eq!(error.scope().unwrap().as_str(), "bank");
    }
    assert_eq!(scope(&limiter, "bank").waiting, 0);
    assert_eq!(scope(&limiter, "bank").used, 1, "who is in stays in");
    drop(permit);
    assert!(limiter.try_acquire("bank:pay").unwrap_err().is_closed());
    assert!(limiter.try_acquire("card").is_ok());
    limiter.set("bank", 1).unwrap();
    assert!(limiter.try_acquire("bank:pay").is_ok());
}

#[test]
fn closing_a_scope_refuses_those_who_wait_for_it_elsewhere() {
    let limiter = limiter(&[("global", Limit::max(1))]);
    let _in = limiter.try_acquire("card").unwrap();
    let mut waiter = waiting(limiter.acquire("bank:pay").wait(ms(1000)));
    assert_eq!(scope(&limiter, "global").waiting, 1);
    limiter.close("bank:pay").unwrap();
    assert!(refused(&mut waiter).is_closed());
    assert_eq!(scope(&limiter, "global").waiting, 0);
}

#[test]
fn a_waiter_that_no_longer_can_fit_is_refused() {
    let limiter = limiter(&[("bank", Limit::max(4))]);
    let _in = limiter.acquire("bank").permits(4);
    let _in = granted(&mut _in.into_future());
    let mut wide = waiting(limiter.acquire("bank").permits(3).wait(ms(1000)));
    let mut narrow = waiting(limiter.acquire("bank").wait(ms(1000)));
    limiter.set("bank", 2).unwrap();
    assert_eq!(reason(&refused(&mut wide)), Reason::TooWide);
    assert!(support::poll(&mut narrow).is_pending());
}

#[test]
fn after_a_shutdown_nobody_gets_in_and_nobody_waits() {
    let limiter = limiter(&[("bank", Limit::max(1))]);
    let permit = limiter.try_acquire("bank").unwrap();
    let mut waiter = waiting(limiter.acquire("bank").wait(ms(1000)));
    limiter.shutdown();
    assert_eq!(refused(&mut waiter), LimitError::ShuttingDown);
    assert_eq!(limiter.try_acquire("card").unwrap_err(), LimitError::ShuttingDown);
    drop(permit);
    assert_eq!(used(&limiter, "bank"), 0);
}

#[test]
fn configuration_reads_back_as_it_was_written() {
    let text = r#"{
        "limits": {
            "bank": {"max": 64, "floor": 4, "queue": 2},
            "card": "closed",
            "global": "unlimited"
        },
        "wait": "200ms", "queue": 8, "waiting": 100, "scopes": 50, "retry_after": "10ms"
    }"#;
    let config: LimiterConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config.limits[&Key::new("bank").unwrap()], Limit::max(64).floor(4).queue(2));
    assert_eq!(config.wait, ms(200));
    let again = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<LimiterConfig>(&again).unwrap(), config);
    for wrong in [r#"{"limit": {}}"#, r#"{"limits": {"a": {"maximum": 1}}}"#] {
        assert!(serde_json::from_str::<LimiterConfig>(wrong).is_err(), "{wrong}");
    }
    let limiter = Limiter::builder().config(config).in_process();
    assert!(limiter.try_acquire("card").unwrap_err().is_closed());
    assert_eq!(scope(&limiter, "bank").limit, Some(64));
}

#[test]
fn scopes_made_by_calls_are_bounded_and_configured_ones_stay() {
    let config = LimiterConfig { scopes: 16, ..LimiterConfig::default() };
    let limiter = Limiter::builder().config(config).limit("bank", 5).in_process();
    let held = limiter.try_acquire("held:one").unwrap();
    for user in 0..1000 {
        drop(limiter.try_acquire(scopes![key!("user:{}", user)]).unwrap());
        assert!(limiter.snapshot().scopes.len() <= 16);
    }
    assert_eq!(scope(&limiter, "bank").limit, Some(5));
    assert_eq!(used(&limiter, "held:one"), 1, "a scope in use is not evicted");
    drop(held);

    let mut permits = Vec::new();
    let error = (0..100)
        .find_map(|user| match limiter.try_acquire(scopes![key!("busy:{}", user)]) {
            Ok(permit) => {
                permits.push(permit);
                None
            }
            Err(error) => Some(error),
        })
        .expect("the bound holds while all of them are in use");
    assert_eq!(reason(&error), Reason::TooManyScopes);
    assert!(error.retry_after().is_some());
    drop(permits);
    assert!(limiter.try_acquire("other").is_ok());
}

#[test]
fn resolved_scopes_are_the_same_scopes() {
    let limiter = limiter(&[("bank", Limit::max(1))]);
    let pay = limiter.scopes("bank:pay").unwrap();
    let permit = pay.try_acquire().unwrap();
    assert!(limiter.try_acquire("bank:refund").is_err());
    drop(permit);
    let permit = limiter.try_acquire(&pay).unwrap();
    assert!(pay.try_acquire().is_err());
    drop(permit);
}

#[test]
fn a_refusal_says_what_to_do() {
    let limiter = limiter(&[("bank", Limit::max(1))]);
    let _in = limiter.try_acquire("bank").unwrap();
    let text = limiter.try_acquire("bank").unwrap_err().to_string();
    assert_eq!(
        text,
        "limit `bank` refused: no permit is free (1 of 1 permits in use); try again in 50ms"
    );
}

#[test]
fn admissions_are_counted_beyond_what_one_word_holds() {
    let limiter = limiter(&[("bank", Limit::max(2))]);
    let bank = limiter.scopes("bank").unwrap();
    for _ in 0..70_000 {
        drop(bank.try_enter().unwrap());
    }
    let seen = scope(&limiter, "bank");
    assert_eq!((seen.admitted, seen.used, seen.limit), (70_000, 0, Some(2)));
}

#[test]
fn threads_never_pass_a_limit_that_changes() {
    let limiter = limiter(&[("bank", Limit::max(3)), ("bank:pay", Limit::max(2))]);
    let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|threads| {
        for path in ["bank:pay", "bank:refund", "bank:pay", "bank"] {
            let (limiter, inside, most) = (&limiter, &inside, &most);
            threads.spawn(move || {
                for round in 0..5_000 {
                    if round % 50 == 0 {
                        limiter.set("bank", Limit::max(2 + round / 50 % 2)).unwrap();
                    }
                    if let Ok(permit) = limiter.try_acquire(path) {
                        most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                        inside.fetch_sub(1, Relaxed);
                        drop(permit);
                    }
                }
            });
        }
    });
    assert!(most.into_inner() <= 3);
    for name in ["global", "bank", "bank:pay", "bank:refund"] {
        assert_eq!(used(&limiter, name), 0, "{name}");
    }
}

#[test]
fn an_observer_may_use_the_limiter_it_hears() {
    let heard = Arc::new((OnceLock::<Limiter>::new(), AtomicU32::new(0)));
    let inner = heard.clone();
    let tell = move |event: Event<'_>| {
        if let (Event::Evicted { .. } | Event::Refused(_), Some(limiter)) = (event, inner.0.get()) {
            limiter.snapshot();
            limiter.set("bank", 3).unwrap();
            inner.1.fetch_add(1, Relaxed);
        }
    };
    let config = LimiterConfig { scopes: 4, ..LimiterConfig::default() };
    let limiter = Limiter::builder().config(config).observer(tell).in_process();
    heard.0.set(limiter.clone()).unwrap();
    let permits: Vec<_> =
        (0..9).map(|user| limiter.try_acquire(scopes![key!("user:{}", user)])).collect();
    assert!(permits.iter().any(Result::is_err));
    drop(permits);
    assert!(limiter.try_acquire("another").is_ok());
    assert!(heard.1.load(Relaxed) > 1, "both kinds of events were heard");
}
