//! What is broken, when and for how long: a function of the seed.

use std::time::Duration;

use fastrand::Rng;

use crate::{
    fault::Fault::{self, *},
    shape::Shape,
};

/// One thing to break.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// The pause before it.
    pub(crate) gap: Duration,
    pub(crate) fault: Fault,
    /// How long it stays broken.
    pub(crate) lasts: Duration,
    /// Decides what else there is to choose: which clients, which direction.
    pub(crate) pick: u64,
    /// Whether it strikes every client, where it strikes some.
    pub(crate) all: bool,
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
            all: rng.u8(..4) == 0,
        };
        at += step.gap + step.lasts;
        steps.push(step);
    }
    steps
}

/// What can be broken in a shape.
fn faults(shape: Shape) -> Vec<Fault> {
    let parts: &[&[Fault]] = match shape {
        Shape::Single => &[ANYWHERE, SERVER, NETWORK, &[ServerEmpty, FlushAll]],
        Shape::Sentinel => &[ANYWHERE, ELECTED, WATCHED, NETWORK, &[FlushAll]],
        // Nothing helps against whoever deletes what is replicated.
        Shape::Replicated => &[ANYWHERE, ELECTED, WATCHED, NETWORK],
        Shape::Cluster => &[ANYWHERE, ELECTED, NETWORK, &[FlushAll, SlotMoved]],
        Shape::Quorum => &[ANYWHERE, SERVER, NETWORK],
    };
    parts.concat()
}

/// Clients, and what every server can be told.
const ANYWHERE: &[Fault] = &[ClientStop, ClientKill, ConnectionsKilled, ScriptFlush];
/// One server that others neither replace nor copy.
const SERVER: &[Fault] = &[ServerKill, ServerStop, Frozen, ReadOnly, OutOfMemory];
/// Between clients and servers. In a Cluster it is that of nodes, and their replicas are on it too; where Sentinels
/// name the server it is that of a client to the Sentinels, or of a server to everybody.
const NETWORK: &[Fault] = &[Delay, BlackHole, Unanswered, Reset, Refuse];
/// A primary that others replace. None of the others stops one for so long.
const ELECTED: &[Fault] = &[PrimaryKill, PrimaryStop, Failover];
/// Its replicas, and its place between them and the Sentinels.
const WATCHED: &[Fault] = &[Split, Alone, ReplicaStop, WritesFrozen];

/// How long a fault lasts, in milliseconds, at least and at most.
fn lasts(fault: Fault) -> (u64, u64) {
    match fault {
        // Up to several leases.
        ClientStop => (300, 2_500),
        ServerStop | Frozen | WritesFrozen | ReplicaStop => (200, 2_000),
        ServerKill | PrimaryKill | PrimaryStop | Failover => (0, 500),
        ClientKill | ServerEmpty | FlushAll => (0, 50),
        ConnectionsKilled | ScriptFlush | Reset | SlotMoved => (0, 50),
        ReadOnly | OutOfMemory | Refuse => (100, 1_200),
        Delay => (300, 2_000),
        // Longer than clients are patient.
        Unanswered => (500, 1_500),
        BlackHole | Split | Alone => (200, 2_500),
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
        for shape in Shape::usual() {
            let plan = plan(7, shape, &[], Duration::from_secs(60));
            let kinds: HashSet<_> = plan.iter().map(|step| step.fault).collect();
            assert_eq!(kinds.len(), faults(shape).len(), "{shape:?}");
            assert!(kinds.len() >= 9, "{shape:?}");
        }
    }
}
