//! Tasks of the workspace.
//!
//! `cargo xtask test` runs every test, `cargo xtask ci` everything that is checked before a change
//! lands, `cargo xtask bench` the comparisons with other libraries, `cargo xtask chaos` the locks while
//! their servers and clients are broken.

mod bench;
mod cargo;
mod chaos;
mod ci;
mod features;
mod install;
mod packages;
mod servers;
mod sizes;
mod stream;
mod tally;
mod test;
mod workspace;

use std::{error::Error, path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{tally::Tally, workspace::Workspace};

/// What a task returns; the message is for a person.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Tasks of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs the servers that are missing, and runs all tests and doctests
    Test {
        /// Crates to test, by folder or by name; all of them unless told
        crates: Vec<String>,
    },
    /// Runs every check that a change has to pass
    Ci {
        /// Stages to run; all of them unless told
        #[arg(value_enum)]
        stages: Vec<ci::Stage>,
    },
    /// Runs the benchmarks
    Bench {
        /// What to measure (limiter, breaker, stack, lock, outbox), `--check` to fail below a bar, `--quick`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Breaks servers and clients, and judges what the locks did
    Chaos {
        /// `lock`, `--seed S`, `--minutes M`, `--shape S`, `--history FILE`; `--judge FILE`; `--planted`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn complain(error: &dyn Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}

/// True if everything is well.
fn run(task: Task) -> Result<bool> {
    let workspace = Workspace::around(Path::new("."))?;
    match task {
        Task::Test { crates } => {
            // Who reads the last line finds it also when nothing could run.
            let tally = test::run(&workspace, &crates).unwrap_or_else(|error| {
                complain(error.as_ref());
                Tally::default()
            });
            println!("{tally}");
            Ok(tally.is_well())
        }
        Task::Ci { stages } => ci::run(&workspace, &stages),
        Task::Bench { args } => bench::run(&workspace, &args),
        Task::Chaos { args } => chaos::run(&workspace, &args),
    }
}
