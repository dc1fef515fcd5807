//! Configuration from files.

mod support;

use mainstay_breaker::{Backoff, BreakerConfig, Dropped, Ramp, Ratio, Window};
use support::*;

#[test]
fn everything_may_be_left_out() {
    assert_eq!(serde_json::from_str::<BreakerConfig>("{}").unwrap(), BreakerConfig::default());
}

#[test]
fn every_field_comes_back_as_it_was() {
    let mut config = BreakerConfig::default();
    config.window = Window::count(100);
    config.failure_rate = None;
    config.consecutive = Some(5);
    config.count = Some(7);
    config.unknown_weight = Ratio::new(0.25).unwrap();
    config.dropped = Dropped::After(ms(1_500));
    config.open_for = Backoff::steps(secs(1), [secs(5)]);
    config.trials.lease = Some(secs(3));
    config.ramp = Some(Ramp::default());
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.contains(r#""window":{"count":100}"#) && text.contains("1s 500ms"), "{text}");
    assert_eq!(serde_json::from_str::<BreakerConfig>(&text).unwrap(), config);
}

#[test]
fn mistakes_are_told() {
    for (text, message) in [
        (r#"{"failure_rte": null}"#, "unknown field `failure_rte`"),
        (r#"{"failure_rate": {"limit": 50, "min_calls": 1}}"#, "50 is not between 0 and 1"),
        (r#"{"window": {"hours": 1}}"#, "unknown variant `hours`"),
        (r#"{"trials": {"permit": 3}}"#, "unknown field `permit`"),
        (r#"{"quiet": 60}"#, "invalid type"),
    ] {
        let error = serde_json::from_str::<BreakerConfig>(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_ratio_is_a_share_of_a_whole() {
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Ratio::new(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Ratio::new(0.333_33).unwrap().to_string(), "33.33%");
    assert_eq!((Ratio::new(1.0).unwrap(), Ratio::percent(255)), (Ratio::ONE, Ratio::ONE));
}

#[test]
fn windows_are_cut_to_what_can_be() {
    assert_eq!(Window::time(secs(0)), Window::time(ms(10)));
    assert_eq!(Window::count(0), Window::count(1));
    assert_eq!(Window::count(u32::MAX), Window::count(65_536));
}
