//! Real purchases paid through a bank that misbehaves.
//!
//! ```text
//! cargo run --release --example payments              # the protected service
//! cargo run --release --example payments -- --plain   # the same job without mainstay
//! ```
//!
//! | look at | to see |
//! |---|---|
//! | `service/` | the order service, protected by mainstay |
//! | `plain/` | an order service as it is often written |
//! | `api.rs` | what both speak with their customers |
//! | `bank/` | the bank: a process of its own, and how it misbehaves |
//! | `clients/` | customers who click twice and lose patience |
//! | `orders.rs`, `data/` | the purchase log |
//! | `books.rs`, `report.rs` | three books kept apart, compared |
//! | `run.rs`, `seam.rs` | how the parts are put together |

mod api;
mod args;
mod bank;
mod books;
mod chart;
mod clients;
mod http;
mod orders;
mod plain;
mod progress;
mod render;
mod report;
mod run;
mod seam;
mod seed;
mod service;
mod spawn;
mod time;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Role};

/// The example's result: errors are only printed.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Exit code when the run found something wrong.
const WRONG: u8 = 1;

/// Exit code when the run could not be made.
const NOT_RUN: u8 = 2;

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.role {
        Some(Role::Bank) => bank::run(args.bank()).await.map(|()| ExitCode::SUCCESS),
        None => tokio::select! {
            done = report(&args) => done,
            // Leaving the run removes its folder and ends the bank.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
        },
    };
    done.unwrap_or_else(|error| {
        eprintln!("payments: {error}");
        ExitCode::from(NOT_RUN)
    })
}

async fn report(args: &Args) -> Result<ExitCode> {
    let report = run::run(args).await?;
    print!("{report}");
    if let Some(path) = &args.report {
        report.write_json(path)?;
    }
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(WRONG) })
}
