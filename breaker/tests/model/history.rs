//! The calls in the window: a list.

use mainstay_breaker::{Outcome, Tally};

use crate::settings::Span;

/// Results of one generation. Times are cut into buckets, and a result counts until the last
/// millisecond of its bucket has left the window.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    results: Vec<Done>,
    /// Width of the buckets, and the last millisecond of the newest.
    width: u64,
    newest: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Done {
    outcome: Outcome,
    slow: bool,
    last: u64,
}

impl History {
    const BUCKETS: u64 = 16;

    pub(crate) fn record(&mut self, window: Span, at: u64, outcome: Outcome, slow: bool) {
        let last = match window {
            Span::Time(time) => self.turn(width(time), at),
            Span::Calls(_) => at,
        };
        if let Span::Calls(calls) = window {
            self.keep(usize::try_from(calls).unwrap() - 1);
        }
        self.results.push(Done { outcome, slow, last });
    }

    /// Makes place for a result of time `at`, and says where its bucket ends.
    fn turn(&mut self, width: u64, at: u64) -> u64 {
        let end = |time: u64| time / width * width + width - 1;
        // What began before the newest bucket is counted in it.
        let begun = self.newest.map_or(0, |newest| newest + 1 - self.width);
        let newest = end(at.max(begun));
        for result in &mut self.results {
            result.last = end(result.last).min(newest);
        }
        self.results.retain(|result| newest - result.last < Self::BUCKETS * width);
        (self.width, self.newest) = (width, Some(newest));
        newest
    }

    fn keep(&mut self, calls: usize) {
        let surplus = self.results.len().saturating_sub(calls);
        self.results.drain(..surplus);
    }

    pub(crate) fn tally(&self, window: Span, now: u64) -> Tally {
        let live = |done: &&Done| match window {
            Span::Time(time) => done.last + time > now,
            Span::Calls(_) => true,
        };
        let mut tally = Tally::default();
        for done in self.results.iter().filter(live) {
            match done.outcome {
                Outcome::Success => tally.success += 1,
                Outcome::Failure => tally.failure += 1,
                Outcome::Unknown => tally.unknown += 1,
                Outcome::Ignored => unreachable!("says nothing"),
            }
            tally.slow += u64::from(done.slow);
        }
        tally
    }
}

/// The smallest power of two of which fifteen cover the window.
fn width(window: u64) -> u64 {
    let mut width = 1;
    while 15 * width < window {
        width *= 2;
    }
    width
}
