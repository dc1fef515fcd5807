//! Tokens of one process, on a clock that the test moves.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use mainstay_lock::{
    ManualClock,
    token::{Consumed, Token, TokenError, Tokens},
};
use proptest::prelude::*;

use crate::ms;

const FORM: &str = "order-form";

fn scene() -> (ManualClock, Tokens) {
    let time = ManualClock::new();
    let tokens = Tokens::in_process_on(time.clock());
    (time, tokens)
}

#[tokio::test]
async fn one_of_many_is_the_first_and_all_are_told_its_number() {
    let (_time, tokens) = scene();
    let token = tokens.issue(FORM, ms(1_000)).await.unwrap();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (tokens, token) = (tokens.clone(), token.clone());
            tokio::spawn(async move { tokens.consume(FORM, &token).await.unwrap() })
        })
        .collect();
    let mut consumed = Vec::new();
    for task in tasks {
        consumed.push(task.await.unwrap());
    }
    assert_eq!(consumed.iter().filter(|consumed| consumed.is_first()).count(), 1);
    assert!(consumed.iter().all(|other| other.number() == consumed[0].number()));
}

#[tokio::test]
async fn what_was_never_issued_here_is_invalid() {
    let (time, tokens) = scene();
    let token = tokens.issue(FORM, ms(1_000)).await.unwrap();
    let foreign: Token = "00112233445566778899aabbccddeeff".parse().unwrap();
    for (scope, token) in [(FORM, &foreign), ("other-form", &token)] {
        let error = tokens.consume(scope, token).await.unwrap_err();
        assert!(error.is_invalid() && error.retry_after().is_none(), "{error}");
        assert!(!format!("{error} {error:?}").contains(token.as_str()));
    }
    time.advance(ms(1_000));
    assert!(tokens.consume(FORM, &token).await.unwrap_err().is_invalid(), "its time is over");
    let error = tokens.issue("order::form", ms(1_000)).await.unwrap_err();
    assert!(matches!(error, TokenError::InvalidScope(_)), "{error}");
}

/// Who submits in the last moment and clicks again is not told that the form has expired.
#[tokio::test]
async fn repetitions_are_told_their_number_for_a_whole_lifetime_after_the_first_use() {
    let (time, tokens) = scene();
    let token = tokens.issue(FORM, ms(1_000)).await.unwrap();
    time.advance(ms(999));
    let first = tokens.consume(FORM, &token).await.unwrap();
    time.advance(ms(999));
    let number = first.number();
    assert_eq!(tokens.consume(FORM, &token).await.unwrap(), Consumed::Replay { number });
    time.advance(ms(1));
    assert!(tokens.consume(FORM, &token).await.unwrap_err().is_invalid());
}

#[tokio::test]
async fn tokens_are_text_without_escapes_and_never_shown() {
    let (_time, tokens) = scene();
    let token = tokens.issue(FORM, ms(1_000)).await.unwrap();
    let other = tokens.issue(FORM, ms(1_000)).await.unwrap();
    assert_ne!(token, other);
    assert!(
        token.as_str().len() == 32 && token.as_str().bytes().all(|b| b.is_ascii_alphanumeric())
    );
    assert_eq!(token.as_str().parse::<Token>().unwrap(), token);
    let json = serde_json::to_string(&token).unwrap();
    assert_eq!(serde_json::from_str::<Token>(&json).unwrap(), token);
    assert_eq!(format!("{token:?}"), "Token(..)");
    for bad in ["", "0", "00112233445566778899AABBCCDDEEFF", "+0112233445566778899aabbccddeeff"] {
        let error = bad.parse::<Token>().unwrap_err();
        assert!(serde_json::from_str::<Token>(&format!("{bad:?}")).is_err());
        assert!(!error.to_string().contains("AABB"), "{error}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Issue { scope: u8, ttl: u64 },
    Consume { scope: u8, which: prop::sample::Index },
    Advance(u64),
    SetCalendar(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2_u8, 1..50_u64).prop_map(|(scope, ttl)| Step::Issue { scope, ttl }),
        6 => (0..2_u8, any::<prop::sample::Index>())
            .prop_map(|(scope, which)| Step::Consume { scope, which }),
        2 => (0..30_u64).prop_map(Step::Advance),
        1 => (0..4_000_000_000_u64).prop_map(Step::SetCalendar),
    ]
}

/// What is known of a token: its scope, how long it lives, when it ends, its number.
struct Known {
    scope: u8,
    token: Token,
    ttl: u64,
    ends: u64,
    number: Option<i64>,
}

proptest! {
    #[test]
    fn they_do_what_a_table_does(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (time, tokens) = scene();
            let (mut now, mut table, mut last) = (0, Vec::<Known>::new(), BTreeMap::new());
            let name = |scope: u8| format!("form-{scope}");
            for step in &steps {
                match step {
                    Step::Issue { scope, ttl } => {
                        let token = tokens.issue(name(*scope), ms(*ttl)).await.unwrap();
                        let (scope, ttl, ends) = (*scope, *ttl, now + ttl);
                        table.push(Known { scope, token, ttl, ends, number: None });
                    }
                    Step::Advance(by) => {
                        now += by;
                        time.advance(ms(*by));
                    }
                    Step::SetCalendar(secs) => {
                        time.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(*secs));
                    }
                    Step::Consume { scope, which } => {
                        if table.is_empty() {
                            continue;
                        }
                        let at = which.index(table.len());
                        let known = &mut table[at];
                        let consumed = tokens.consume(name(*scope), &known.token).await;
                        if known.scope != *scope || known.ends <= now {
                            assert!(consumed.unwrap_err().is_invalid());
                            continue;
                        }
                        match (consumed.unwrap(), known.number) {
                            (Consumed::Replay { number }, Some(drawn)) => assert_eq!(number, drawn),
                            (Consumed::First { number }, None) => {
                                let before = last.insert(*scope, number).unwrap_or(0);
                                assert!(number > before, "{number} after {before}");
                                (known.number, known.ends) = (Some(number), now + known.ttl);
                            }
                            (other, drawn) => panic!("{other:?}, {drawn:?} was drawn before"),
                        }
                    }
                }
            }
        });
    }
}

#[tokio::test]
async fn what_has_ended_takes_no_memory() {
    let (time, tokens) = scene();
    for round in 0..1_000 {
        let token = tokens.issue(FORM, ms(10)).await.unwrap();
        if round % 2 == 0 {
            tokens.consume(FORM, &token).await.unwrap();
        }
        time.advance(ms(1));
    }
    let shown = format!("{tokens:?}");
    let kept: usize =
        shown.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
    assert!(kept <= 20, "{shown}");
}
