//! The packed windows against plain lists.

use std::collections::VecDeque;

use mainstay_core::Outcome;
use proptest::prelude::*;

use super::{CountRing, Extra, Owned, Ring, Sample, Tally, meta::shift_for};

const WINDOWS: [u64; 5] = [10, 1_000, 9_999, 10_000, 60_000];

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Call(Outcome, bool),
    /// Another length of the window.
    Window(usize),
    /// Another era.
    Era,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Unknown)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Pass(0)),
        8 => (1_u64..3_000).prop_map(Step::Pass),
        1 => (3_000_u64..200_000).prop_map(Step::Pass),
        // A day, a month: epochs far apart that share a place in the ring.
        1 => (1_u64..40).prop_map(|days| Step::Pass(days * 86_400_000)),
        20 => (outcome(), any::<bool>()).prop_map(|(outcome, slow)| Step::Call(outcome, slow)),
        1 => (0..WINDOWS.len()).prop_map(Step::Window),
        1 => Just(Step::Era),
    ]
}

/// A call in the list, and whether a shorter window may have forgotten it.
struct Call {
    at: u64,
    tally: Tally,
    lost: bool,
}

fn sum<'a>(calls: impl Iterator<Item = &'a Call>) -> Tally {
    calls.fold(Tally::default(), |mut sum, call| {
        sum += call.tally;
        sum
    })
}

fn at_least(tally: &Tally, least: &Tally) -> bool {
    tally.success >= least.success
        && tally.failure >= least.failure
        && tally.unknown >= least.unknown
        && tally.slow >= least.slow
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every call younger than the window is counted, and none older than the window and a bucket.
    #[test]
    fn windows_of_time_count_what_a_list_counts(steps in proptest::collection::vec(step(), 1..200)) {
        let (owned, mut ring, mut extra) = (Owned::new(), Ring::new(), Extra::default());
        let mut calls = VecDeque::<Call>::new();
        let (mut now, mut window, mut era, mut blur) = (1_u64 << 30, 10_000, 1_u64, 1 << shift_for(10_000));
        for step in steps {
            let shift = shift_for(window);
            match step {
                Step::Pass(millis) => now += millis,
                Step::Era => {
                    era += 1;
                    calls.clear();
                    blur = 1 << shift;
                }
                Step::Window(index) => {
                    window = WINDOWS[index];
                    // A bucket that changed its width may have kept a call for two widths longer.
                    blur += 2 << shift_for(window);
                }
                Step::Call(outcome, slow) => {
                    let sample = Sample::new(outcome, slow).unwrap();
                    owned.record(shift, era, now, sample);
                    ring.record(Some(&mut extra), (shift, era, now), sample);
                    calls.push_back(Call { at: now, tally: sample.tally(), lost: false });
                }
            }
            for call in &mut calls {
                call.lost |= now - call.at >= window;
            }
            let young = sum(calls.iter().filter(|call| !call.lost));
            let old = sum(calls.iter().filter(|call| now - call.at < window + blur));
            let counted = owned.tally(era, window, now);
            prop_assert!(at_least(&counted, &young), "{:?} of {:?}", counted, young);
            prop_assert!(at_least(&old, &counted), "{:?} of {:?}", counted, old);
            prop_assert_eq!(counted, ring.tally(Some(&extra), era, window, now));
        }
    }

    /// A window of calls is exact, whatever its sizes were.
    #[test]
    fn windows_of_calls_count_what_a_list_counts(
        steps in proptest::collection::vec((outcome(), any::<bool>(), 0_u32..40), 1..400),
    ) {
        let (mut ring, mut calls, mut capacity) = (CountRing::new(7), VecDeque::new(), 7);
        for (outcome, slow, size) in steps {
            // Mostly it stays as it is.
            if (1..6).contains(&size) {
                capacity = size * 3;
                ring.resize(capacity);
            }
            let sample = Sample::new(outcome, slow).unwrap();
            ring.record(1, sample);
            calls.push_back(Call { at: 0, tally: sample.tally(), lost: false });
            while calls.len() > capacity as usize {
                calls.pop_front();
            }
            prop_assert_eq!(ring.tally(1), sum(calls.iter()));
        }
    }
}

#[test]
fn an_epoch_that_comes_round_is_not_taken_for_another() {
    let sample = Sample::new(Outcome::Failure, true).unwrap();
    for rings in [1, 1 << 16, 1 << 20] {
        let owned = Owned::new();
        owned.record(10, 1, 0, sample);
        // The same bucket of the ring, exactly so many turns later.
        let now = (rings * 16) << 10;
        owned.record(10, 1, now + (1 << 10), sample);
        assert_eq!(owned.tally(1, 10_000, now + (1 << 10)).failure, 1, "{rings} turns");
    }
}

#[test]
fn time_that_runs_backwards_loses_no_call() {
    let owned = Owned::new();
    let sample = Sample::new(Outcome::Failure, false).unwrap();
    owned.record(10, 1, 50_000, sample);
    owned.record(10, 1, 40_000, sample);
    assert_eq!(owned.tally(1, 10_000, 50_000).failure, 2);
}

#[test]
fn a_ring_covers_its_window() {
    for window in [1, 15, 16, 100, 10_000, 86_400_000] {
        let shift = shift_for(window);
        assert!(window <= 15 << shift, "{window}");
        assert!(shift == 0 || window > 15 << (shift - 1), "{window}: no wider than it must be");
    }
}
