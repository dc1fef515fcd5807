//! Small histories, legal and illegal, one for each rule.

use super::{Rule, judge};
use crate::{
    event::{Event, Left, What},
    fault::Fault,
    shape::Shape,
};

/// A history in the making; times are in milliseconds.
struct History(Vec<Event>);

impl History {
    fn new() -> Self {
        Self(Vec::new()).with(0, 0, What::Began { seed: 1, shape: Shape::Single })
    }

    fn with(mut self, at: u64, client: u32, what: What) -> Self {
        self.0.push(Event { at: at * 1_000_000, client, what });
        self
    }

    fn asked(self, at: u64, op: u64) -> Self {
        self.asks(at, op, false)
    }

    fn asks(self, at: u64, op: u64, reads: bool) -> Self {
        let what = What::Asked { op, key: "k".to_owned(), reads, wait: 10_000, lease: 100 };
        self.with(at, client(op), what)
    }

    fn granted(self, at: u64, op: u64, fence: i64, until: u64) -> Self {
        let until = until * 1_000_000;
        self.with(at, client(op), What::Granted { op, fence, until })
    }

    fn leaves(self, at: u64, op: u64) -> Self {
        self.with(at, client(op), What::Leaves { op })
    }

    /// A hold from its grant to its release.
    fn hold(self, op: u64, fence: i64, from: u64, to: u64) -> Self {
        self.asked(from - 1, op).granted(from, op, fence, from + 100).leaves(to, op)
    }

    /// As [`hold`](Self::hold), beside others that read.
    fn read(self, op: u64, fence: i64, from: u64, to: u64) -> Self {
        self.asks(from - 1, op, true).granted(from, op, fence, from + 100).leaves(to, op)
    }

    fn wrote(self, at: u64, op: u64, accepted: bool) -> Self {
        let client = client(op);
        self.with(at, client, What::Writes { op }).with(
            at + 1,
            client,
            What::Wrote { op, accepted },
        )
    }

    fn flushed(self, at: u64) -> Self {
        let strikes = What::Strikes { number: at, fault: Fault::FlushAll, lossy: true };
        self.with(at, 0, strikes).with(at, 0, What::Mended { number: at })
    }

    fn counter(self, value: i64) -> Self {
        self.with(90_000, 0, What::Counter { key: "k".to_owned(), value })
    }

    fn violated(mut self) -> Vec<Rule> {
        self.0.sort_by_key(|event| event.at);
        judge(&self.0).violations.iter().map(|violation| violation.rule).collect()
    }
}

/// Every request is of a client of its own.
fn client(op: u64) -> u32 {
    u32::try_from(op).unwrap()
}

#[test]
fn one_after_the_other_is_well() {
    let history = History::new().hold(1, 5, 10, 20).hold(2, 6, 20, 30);
    assert_eq!(history.wrote(12, 1, true).wrote(22, 2, true).counter(2).violated(), []);
}

#[test]
fn two_believers_are_seen() {
    assert_eq!(History::new().hold(1, 5, 10, 20).hold(2, 6, 19, 30).violated(), [Rule::Overlap]);
}

#[test]
fn readers_believe_beside_each_other_and_not_beside_a_writer() {
    let read = || History::new().read(1, 5, 10, 40).read(2, 6, 15, 30).read(3, 7, 20, 50);
    assert_eq!(read().hold(4, 8, 50, 60).violated(), []);
    assert_eq!(read().hold(4, 8, 45, 60).violated(), [Rule::Overlap]);
    assert_eq!(read().hold(4, 4, 5, 12).violated(), [Rule::Overlap]);
}

#[test]
fn fences_rise_from_readers_to_writers_and_back_and_readers_have_no_order() {
    // Asked before the others were granted.
    let read = |fence| {
        let history = History::new().hold(1, 5, 10, 20).read(2, 7, 25, 30);
        history.asks(24, 3, true).granted(40, 3, fence, 140).leaves(50, 3)
    };
    let written = |fence, last| read(fence).asked(24, 4).granted(60, 4, last, 160).violated();
    assert_eq!(written(6, 8), []);
    assert!(written(7, 8).contains(&Rule::FenceTwice));
    assert!(written(4, 8).contains(&Rule::FenceOrder), "after the writer before");
    assert!(written(6, 7).contains(&Rule::FenceOrder), "after the reader before the last");
}

#[test]
fn a_belief_ends_with_the_word_of_the_guard() {
    let stopped = |until| History::new().asked(9, 1).granted(10, 1, 5, until).hold(2, 6, 50, 60);
    assert_eq!(stopped(50).violated(), []);
    assert_eq!(stopped(51).violated(), [Rule::Overlap]);
    let renewed = stopped(50).with(40, 1, What::Holds { op: 1, until: 55_000_000 });
    assert_eq!(renewed.violated(), [Rule::Overlap]);
}

#[test]
fn an_overlap_is_excused_by_a_flush_between_the_grants_only() {
    let overlap = || History::new().hold(1, 5, 10, 50).hold(2, 6, 30, 60);
    assert_eq!(overlap().flushed(20).violated(), []);
    assert_eq!(overlap().flushed(5).violated(), [Rule::Overlap]);
    assert_eq!(overlap().flushed(31).violated(), [Rule::Overlap]);
}

#[test]
fn a_fault_that_keeps_the_data_excuses_nothing() {
    let strikes = What::Strikes { number: 1, fault: Fault::ServerStop, lossy: false };
    let history = History::new().hold(1, 5, 10, 50).hold(2, 6, 30, 60).with(20, 0, strikes);
    assert_eq!(history.violated(), [Rule::Overlap]);
}

