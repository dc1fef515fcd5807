//! Waits stay within their bounds.

use std::time::Duration;

use mainstay_core::{Backoff, Jitter};
use proptest::prelude::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn an_exponential_wait_doubles_up_to_its_cap() {
    let backoff = Backoff::exponential(ms(100), ms(1000)).jitter(Jitter::None);
    let waits: Vec<_> = (1..=6).map(|n| backoff.delay(n, Duration::ZERO).as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
    assert_eq!(backoff.delay(u32::MAX, Duration::ZERO), ms(1000));
}

#[test]
fn it_reads_from_configuration() {
    let read = |text| serde_json::from_str::<Backoff>(text);
    let table = read(r#"{"steps": ["1s", "1m"]}"#).expect("a table");
    assert_eq!(table, Backoff::steps(ms(1000), [ms(60_000)]));
    let equal = read(r#"{"exponential": {"min": "100ms", "max": "30s"}}"#).expect("a schedule");
    assert_eq!(equal, Backoff::exponential(ms(100), ms(30_000)));
    let again = serde_json::to_string(&equal).expect("serialises");
    assert_eq!(read(&again).expect("reads back"), equal);
}

#[test]
fn configuration_that_makes_no_sense_is_refused() {
    for bad in [
        r#"{"steps": []}"#,
        r#"{"exponential": {"min": "2s", "max": "1s"}}"#,
        r#"{"decorrelated": {"min": "2s", "max": "1s"}}"#,
        r#"{"decorrelated": {"min": "1s", "max": "2s", "factor": 2}}"#,
    ] {
        assert!(serde_json::from_str::<Backoff>(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_wait_is_within_its_bounds(
        min in 0u64..5_000, extra in 0u64..5_000, attempt: u32, previous in 0u64..100_000, kind in 0..4,
    ) {
        let (min, max) = (ms(min), ms(min + extra));
        let backoff = match kind {
            0 => Backoff::decorrelated(min, max),
            1 => Backoff::exponential(min, max).jitter(Jitter::Full),
            2 => Backoff::exponential(min, max),
            _ => Backoff::fixed(min),
        };
        let wait = backoff.delay(attempt, ms(previous));
        prop_assert!(backoff.bounds(attempt, ms(previous)).contains(&wait));
        prop_assert!(wait <= max);
    }
}
