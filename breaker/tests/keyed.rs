//! Breakers by key: bounded, and no failing one is forgotten.

mod support;

use mainstay_breaker::{
    Breakers, BreakersBuilder, HasBreakers, ManualClock, Outcome, State, Window, key,
};
use proptest::prelude::*;
use support::*;

fn banks(time: &ManualClock) -> BreakersBuilder {
    Breakers::builder().clock(time.clock()).consecutive(3).without_failure_rate()
}

fn finish(breakers: &Breakers, key: &str, outcome: Outcome) {
    let breaker = breakers.get(key).expect("the text is a key");
    breaker.try_admit().expect("it is closed").finish(outcome);
}

#[tokio::test]
async fn every_key_has_its_own() {
    let time = ManualClock::new();
    let breakers = banks(&time).build();
    for _ in 0..3 {
        let _ = breakers.call("bank:1").run(async { Err::<(), _>(CallError::Bad) }).await;
    }
    let refused = breakers.call("bank:1").run(async { Ok::<_, CallError>(()) }).await;
    assert_eq!(refusal(refused).name().unwrap().as_str(), "bank:1");
    assert_eq!(
        breakers.breakers().call("bank:2").run(async { Ok::<_, CallError>(7) }).await,
        Ok(7)
    );
    assert_eq!(breakers.len(), 2);
}

#[tokio::test]
async fn a_key_that_is_none_is_told_when_the_request_is_used() {
    let breakers = Breakers::builder().build();
    let request = breakers.call(key!("bank:{}", ""));
    let error = request.run(async { Ok::<(), CallError>(()) }).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(error) if error.is_invalid_key()));
    assert!(breakers.call("a::b").await.is_err_and(|error| error.retry_after().is_none()));
}

#[tokio::test]
async fn an_idle_breaker_makes_room_and_a_failing_one_does_not() {
    let time = ManualClock::new();
    let breakers = banks(&time).capacity(2).build();
    finish(&breakers, "failing", Outcome::Failure);
    finish(&breakers, "healthy", Outcome::Success);
    assert_eq!(breakers.get("made-up").unwrap().name().as_str(), "overflow");

    // The window is empty now, a row of bad calls is not forgotten by time.
    time.advance(secs(60));
    assert_eq!(breakers.get("new").unwrap().name().as_str(), "new");
    assert_eq!(breakers.len(), 2);
    assert_eq!(breakers.get("failing").unwrap().snapshot().consecutive, 1);
    assert_eq!(breakers.get("new").unwrap().name().as_str(), "new");
}

#[tokio::test]
async fn open_breakers_stay_whatever_is_made_up() {
    let time = ManualClock::new();
    let breakers = banks(&time).capacity(10).build();
    for _ in 0..3 {
        finish(&breakers, "failing", Outcome::Failure);
    }
    for made_up in 0..10_000 {
        time.advance(ms(10));
        drop(breakers.get(key!("made:up:{}", made_up)).unwrap());
    }
    assert_eq!(breakers.len(), 10);
    assert_eq!(breakers.get("failing").unwrap().state(), State::Open);
}

#[tokio::test]
async fn a_breaker_in_use_keeps_its_place() {
    let time = ManualClock::new();
    let breakers = banks(&time).capacity(1).build();
    let permit = breakers.call("slow").await.unwrap();
    time.advance(secs(3600));
    assert_eq!(breakers.get("other").unwrap().name().as_str(), "overflow");
    permit.finish(Outcome::Failure);
    assert_eq!(breakers.get("slow").unwrap().snapshot().consecutive, 1);

    let breakers = banks(&time).capacity(1).build();
    let kept = breakers.get("kept").unwrap().clone();
    assert_eq!(breakers.get("other").unwrap().name().as_str(), "overflow");
    drop(kept);
    assert_eq!(breakers.get("other").unwrap().name().as_str(), "other");
}

#[tokio::test]
async fn the_overflow_breaker_protects_too() {
    let time = ManualClock::new();
    let breakers = banks(&time).capacity(0).build();
    for made_up in 0..3 {
        finish(&breakers, &format!("made:up:{made_up}"), Outcome::Failure);
    }
    assert_eq!(breakers.overflow().state(), State::Open);
    assert!(breakers.call("made:up:9").await.is_err());
    assert_eq!(breakers.snapshots().len(), 1);
}

#[tokio::test]
async fn all_are_configured_at_once() {
    let time = ManualClock::new();
    let breakers = banks(&time).build();
    finish(&breakers, "bank:1", Outcome::Failure);
    let mut config = breakers.config();
    config.consecutive = Some(2);
    breakers.configure(config);
    finish(&breakers, "bank:1", Outcome::Failure);
    assert_eq!(breakers.get("bank:1").unwrap().state(), State::Open);
}

#[test]
fn threads_that_meet_get_rings_of_their_own_and_lose_nothing() {
    let time = ManualClock::new();
    let breakers = banks(&time).window(Window::time(secs(60))).build();
    let breaker = breakers.get("bank:1").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    breaker.try_admit().unwrap().finish(Outcome::Success);
                }
            });
        }
    });
    assert_eq!(breaker.snapshot().tally.success, 16_000);
}

#[derive(Clone, Debug)]
enum Step {
    Call(u8, bool),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..30, proptest::bool::weighted(0.2)).prop_map(|(key, bad)| Step::Call(key, bad)),
        1 => (0_u16..20_000).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever keys come and go: the bound holds, and a key whose last call was bad is never forgotten.
    #[test]
    fn eviction_never_loses_a_failure(steps in proptest::collection::vec(step(), 1..300)) {
        let time = ManualClock::new();
        let breakers = banks(&time).consecutive(1_000).capacity(5).build();
        let mut rows = std::collections::HashMap::<String, u32>::new();
        for step in steps {
            match step {
                Step::Pass(millis) => time.advance(ms(millis.into())),
                Step::Call(key, bad) => {
                    let breaker = breakers.get(key!("key:{}", key)).unwrap();
                    let outcome = if bad { Outcome::Failure } else { Outcome::Success };
                    breaker.try_admit().unwrap().finish(outcome);
                    let row = rows.entry(breaker.name().as_str().into()).or_default();
                    *row = if bad { *row + 1 } else { 0 };
                    prop_assert_eq!(breaker.snapshot().consecutive, *row);
                }
            }
            prop_assert!(breakers.len() <= 5);
        }
    }
}
