//! `cargo xtask ci`.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use clap::ValueEnum;

use crate::{
    Result, cargo::cargo, features, packages, sizes, tally::Tally, test, workspace::Workspace,
};

/// What a panic of a Rust program exits with.
const PANICKED: i32 = 101;

/// One check; the order is the order in which they run, cheap ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Every file is formatted
    Fmt,
    /// No file is too long
    Sizes,
    /// Clippy has nothing to say about any target
    Clippy,
    /// The documentation builds without a warning
    Docs,
    /// Each feature of each crate compiles alone
    Features,
    /// Packages carry every file that they need
    Packages,
    /// Every test and doctest passes
    Test,
    /// Each published crate passes its tests without default features
    Alone,
    /// The books of the payments example balance
    Payments,
    /// And without mainstay they do not
    Plain,
}

/// How a stage went.
struct Row {
    stage: Stage,
    took: Duration,
    failure: Option<String>,
}

/// Runs the stages, all of them if `only` is empty; a failed one does not keep the others from
/// running. True if all passed.
pub(crate) fn run(workspace: &Workspace, only: &[Stage]) -> Result<bool> {
    let all = Stage::value_variants().iter().copied();
    let mut tally = None;
    let mut rows = Vec::new();
    for stage in all.filter(|stage| only.is_empty() || only.contains(stage)) {
        println!("\n==> {}", name(stage));
        let start = now();
        let outcome = check(stage, workspace, &mut tally);
        let failure = outcome.err().map(|error| error.to_string());
        if let Some(failure) = &failure {
            eprintln!("error: {}: {failure}", name(stage));
        }
        let took = now() - start;
        rows.push(Row { stage, took, failure });
    }
    print_table(&rows);
    if let Some(tally) = tally {
        println!("{tally}");
    }
    Ok(rows.iter().all(|row| row.failure.is_none()))
}

fn check(stage: Stage, workspace: &Workspace, tally: &mut Option<Tally>) -> Result<()> {
    match stage {
        Stage::Fmt => succeed(cargo().args(["fmt", "--all", "--check"])),
        Stage::Sizes => sizes::check(workspace),
        Stage::Clippy => succeed(
            cargo()
                .args(["clippy", "--workspace", "--all-targets", "--all-features"])
                .args(["--", "-D", "warnings"]),
        ),
        Stage::Docs => succeed(
            cargo()
                .args(["doc", "--workspace", "--no-deps", "--all-features"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
        Stage::Features => features::check(workspace),
        Stage::Packages => packages::check(workspace),
        Stage::Test => {
            let tally = tally.insert(Tally::default());
            *tally = test::run(workspace, &[])?;
            let counted = *tally;
            counted.is_well().then_some(()).ok_or_else(|| counted.to_string().into())
        }
        Stage::Alone => alone(workspace),
        Stage::Payments => succeed(&mut payments(&[])),
        Stage::Plain => fail(&mut payments(&["--", "--plain"])),
    }
}

/// `cargo test -p <crate> --no-default-features`, as somebody who uses one crate only.
fn alone(workspace: &Workspace) -> Result<()> {
    for member in workspace.members.iter().filter(|member| member.is_published()) {
        succeed(cargo().args(["test", "--quiet", "--no-default-features", "-p", &member.name]))?;
    }
    Ok(())
}

fn payments(args: &[&str]) -> Command {
    let mut payments = cargo();
    payments.args(["run", "--release", "--example", "payments"]);
    payments.args(args);
    payments
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{} ({status})", line(command)).into())
}

/// It must end with a verdict of its own: neither well, nor by a panic or a signal.
fn fail(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    match status.code() {
        Some(code) if code != 0 && code != PANICKED => Ok(()),
        _ => Err(format!("{} should have failed ({status})", line(command)).into()),
    }
}

fn line(command: &Command) -> String {
    let args = command.get_args().map(|arg| arg.to_string_lossy());
    let args: Vec<_> = args.collect();
    format!("cargo {}", args.join(" "))
}

fn print_table(rows: &[Row]) {
    println!("\n{:<10} {:>8}", "stage", "minutes");
    for row in rows {
        let verdict = row.failure.as_ref().map_or("", |_| "  FAILED");
        println!("{:<10} {:>8.1}{verdict}", name(row.stage), minutes(row.took));
    }
    let all = rows.iter().map(|row| row.took).sum();
    println!("{:<10} {:>8.1}\n", "all", minutes(all));
}

fn minutes(duration: Duration) -> f64 {
    duration.as_secs_f64() / 60.0
}

fn name(stage: Stage) -> String {
    let value = stage.to_possible_value();
    value.expect("no stage is hidden").get_name().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "stages are timed by the wall clock")]
fn now() -> Instant {
    Instant::now()
}