#[test]
fn an_election_that_nobody_asked_for_excuses_what_replicas_need_not_have() {
    let overlap = |lossy| {
        let elected = What::Elected { epoch: 2, primary: "there".to_owned(), lossy };
        History::new().hold(1, 5, 10, 50).hold(2, 6, 30, 60).with(20, 0, elected).violated()
    };
    assert_eq!(overlap(true), []);
    assert_eq!(overlap(false), [Rule::Overlap]);
}

#[test]
fn a_lock_that_is_gone_before_its_time_is_seen() {
    let held = || History::new().asked(9, 1).granted(10, 1, 5, 100);
    let lost = |at| held().with(at, 1, What::Lost { op: 1, reason: "TakenOver".to_owned() });
    assert_eq!(lost(50).violated(), [Rule::Vanished]);
    assert_eq!(lost(100).violated(), []);
    assert_eq!(lost(50).flushed(30).violated(), []);
    let left = What::Left { op: 1, outcome: Left::AlreadyLost, reason: None };
    assert_eq!(held().leaves(40, 1).with(50, 1, left).violated(), [Rule::Vanished]);
}

#[test]
fn fences_rise_even_where_data_were_lost() {
    let fell = || History::new().hold(1, 6, 10, 20).hold(2, 5, 30, 40);
    assert!(fell().violated().contains(&Rule::FenceOrder));
    assert!(fell().flushed(25).violated().contains(&Rule::FenceOrder));
    let twice = History::new().hold(1, 6, 10, 20).hold(2, 6, 30, 40).violated();
    assert!(twice.contains(&Rule::FenceTwice), "{twice:?}");
}

#[test]
fn a_waiter_that_asked_early_has_the_higher_fence() {
    let waited = History::new().hold(1, 6, 10, 20).asked(5, 2).granted(30, 2, 5, 40);
    assert_eq!(waited.violated(), [Rule::FenceOrder]);
}

#[test]
fn a_hold_that_is_entered_again_keeps_its_fence() {
    let nested =
        |fence| History::new().hold(1, 5, 10, 20).with(12, 1, What::Nested { op: 1, fence });
    assert_eq!(nested(5).violated(), []);
    assert_eq!(nested(6).violated(), [Rule::FenceNested]);
}

#[test]
fn the_store_has_what_it_acknowledged() {
    let wrote = || History::new().hold(1, 5, 10, 20).wrote(12, 1, true);
    assert_eq!(wrote().counter(0).violated(), [Rule::Counter]);
    assert_eq!(wrote().counter(2).violated(), [Rule::Counter]);
    let error = "cut".to_owned();
    let unknown = || wrote().with(15, 1, What::Writes { op: 1 });
    let unknown = || unknown().with(16, 1, What::WroteUnknown { op: 1, error: error.clone() });
    assert_eq!(unknown().counter(1).violated(), []);
    assert_eq!(unknown().counter(2).violated(), []);
    assert_eq!(unknown().counter(3).violated(), [Rule::Counter]);
}

#[test]
fn a_write_of_an_old_holder_after_a_new_one_is_seen_without_its_fence() {
    let wrote = |late| {
        let history = History::new().hold(1, 5, 10, 20).hold(2, 6, 30, 40);
        history.wrote(32, 2, true).wrote(50, 1, late).counter(1 + i64::from(late))
    };
    assert_eq!(wrote(false).violated(), []);
    assert_eq!(wrote(true).violated(), [Rule::StaleWrite]);
}

#[test]
fn whoever_lives_is_answered_in_time() {
    let unanswered = || History::new().asked(10, 1);
    assert_eq!(unanswered().violated(), []);
    assert_eq!(unanswered().with(99, 1, What::Done).violated(), [Rule::NoAnswer]);
    let late = || unanswered().with(20_000, 1, What::Failed { op: 1, error: String::new() });
    assert_eq!(late().violated(), [Rule::NoAnswer]);
    let stopped = late().with(20, 0, What::Stops { victim: 1 });
    assert_eq!(stopped.with(9_000, 0, What::Continued { victim: 1 }).violated(), []);
}

#[test]
fn nobody_waits_in_vain_beside_a_free_lock() {
    let waited = || History::new().asked(10, 1).with(10_010, 1, What::Refused { op: 1 });
    assert_eq!(waited().violated(), [Rule::Starved]);
    assert_eq!(waited().hold(2, 5, 5_000, 5_010).violated(), []);
    let strikes = What::Strikes { number: 1, fault: Fault::BlackHole, lossy: false };
    let broken = waited().with(5_000, 0, strikes);
    assert_eq!(broken.with(5_001, 0, What::Mended { number: 1 }).violated(), []);
}

#[test]
fn what_is_left_behind_is_seen() {
    let left = |keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        History::new().with(10, 0, What::Leftovers { keys }).violated()
    };
    assert_eq!(left(&[]), []);
    assert_eq!(left(&["{k}:held"]), [Rule::Orphan]);
}

#[test]
fn parts_on_servers_of_their_own_do_not_meet() {
    let mut history = History::new().hold(1, 6, 10, 20).wrote(11, 1, true).counter(1).0;
    history.extend(History::new().hold(2, 5, 12, 30).wrote(13, 2, true).counter(1).0);
    let verdict = judge(&history);
    assert_eq!(verdict.violations, []);
    assert_eq!((verdict.grants, verdict.writes, verdict.operations), (2, 2, 2));
}
