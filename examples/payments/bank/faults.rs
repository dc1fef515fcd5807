//! Which charge goes wrong in which way, and why one is not taken.

use std::time::Duration;

use super::stats::Outage;
use crate::seed::{chance, dice};

/// The bank's word: who has no answer to a charge by then will get none.
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_millis(300);

/// The bank's word: a silent charge holds its slot for at most this long.
pub(crate) const SILENCE: Duration = Duration::from_millis(900);

/// What will happen to one charge.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Time until the money is booked.
    pub(super) latency: Duration,
    /// Books, then answers nothing.
    pub(super) silent: bool,
    /// When its notice is sent.
    pub(super) notice: Notice,
}

/// When the notice of a charge is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// After the answer.
    Once,
    /// After the answer, and once more.
    Twice,
    /// Before the answer.
    Early,
    /// Not at all.
    Never,
}

/// Why nothing was booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too many charges at once.
    AboveLimit,
    /// Down, and says so.
    Down,
    /// Down, and does not even say so.
    Dead,
    /// The caller was told that this attempt never came.
    Withdrawn,
    /// No such amount.
    Invalid,
}

/// How a request is turned away at `now_ms`: the first half of an outage says
/// so, the second does not even do that.
pub(super) fn down(outage: Outage, now_ms: u64) -> Option<Refusal> {
    if now_ms < outage.from_ms || outage.to_ms <= now_ms {
        None
    } else if now_ms < outage.from_ms.midpoint(outage.to_ms) {
        Some(Refusal::Down)
    } else {
        Some(Refusal::Dead)
    }
}

/// Plans the `arrival`th charge (from 0) for `reference`.
pub(super) fn plan(seed: u64, reference: &str, arrival: u32) -> Plan {
    let mut dice = dice(seed, "bank", &format!("{reference}/{arrival}"));
    let latency = if chance(&mut dice, 3.0) { dice.u64(40..120) } else { dice.u64(2..16) };
    // Only the first charge of a reference can be silent, so that repeating always ends.
    let silent = chance(&mut dice, 1.5) && arrival == 0;
    let kind = dice.u32(0..100);
    let notice = match kind {
        0..50 if silent => Notice::Never,
        _ if silent => Notice::Once,
        0..5 => Notice::Twice,
        5..10 => Notice::Early,
        _ => Notice::Once,
    };
    Plan { latency: Duration::from_millis(latency), silent, notice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_every_kind_of_fault() {
        let all = |seed| -> Vec<Plan> {
            let plan = |n| plan(seed, &format!("order-{n}"), 0);
            (0..5_000).map(plan).collect()
        };
        let plans = all(7);
        assert_eq!(plans, all(7));
        assert_ne!(plans, all(8));
        let count = |test: fn(&Plan) -> bool| plans.iter().filter(|p| test(p)).count();
        assert!((40..120).contains(&count(|p| p.silent)));
        assert!((150..350).contains(&count(|p| p.notice == Notice::Twice)));
        assert!((150..350).contains(&count(|p| p.notice == Notice::Early)));
        assert!((15..80).contains(&count(|p| p.notice == Notice::Never)));
        assert!(plans.iter().all(|p| p.latency < ANSWERS_WITHIN / 2));
    }

    #[test]
    fn an_outage_refuses_then_drops_then_ends() {
        let outage = Outage { from_ms: 100, to_ms: 200 };
        let at = |now_ms| down(outage, now_ms);
        assert_eq!([at(99), at(200)], [None, None]);
        assert_eq!([at(100), at(149)], [Some(Refusal::Down); 2]);
        assert_eq!([at(150), at(199)], [Some(Refusal::Dead); 2]);
    }

    #[test]
    fn a_repeated_charge_is_answered() {
        assert!((0..5_000).all(|n| !plan(7, &format!("order-{n}"), 1).silent));
    }
}
