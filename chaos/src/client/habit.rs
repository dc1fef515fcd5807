//! What the tasks of a client do.

use std::{ops::Range, time::Duration};

use clap::ValueEnum;
use fastrand::Rng;

/// What the tasks of a client do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Habit {
    /// Everything, by chance.
    #[default]
    Mixed,
    /// Holds short leases that are not renewed, to the end.
    Exhaust,
    /// Asks for long leases, hardly waits, and drops half of the futures soon.
    Hasty,
    /// Waits in line for locks that its neighbours want on the same terms.
    Relay,
    /// Waits for long, holds for short.
    Patient,
    /// Holds for long, with leases that are renewed.
    Keep,
}

/// What to ask for, and what to do with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Whether it is shared with others that read.
    pub(crate) reads: bool,
    pub(crate) wait: Duration,
    pub(crate) lease: Duration,
    /// Whether the lease is renewed.
    pub(crate) renew: bool,
    /// When the future is dropped, if it is.
    pub(crate) patience: Option<Duration>,
    /// How long to hold it.
    pub(crate) hold: Duration,
}

impl Habit {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.expect("no habit is hidden").get_name().to_owned()
    }

    /// While things are broken.
    pub(crate) fn wish(self, rng: &mut Rng) -> Wish {
        match self {
            Self::Mixed => mixed(rng),
            Self::Exhaust => {
                Wish { renew: false, ..wish(rng, 4_000..6_000, 150..450, 0, 300..700) }
            }
            Self::Hasty => wish(rng, 0..2, 60_000..60_001, 50, 0..10),
            Self::Relay => wish(rng, 2_000..3_000, 400..401, 0, 80..200),
            Self::Patient => wish(rng, 12_000..12_001, 1_000..2_000, 0, 0..60),
            Self::Keep => wish(rng, 2_000..4_000, 400..900, 0, 100..1_500),
        }
    }

    /// When nothing is broken any more: waits that must be served, and leases that outlast them and the look
    /// at what was left behind.
    pub(crate) fn calm_wish(rng: &mut Rng) -> Wish {
        let reads = rng.u8(..100) < READS;
        Wish { reads, ..wish(rng, 15_000..15_001, 60_000..60_001, 15, 0..20) }
    }
}

/// Anything, mostly short.
fn mixed(rng: &mut Rng) -> Wish {
    let wait = match rng.u8(..100) {
        0..25 => 0..1,
        25..60 => 1..200,
        _ => 200..4_000,
    };
    let hold = match rng.u8(..100) {
        0..80 => 0..15,
        80..95 => 15..200,
        _ => 200..2_000,
    };
    let renew = rng.u8(..100) < 80;
    let reads = rng.u8(..100) < READS;
    Wish { renew, reads, ..wish(rng, wait, 300..1_500, 15, hold) }
}

/// Of milliseconds; `cancels` in a hundred are dropped soon.
fn wish(rng: &mut Rng, wait: Range<u64>, lease: Range<u64>, cancels: u8, hold: Range<u64>) -> Wish {
    let patience = (rng.u8(..100) < cancels).then(|| Duration::from_millis(rng.u64(0..60)));
    let mut within = |range| Duration::from_millis(rng.u64(range));
    let (wait, lease, hold) = (within(wait), within(lease), within(hold));
    Wish { reads: false, wait, lease, renew: true, patience, hold }
}

/// So many in a hundred read.
const READS: u8 = 35;
