//! What is broken, when and for how long: a function of the seed.

use std::time::Duration;

use fastrand::Rng;

use crate::{fault::Fault, shape::Shape};

/// One thing to break.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// The pause before it.
    pub(crate) gap: Duration,
    pub(crate) fault: Fault,
    /// How long it stays broken.
    pub(crate) lasts: Duration,
    /// Decides what else there is to choose: which client, which direction.
    pub(crate) pick: u64,
}

/// Faults for `length`, each kind as often as any other: those in `only`, or all that a shape has.
pub(crate) fn plan(seed: u64, shape: Shape, only: &[Fault], length: Duration) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let mut steps = Vec::new();
    let mut round = Vec::new();
    let mut at = Duration::ZERO;
    while at < length {
        let Some(fault) = round.pop() else {
            round = if only.is_empty() { faults(shape) } else { only.to_vec() };
            rng.shuffle(&mut round);
            continue;
        };
        let (least, most) = lasts(fault);
        let step = Step {
            gap: Duration::from_millis(rng.u64(100..600)),
            fault,
            lasts: Duration::from_millis(rng.u64(least..=most)),
            pick: rng.u64(..),
        };
        at += step.gap + step.lasts;
        steps.push(step);
    }
    steps
}

/// What can be broken in a shape.
fn faults(shape: Shape) -> Vec<Fault> {
    use Fault::*;
    match shape {
        Shape::Single => vec![
            ClientStop,
            ClientKill,
            ServerKill,
            ServerStop,
            ServerEmpty,
            ConnectionsKilled,
            ScriptFlush,
            FlushAll,
            Frozen,
            ReadOnly,
            OutOfMemory,
            Delay,
            BlackHole,
            Reset,
            Refuse,
        ],
        // Nothing here freezes a primary for so long that the others replace it: that is `PrimaryStop`.
        Shape::Sentinel => vec![
            ClientStop,
            ClientKill,
            ConnectionsKilled,
            ScriptFlush,
            FlushAll,
            PrimaryKill,
            PrimaryStop,
            Failover,
            Split,
            ReplicaStop,
        ],
        Shape::Cluster => vec![
            ClientStop,
            ClientKill,
            ConnectionsKilled,
            ScriptFlush,
            FlushAll,
            PrimaryKill,
            PrimaryStop,
            Failover,
            SlotMoved,
        ],
        Shape::Quorum => vec![
            ClientStop,
            ClientKill,
            ServerKill,
            ServerStop,
            ConnectionsKilled,
            ScriptFlush,
            Frozen,
            ReadOnly,
            OutOfMemory,
            Delay,
            BlackHole,
            Reset,
            Refuse,
        ],
    }
}

/// How long a fault lasts, in milliseconds, at least and at most.
fn lasts(fault: Fault) -> (u64, u64) {
    match fault {
        // Up to several leases.
        Fault::ClientStop => (300, 2_500),
        Fault::ServerStop | Fault::Frozen | Fault::ReplicaStop => (200, 2_000),
        Fault::ServerKill | Fault::PrimaryKill | Fault::PrimaryStop | Fault::Failover => (0, 500),
        Fault::ClientKill | Fault::ServerEmpty | Fault::FlushAll => (0, 50),
        Fault::ConnectionsKilled | Fault::ScriptFlush | Fault::Reset | Fault::SlotMoved => (0, 50),
        Fault::ReadOnly | Fault::OutOfMemory | Fault::Refuse => (100, 1_200),
        Fault::Delay => (300, 2_000),
        Fault::BlackHole | Fault::Split => (200, 2_500),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_seed_repeats_the_plan_and_every_kind_is_in_it() {
        let minute = |seed| plan(seed, Shape::Single, &[], Duration::from_secs(60));
        assert_eq!(minute(7), minute(7));
        assert_ne!(minute(7), minute(8));
        let kinds: HashSet<_> = minute(7).iter().map(|step| step.fault).collect();
        assert_eq!(kinds.len(), faults(Shape::Single).len());
    }
}
