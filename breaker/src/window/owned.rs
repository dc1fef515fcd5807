//! A ring of buckets that one thread writes and any thread reads.
//!
//! The owner needs no read-modify-write: it loads and stores. A reader sees every bucket whole; while
//! the owner rewrites all of them (a new era, another width) the ring is marked busy and a reader that
//! noticed starts again.

use super::{
    meta::{BUCKETS, Meta, Turn, add, rebin},
    tally::{Sample, Tally},
};
use crate::sync::{AtomicU64, Ordering};

#[derive(Debug)]
// Two cache lines, because processors fetch them in pairs: neighbours belong to other threads.
#[repr(align(128))]
pub(crate) struct Owned {
    meta: AtomicU64,
    main: [AtomicU64; BUCKETS],
    extra: [AtomicU64; BUCKETS],
    rejected: AtomicU64,
}

impl Owned {
    const READ_ATTEMPTS: usize = 3;

    pub(crate) fn new() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { meta: AtomicU64::new(0), main: zeros(), extra: zeros(), rejected: AtomicU64::new(0) }
    }

    /// Counts a call. Only the owner may call this.
    #[inline]
    pub(crate) fn record(&self, shift: u32, era: u64, at: u64, sample: Sample) {
        let seen = Meta::from_bits(self.meta.load(Ordering::Relaxed));
        let (next, turn) = seen.turn(shift, era, at);
        if turn != Turn::Stay {
            self.turn(seen, next, turn);
        }
        let slot = next.slot();
        if sample.main != 0 {
            bump(&self.main[slot], sample.main);
        }
        if sample.extra != 0 {
            bump(&self.extra[slot], sample.extra);
        }
    }

    /// Counts a refusal. Only the owner may call this.
    #[inline]
    pub(crate) fn reject(&self) {
        bump(&self.rejected, 1);
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    #[cold]
    fn turn(&self, from: Meta, to: Meta, turn: Turn) {
        match turn {
            Turn::Stay => return,
            Turn::Advance => {
                for slot in from.skipped(to) {
                    self.main[slot].store(0, Ordering::Release);
                    self.extra[slot].store(0, Ordering::Release);
                }
            }
            Turn::Restart => {
                self.meta.store(to.busy().bits(), Ordering::Release);
                write(&self.main, [0; BUCKETS]);
                write(&self.extra, [0; BUCKETS]);
            }
            Turn::Rebin => {
                self.meta.store(to.busy().bits(), Ordering::Release);
                write(&self.main, rebin(&read(&self.main), from, to));
                write(&self.extra, rebin(&read(&self.extra), from, to));
            }
        }
        self.meta.store(to.bits(), Ordering::Release);
    }

    /// The calls of `era` in the `window` milliseconds before `now`.
    ///
    /// Nothing while the owner rewrites its buckets: it has a call in hand that will be judged after.
    pub(crate) fn tally(&self, era: u64, window: u64, now: u64) -> Tally {
        for _ in 0..Self::READ_ATTEMPTS {
            let before = self.read_meta();
            if !before.is_era(era) {
                break;
            }
            let mut tally = Tally::default();
            for slot in before.live(window, now) {
                let main = self.main[slot].load(Ordering::Acquire);
                tally.add_words(main, self.extra[slot].load(Ordering::Acquire));
            }
            let after = self.read_meta();
            let same = after.is_era(era) && after.shift() == before.shift();
            if same && !before.is_busy() && !after.is_busy() {
                return tally;
            }
        }
        Tally::default()
    }

    fn read_meta(&self) -> Meta {
        Meta::from_bits(self.meta.load(Ordering::Acquire))
    }
}

/// A plain load and store: nobody else writes.
#[inline]
fn bump(cell: &AtomicU64, counts: u64) {
    cell.store(add(cell.load(Ordering::Relaxed), counts), Ordering::Release);
}

fn read(cells: &[AtomicU64; BUCKETS]) -> [u64; BUCKETS] {
    std::array::from_fn(|slot| cells[slot].load(Ordering::Relaxed))
}

fn write(cells: &[AtomicU64; BUCKETS], values: [u64; BUCKETS]) {
    for (cell, value) in cells.iter().zip(values) {
        cell.store(value, Ordering::Release);
    }
}
