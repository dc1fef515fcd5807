//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

use crate::bank::BankConfig;

/// Replays a purchase log through a payment service whose bank misbehaves.
///
/// Ends with a report. The exit code is 0 only if the books of the customers,
/// the bank and the ledger balance, no order was charged twice and the bank's
/// limit was never passed.
#[derive(Clone, Debug, Parser)]
#[command(name = "payments")]
pub(crate) struct Args {
    /// Purchase log: customer, [number in sample,] date, CDs, value.
    #[arg(long, value_name = "FILE", default_value = concat!(
        env!("CARGO_MANIFEST_DIR"), "/examples/payments/data/CDNOW_sample.txt"
    ), hide_default_value = true)]
    pub(crate) orders: PathBuf,

    /// Use the service that was written without mainstay.
    #[arg(long)]
    pub(crate) plain: bool,

    /// Also write the report's figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Repeats the schedule of faults and duplicates.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,

    /// Customers at a time.
    #[arg(long, default_value_t = 48)]
    pub(crate) clients: usize,

    /// The part that this process plays.
    #[arg(long, hide = true)]
    pub(crate) role: Option<Role>,

    #[arg(long, hide = true, default_value_t = 0)]
    port: u16,

    #[arg(long, hide = true, default_value_t = 16)]
    limit: u32,

    #[arg(long, hide = true, default_value_t = u64::MAX)]
    outage_after: u64,

    #[arg(long, hide = true, default_value_t = 0)]
    outage_ms: u64,

    #[arg(long, hide = true, default_value_t = 0)]
    silence_ms: u64,

    #[arg(long, hide = true, default_value = "bank-ledger.jsonl")]
    ledger: PathBuf,
}

/// A part that the program plays when it starts itself again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The bank.
    Bank,
}

impl Args {
    /// What the bank's role is told by its parent.
    pub(crate) fn bank(&self) -> BankConfig {
        BankConfig {
            port: self.port,
            seed: self.seed,
            limit: self.limit,
            outage_after: self.outage_after,
            outage: Duration::from_millis(self.outage_ms),
            silence: Duration::from_millis(self.silence_ms),
            ledger: self.ledger.clone(),
        }
    }
}
