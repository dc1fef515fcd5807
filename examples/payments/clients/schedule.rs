//! Which customers click twice and which lose their patience.

use std::time::Duration;

use crate::seed::{chance, dice};

/// Every order at such a place in the log is sent several times at once.
const DUPLICATED: usize = 5;

/// Share of submissions whose sender gives up waiting the first time.
const IMPATIENT_PERCENT: f64 = 4.0;

/// How one order is submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Copies sent at once, all with the same key. For each, the patience of its
    /// first try, if it is short.
    pub(crate) copies: Vec<Option<Duration>>,
}

/// Plans the order at `index` of the log.
pub(crate) fn plan(seed: u64, index: usize, order_id: &str) -> Plan {
    let mut dice = dice(seed, "clients", order_id);
    let copies = if index % DUPLICATED == DUPLICATED - 1 { dice.usize(2..=4) } else { 1 };
    let patience = |_| {
        let short = Duration::from_millis(dice.u64(1..25));
        chance(&mut dice, IMPATIENT_PERCENT).then_some(short)
    };
    Plan { copies: (0..copies).map(patience).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_the_schedule() {
        let all = |seed| -> Vec<Plan> {
            (0..1_000).map(|index| plan(seed, index, &format!("order-{index}"))).collect()
        };
        assert_eq!(all(3), all(3));
        assert_ne!(all(3), all(4));
        let plans = all(3);
        let duplicated = plans.iter().filter(|plan| plan.copies.len() > 1);
        assert_eq!(duplicated.count(), 200);
        assert!(plans.iter().all(|plan| (1..=4).contains(&plan.copies.len())));
        assert!(plans.iter().flat_map(|plan| &plan.copies).any(Option::is_some));
    }
}
