//! The last so many calls, in order.

use super::tally::{Sample, Tally};

/// A ring of the calls of one era.
#[derive(Debug)]
pub(crate) struct CountRing {
    calls: Vec<Call>,
    capacity: usize,
    /// Where the next call goes once the ring is full: the oldest one's place.
    next: usize,
    era: u64,
    tally: Tally,
}

/// A sample in a byte: bit 0 success, 1 failure, 2 unknown, 3 slow.
#[derive(Clone, Copy, Debug)]
struct Call(u8);

impl Call {
    fn new(sample: Sample) -> Self {
        let tally = sample.tally();
        let bit = |count: u64, at: u8| u8::from(count != 0) << at;
        let kind = bit(tally.success, 0) | bit(tally.failure, 1) | bit(tally.unknown, 2);
        Self(kind | bit(tally.slow, 3))
    }

    fn bit(self, at: u8) -> u64 {
        u64::from((self.0 >> at) & 1)
    }
}

impl CountRing {
    pub(crate) fn new(capacity: u32) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX).max(1);
        Self { calls: Vec::new(), capacity, next: 0, era: 0, tally: Tally::default() }
    }

    /// Keeps the newest calls that fit another size.
    pub(crate) fn resize(&mut self, capacity: u32) {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX).max(1);
        if capacity == self.capacity {
            return;
        }
        if self.calls.len() == self.capacity {
            self.calls.rotate_left(self.next);
        }
        let surplus = self.calls.len().saturating_sub(capacity);
        for call in self.calls.drain(..surplus) {
            forget(&mut self.tally, call);
        }
        self.capacity = capacity;
        self.next = 0;
    }

    pub(crate) fn record(&mut self, era: u64, sample: Sample) {
        if self.era != era {
            self.calls.clear();
            self.next = 0;
            self.tally = Tally::default();
            self.era = era;
        }
        self.tally += sample.tally();
        let call = Call::new(sample);
        if self.calls.len() < self.capacity {
            self.calls.push(call);
            return;
        }
        let oldest = std::mem::replace(&mut self.calls[self.next], call);
        forget(&mut self.tally, oldest);
        self.next = (self.next + 1) % self.capacity;
    }

    pub(crate) fn tally(&self, era: u64) -> Tally {
        if self.era == era { self.tally } else { Tally::default() }
    }
}

fn forget(tally: &mut Tally, call: Call) {
    tally.success -= call.bit(0);
    tally.failure -= call.bit(1);
    tally.unknown -= call.bit(2);
    tally.slow -= call.bit(3);
}
