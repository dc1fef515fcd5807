//! Spans of time of which only so many may overlap.

/// A span of time, its end not included, in nanoseconds of whatever clock the history has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub start: u64,
    /// When it was over; not later than `start` if it never was.
    pub end: u64,
}

/// A span that began while as many as may be were there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// The place of the span that was one too many.
    pub newcomer: usize,
    /// The places of those that it met, in the order in which they began.
    pub present: Vec<usize>,
}

/// Every span that begins while `capacity` others last; places are those in `spans`.
///
/// Takes `n log n` steps and a few words a span, whether or not the history is legal: a search through
/// orders of a long illegal history takes all the memory that there is.
///
/// # Examples
///
/// ```
/// use mainstay_testkit::history::{Span, crowds};
///
/// let spans = [Span { start: 0, end: 5 }, Span { start: 5, end: 9 }, Span { start: 8, end: 9 }];
/// let crowds = crowds(&spans, 1);
/// assert_eq!((crowds.len(), crowds[0].newcomer), (1, 2));
/// assert_eq!(crowds[0].present, [1]);
/// ```
#[must_use]
pub fn crowds(spans: &[Span], capacity: usize) -> Vec<Crowd> {
    let mut order: Vec<_> =
        (0..spans.len()).filter(|at| spans[*at].start < spans[*at].end).collect();
    order.sort_by_key(|at| (spans[*at].start, *at));
    let mut present: Vec<usize> = Vec::new();
    let mut crowds = Vec::new();
    for newcomer in order {
        present.retain(|at| spans[*at].end > spans[newcomer].start);
        if present.len() >= capacity {
            crowds.push(Crowd { newcomer, present: present.clone() });
        }
        present.push(newcomer);
    }
    crowds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(start: u64, end: u64) -> Span {
        Span { start, end }
    }

    #[test]
    fn touching_and_empty_spans_do_not_crowd() {
        assert_eq!(crowds(&[span(0, 5), span(5, 9), span(3, 3), span(4, 2)], 1), []);
    }

    #[test]
    fn each_newcomer_names_whom_it_met() {
        let spans = [span(0, 9), span(3, 4), span(2, 6)];
        let met = |newcomer, present: &[usize]| Crowd { newcomer, present: present.to_vec() };
        assert_eq!(crowds(&spans, 1), [met(2, &[0]), met(1, &[0, 2])]);
        assert_eq!(crowds(&spans, 2), [met(1, &[0, 2])]);
        assert_eq!(crowds(&spans, 3), []);
    }

    /// One hold of a mutex: two calls, each with the time of its call and of its return.
    #[derive(Clone, Copy, Debug)]
    struct Hold {
        acquire: (u64, u64),
        release: (u64, u64),
    }

    /// What the holder believes: from the return of its acquire to the call of its release.
    fn belief(hold: &Hold) -> Span {
        span(hold.acquire.1, hold.release.0)
    }

    fn holds() -> impl Strategy<Value = Vec<Hold>> {
        let hold = (0_u64..24, 0_u64..12, 0_u64..12, 0_u64..12).prop_map(|(at, a, b, c)| Hold {
            acquire: (at, at + a),
            // A belief of at least one tick: an empty one excludes nobody.
            release: (at + a + b + 1, at + a + b + 1 + c),
        });
        prop::collection::vec(hold, 1..5)
    }

    /// Whether the calls can be put in an order that a mutex allows and that respects real time, found
    /// by trying every order. A call is (hold, is it the release, called, returned).
    fn linearizable(holds: &[Hold]) -> bool {
        let calls = |(at, hold): (usize, &Hold)| {
            [
                (at, false, hold.acquire.0, hold.acquire.1),
                (at, true, hold.release.0, hold.release.1),
            ]
        };
        search(&holds.iter().enumerate().flat_map(calls).collect::<Vec<_>>(), None)
    }

    fn search(left: &[(usize, bool, u64, u64)], holder: Option<usize>) -> bool {
        let Some(first_return) = left.iter().map(|call| call.3).min() else { return true };
        (0..left.len()).any(|at| {
            let (hold, releases, called, _) = left[at];
            let after = match (releases, holder) {
                (false, None) => Some(hold),
                (true, Some(holder)) if holder == hold => None,
                _ => return false,
            };
            // Nothing that returned before this was called may come after it.
            let rest: Vec<_> = [&left[..at], &left[at + 1..]].concat();
            called <= first_return && search(&rest, after)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn beliefs_crowd_exactly_when_the_calls_are_not_linearizable(holds in holds()) {
            let beliefs: Vec<_> = holds.iter().map(belief).collect();
            prop_assert_eq!(crowds(&beliefs, 1).is_empty(), linearizable(&holds));
        }

        #[test]
        fn a_capacity_is_kept_exactly_when_no_moment_has_more(
            spans in prop::collection::vec((0_u64..20, 0_u64..12), 0..9),
            capacity in 1_usize..4,
        ) {
            let spans: Vec<_> = spans.iter().map(|(at, lasts)| span(*at, at + lasts)).collect();
            let most = (0..40).map(|now| spans.iter().filter(|s| s.start <= now && now < s.end).count());
            let kept = most.max().unwrap_or(0) <= capacity;
            prop_assert_eq!(crowds(&spans, capacity).is_empty(), kept);
        }
    }
}
