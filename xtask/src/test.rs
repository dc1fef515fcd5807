//! `cargo xtask test`.

use std::{
    collections::BTreeSet,
    process::{Command, ExitStatus},
    sync::{Mutex, PoisonError},
};

use crate::{
    Result,
    cargo::{cargo, has_nextest, packages},
    install,
    servers::Shared,
    stream::read_along,
    tally::Tally,
    workspace::{Member, Workspace},
};

/// What nextest exits with when a crate has no tests.
const NO_TESTS: i32 = 4;

/// Installs what is missing, starts what is shared, and runs the tests and doctests of `names`.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<Tally> {
    let members = workspace.select(names)?;
    install::missing(&collect(&members, Member::needs)?)?;
    let shared = Shared::start(&collect(&members, Member::shares)?)?;

    let mut tally = Tally::default();
    for mut suite in suites(&members) {
        suite.current_dir(&workspace.root).envs(shared.variables());
        tally += count(&mut suite)?;
    }
    Ok(tally)
}

fn collect<T: Ord>(
    members: &[&Member],
    list: impl Fn(&Member) -> Result<BTreeSet<T>>,
) -> Result<BTreeSet<T>> {
    let mut all = BTreeSet::new();
    for member in members {
        all.append(&mut list(member)?);
    }
    Ok(all)
}

/// The tests, and the doctests of those crates that may have some.
fn suites(members: &[&Member]) -> Vec<Command> {
    let mut suites = vec![unit_tests(members)];
    if members.iter().any(|member| member.has_library()) {
        let mut doctests = cargo();
        doctests.args(["test", "--doc", "--no-fail-fast", "--all-features"]);
        // The same packages as above, so that what they share is built with the same features.
        doctests.args(packages(members));
        suites.push(doctests);
    }
    suites
}

fn unit_tests(members: &[&Member]) -> Command {
    let mut tests = cargo();
    if has_nextest() {
        tests.args(["nextest", "run"]);
    } else {
        // Every target that has tests, but not the doctests.
        tests.args(["test", "--tests"]);
    }
    tests.args(["--no-fail-fast", "--all-features"]);
    tests.args(packages(members));
    tests
}

/// Runs a suite and counts; a suite that fails without a failed test, as when it does not compile,
/// counts as one failure.
fn count(suite: &mut Command) -> Result<Tally> {
    let tally = Mutex::new(Tally::default());
    let status = read_along(suite, |line| {
        *tally.lock().unwrap_or_else(PoisonError::into_inner) += Tally::of(line);
    })?;
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !is_well(status) && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}

fn is_well(status: ExitStatus) -> bool {
    status.success() || status.code() == Some(NO_TESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Tally {
        count(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn a_suite_that_breaks_without_a_failed_test_counts_as_a_failure() {
        let result = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        assert_eq!(sh(result), Tally { passed: 2, failed: 0 });
        assert_eq!(sh(&format!("{result}; exit 101")), Tally { passed: 2, failed: 1 });
    }

    #[test]
    fn a_crate_without_tests_is_no_failure() {
        assert_eq!(sh("exit 4"), Tally::default());
    }
}
