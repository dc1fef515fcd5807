//! A ring of buckets under somebody else's mutex.

use super::{
    meta::{BUCKETS, Meta, Turn, add, rebin},
    tally::{Sample, Tally},
};

/// Successes and failures. Unknown and slow calls are rare and live in [`Extra`], made when needed.
#[derive(Debug)]
pub(crate) struct Ring {
    meta: Meta,
    main: [u64; BUCKETS],
}

/// Unknown and slow calls of the same buckets.
#[derive(Debug, Default)]
pub(crate) struct Extra([u64; BUCKETS]);

impl Ring {
    pub(crate) fn new() -> Self {
        Self { meta: Meta::from_bits(0), main: [0; BUCKETS] }
    }

    /// Counts a call; `extra` may be left out if no unknown or slow call was ever counted.
    pub(crate) fn record(
        &mut self,
        extra: Option<&mut Extra>,
        (shift, era, at): (u32, u64, u64),
        sample: Sample,
    ) {
        let (next, turn) = self.meta.turn(shift, era, at);
        let slot = next.slot();
        turn_buckets(&mut self.main, self.meta, next, turn);
        self.main[slot] = add(self.main[slot], sample.main);
        if let Some(extra) = extra.map(|extra| &mut extra.0) {
            turn_buckets(extra, self.meta, next, turn);
            extra[slot] = add(extra[slot], sample.extra);
        }
        self.meta = next;
    }

    /// The calls of `era` in the `window` milliseconds before `now`.
    pub(crate) fn tally(&self, extra: Option<&Extra>, era: u64, window: u64, now: u64) -> Tally {
        let mut tally = Tally::default();
        if self.meta.is_era(era) {
            for slot in self.meta.live(window, now) {
                tally.add_words(self.main[slot], extra.map_or(0, |extra| extra.0[slot]));
            }
        }
        tally
    }
}

fn turn_buckets(buckets: &mut [u64; BUCKETS], from: Meta, to: Meta, turn: Turn) {
    match turn {
        Turn::Stay => {}
        Turn::Advance => from.skipped(to).for_each(|slot| buckets[slot] = 0),
        Turn::Restart => *buckets = [0; BUCKETS],
        Turn::Rebin => *buckets = rebin(buckets, from, to),
    }
}
