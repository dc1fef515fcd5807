//! Random choices that repeat.
//!
//! A choice depends on the seed, on what is being decided and on the name of
//! the thing it is decided for, never on the order in which requests happen to
//! arrive. So one seed gives one schedule of faults, however the tasks interleave.

use fastrand::Rng;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The dice for deciding `topic` about `name`.
pub(crate) fn dice(seed: u64, topic: &str, name: &str) -> Rng {
    let mut hash = FNV_OFFSET ^ seed;
    for part in [topic, "/", name] {
        for byte in part.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
    Rng::with_seed(hash)
}

/// True in `percent` of the cases.
pub(crate) fn chance(dice: &mut Rng, percent: f64) -> bool {
    dice.f64() * 100.0 < percent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_per_name() {
        let roll = |seed, name| dice(seed, "copies", name).u64(..);
        assert_eq!(roll(7, "order-1"), roll(7, "order-1"));
        assert_ne!(roll(7, "order-1"), roll(7, "order-2"));
        assert_ne!(roll(7, "order-1"), roll(8, "order-1"));
    }

    #[test]
    fn a_chance_comes_about_as_often_as_it_says() {
        let hits =
            (0..10_000).filter(|n| chance(&mut dice(1, "chance", &n.to_string()), 20.0)).count();
        assert!((1_800..2_200).contains(&hits), "{hits} of 10000");
    }
}
