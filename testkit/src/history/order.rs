//! Numbers that rise in the order in which they were given out.

/// A number that somebody asked for and got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// When it was asked for: it was not given out before.
    pub asked: u64,
    /// When the asker had it: it was not given out after.
    pub got: u64,
    /// The number.
    pub number: i64,
}

/// Pairs `(earlier, later)` of places in `numbers` where the later one was asked for when the earlier one
/// was there already, and yet is not higher. At most one pair for each later one.
///
/// # Examples
///
/// ```
/// use mainstay_testkit::history::{Numbered, inversions};
///
/// let numbers = [
///     Numbered { asked: 0, got: 5, number: 7 },
///     Numbered { asked: 6, got: 9, number: 7 },
///     Numbered { asked: 4, got: 8, number: 3 },
/// ];
/// assert_eq!(inversions(&numbers), [(0, 1)]);
/// ```
#[must_use]
pub fn inversions(numbers: &[Numbered]) -> Vec<(usize, usize)> {
    let mut asked: Vec<_> = (0..numbers.len()).collect();
    asked.sort_by_key(|at| numbers[*at].asked);
    let mut got = asked.clone();
    got.sort_by_key(|at| numbers[*at].got);
    let mut before = got.into_iter().peekable();
    let mut highest: Option<usize> = None;
    let mut found = Vec::new();
    for later in asked {
        while let Some(at) = before.next_if(|at| numbers[*at].got <= numbers[later].asked) {
            if at != later && highest.is_none_or(|high| numbers[high].number < numbers[at].number) {
                highest = Some(at);
            }
        }
        if let Some(earlier) = highest
            && numbers[earlier].number >= numbers[later].number
        {
            found.push((earlier, later));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_reported_exactly_when_an_earlier_one_is_not_lower(
            all in prop::collection::vec((0_u64..30, 1_u64..10, 0_i64..8), 0..12),
        ) {
            let numbers: Vec<_> = all
                .iter()
                .map(|(asked, took, number)| Numbered { asked: *asked, got: asked + took, number: *number })
                .collect();
            let wrong = |later: &&Numbered| {
                numbers.iter().any(|n| n.got <= later.asked && n.number >= later.number)
            };
            let found = inversions(&numbers);
            prop_assert_eq!(found.len(), numbers.iter().filter(wrong).count());
            for (earlier, later) in found {
                prop_assert!(numbers[earlier].got <= numbers[later].asked);
                prop_assert!(numbers[earlier].number >= numbers[later].number);
            }
        }
    }
}
