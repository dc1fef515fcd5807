//! How many tests passed and failed, from what the runners print.

use std::{fmt, ops::AddAssign};

/// Counts of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Nothing failed, and something ran: a run without tests proves nothing.
    pub(crate) fn is_well(self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// The counts of one line; zero for lines without.
    pub(crate) fn of(line: &str) -> Self {
        of_libtest(line).or_else(|| of_nextest(line)).unwrap_or_default()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; ..`
fn of_libtest(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    Some(Tally { passed: count(counts, ';', &["passed"]), failed: count(counts, ';', &["failed"]) })
}

/// `Summary [ 0.1s] 4 tests run: 2 passed (1 slow), 1 failed, 1 timed out, 0 skipped`
fn of_nextest(line: &str) -> Option<Tally> {
    let line = line.trim_start().strip_prefix("Summary [")?;
    let (_, counts) = line.split_once(" run: ")?;
    let counts = without_brackets(counts);
    Some(Tally {
        passed: count(&counts, ',', &["passed"]),
        failed: count(&counts, ',', &["failed", "timed out", "exec failed"]),
    })
}

/// The sum of the numbers that stand before one of `words`.
fn count(counts: &str, separator: char, words: &[&str]) -> u64 {
    counts
        .split(separator)
        .filter_map(|part| part.trim().split_once(' '))
        .filter(|(_, word)| words.contains(word))
        .filter_map(|(number, _)| number.parse::<u64>().ok())
        .sum()
}

/// Remarks such as `(1 slow, 2 leaky)` hold commas of their own.
fn without_brackets(text: &str) -> String {
    let mut depth = 0;
    let kept = text.chars().filter(|c| {
        depth += i32::from(*c == '(');
        let keep = depth == 0;
        depth -= i32::from(*c == ')');
        keep
    });
    kept.collect::<String>().replace(" ,", ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Tally {
        Tally { passed, failed }
    }

    #[test]
    fn lines_of_libtest_are_counted() {
        let ok = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        let bad = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Tally::of(ok), tally(3, 0));
        assert_eq!(Tally::of(bad), tally(3, 2));
    }

    #[test]
    fn lines_of_nextest_are_counted() {
        let ok = "     Summary [  27.4s] 52 tests run: 52 passed, 0 skipped";
        let bad = "     Summary [   9.0s] 9/12 tests run: 4 passed (1 slow, 2 leaky), 2 failed, 1 exec failed, 2 timed out, 3 skipped";
        assert_eq!(Tally::of(ok), tally(52, 0));
        assert_eq!(Tally::of(bad), tally(4, 5));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(Tally::of("test servers::redis ... ok"), tally(0, 0));
        assert_eq!(Tally::of("3 passed, 2 failed"), tally(0, 0));
    }

    #[test]
    fn a_run_without_tests_is_not_well() {
        assert!(!tally(0, 0).is_well());
        assert!(tally(1, 0).is_well());
        assert!(!tally(1, 1).is_well());
    }
}
