//! Where a ring of buckets stands in time.
//!
//! Time is cut into buckets of a power of two of milliseconds. A bucket's number is its *epoch*; the
//! ring keeps the last [`BUCKETS`] of them. An *era* is the generation of the breaker whose calls are
//! counted: a transition begins a new one, and what an older one left behind is not looked at.

pub(crate) const BUCKETS: usize = 16;
const RING: u64 = 16;

/// ```text
/// [ busy 1 ] [ shift 6 ] [ era 16 ] [ epoch of the newest bucket 41 ]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta(u64);

/// What must happen to a ring before a call can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing.
    Stay,
    /// Buckets that time skipped are emptied.
    Advance,
    /// Everything is of an earlier era: emptied.
    Restart,
    /// The buckets have another width now: counts move.
    Rebin,
}

impl Meta {
    const BUSY: u64 = 1 << 63;
    const SHIFT_AT: u32 = 57;
    const ERA_AT: u32 = 41;
    const EPOCH: u64 = (1 << Self::ERA_AT) - 1;

    #[inline]
    pub(crate) fn new(shift: u32, era: u64, epoch: u64) -> Self {
        let shift = u64::from(shift & 0x3f) << Self::SHIFT_AT;
        Self(shift | ((era & 0xffff) << Self::ERA_AT) | (epoch & Self::EPOCH))
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Marks a ring that is being rewritten.
    pub(crate) fn busy(self) -> Self {
        Self(self.0 | Self::BUSY)
    }

    pub(crate) fn is_busy(self) -> bool {
        self.0 & Self::BUSY != 0
    }

    #[inline]
    pub(crate) fn shift(self) -> u32 {
        u32::try_from((self.0 >> Self::SHIFT_AT) & 0x3f).expect("the mask leaves 6 bits")
    }

    #[inline]
    pub(crate) fn is_era(self, era: u64) -> bool {
        (self.0 >> Self::ERA_AT) & 0xffff == era & 0xffff
    }

    #[inline]
    pub(crate) fn epoch(self) -> u64 {
        self.0 & Self::EPOCH
    }

    /// Where the ring stands when a call at `at` is to be counted, and how it gets there.
    ///
    /// A call older than the newest bucket is counted in that one: time does not run backwards.
    #[inline]
    pub(crate) fn turn(self, shift: u32, era: u64, at: u64) -> (Self, Turn) {
        let next = Self::new(shift, era, at >> shift);
        if self == next {
            return (self, Turn::Stay);
        }
        if !self.is_era(era) {
            return (next, Turn::Restart);
        }
        if self.shift() != shift {
            // When the newest bucket began: a call that began before it must not take it along.
            let begun = self.epoch() << self.shift();
            return (Self::new(shift, era, begun.max(at) >> shift), Turn::Rebin);
        }
        if next.epoch() > self.epoch() { (next, Turn::Advance) } else { (self, Turn::Stay) }
    }

    /// The buckets to empty on the way from `self` to the later `next`.
    pub(crate) fn skipped(self, next: Self) -> impl Iterator<Item = usize> {
        let gone = next.epoch().saturating_sub(self.epoch()).min(RING);
        (0..gone).map(move |back| slot(next.epoch() - back))
    }

    /// The buckets that hold calls of the `window` milliseconds before `now`.
    pub(crate) fn live(self, window: u64, now: u64) -> impl Iterator<Item = usize> {
        let newest = self.epoch();
        let first = now.saturating_add(1).saturating_sub(window) >> self.shift();
        let oldest = first.max((newest + 1).saturating_sub(RING));
        (oldest..=newest).map(slot)
    }

    #[inline]
    pub(crate) fn slot(self) -> usize {
        slot(self.epoch())
    }
}

/// The smallest width of buckets with which the ring covers `window` milliseconds and the bucket being filled.
pub(crate) fn shift_for(window: u64) -> u32 {
    (0..Meta::ERA_AT).find(|shift| window <= (RING - 1) << shift).unwrap_or(Meta::ERA_AT)
}

/// Moves counts to buckets of another width, each as late as it can have been.
pub(crate) fn rebin(buckets: &[u64; BUCKETS], from: Meta, to: Meta) -> [u64; BUCKETS] {
    let mut moved = [0; BUCKETS];
    for epoch in (from.epoch() + 1).saturating_sub(RING)..=from.epoch() {
        let target = rescale(epoch, from.shift(), to.shift()).min(to.epoch());
        if to.epoch() - target < RING {
            let count = &mut moved[slot(target)];
            *count = add(*count, buckets[slot(epoch)]);
        }
    }
    moved
}

/// Adds both halves of a bucket.
pub(crate) fn add(bucket: u64, counts: u64) -> u64 {
    bucket.wrapping_add(counts)
}

/// The epoch, in buckets of `to`, of the last millisecond of `epoch`.
fn rescale(epoch: u64, from: u32, to: u32) -> u64 {
    if to >= from { epoch >> (to - from) } else { ((epoch + 1) << (from - to)) - 1 }
}

#[inline]
fn slot(epoch: u64) -> usize {
    usize::try_from(epoch % RING).expect("a remainder is below its divisor")
}
