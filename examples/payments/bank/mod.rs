//! The bank: a process of its own that the service cannot trust to be kind.
//!
//! | request | answer |
//! |---|---|
//! | `POST /charges` [`ChargeRequest`] | 200 [`Charged`] |
//! | `GET /charges/{reference}?attempt={attempt}` | 200 [`Found`] |
//! | `GET /stats` | 200 [`Stats`] |
//!
//! It has no idempotency: **each `POST` books money**, whatever its reference.
//! The reference is only what a charge can be found by. A caller that does not
//! know how a charge ended has to ask, and charge again only if the answer is
//! [`Found::Nothing`]. That answer is a promise: the attempt named in the
//! question is refused from then on (410), should it still be on its way.
//!
//! It misbehaves in ways that a seed repeats:
//! - it answers after a random while;
//! - above its limit of charges at once it refuses (429);
//! - a charge can end in silence after the money was booked: no answer, then a
//!   dropped connection, and the slot stays taken until then;
//! - a charge goes on when its caller hangs up;
//! - notices (`callback_url`) come once, twice, before the answer, or never;
//! - for a while it is down: first it answers 503, then it drops connections.
//!
//! Nothing in this folder is used by the service, and nothing of the service here.

mod callbacks;
mod desk;
mod faults;
mod ledger;
mod process;
mod server;
mod stats;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Result;

pub(crate) use self::{
    faults::{ANSWERS_WITHIN, SILENCE},
    process::BankProcess,
    stats::{Outage, Stats},
};

/// How a bank is set up.
#[derive(Clone, Debug)]
pub(crate) struct BankConfig {
    /// Port on loopback; 0 takes a free one.
    pub(crate) port: u16,
    /// Repeats the schedule of faults.
    pub(crate) seed: u64,
    /// Charges that it works on at once.
    pub(crate) limit: u32,
    /// The outage begins with this charge.
    pub(crate) outage_after: u64,
    /// How long the outage lasts.
    pub(crate) outage: Duration,
    /// How long a silent charge holds its slot.
    pub(crate) silence: Duration,
    /// File that the ledger is appended to.
    pub(crate) ledger: PathBuf,
}

/// Body of `POST /charges`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChargeRequest {
    /// What the caller will search for: an order's name.
    reference: String,
    /// The caller's name for this very try, for those who will ask about it.
    #[serde(default)]
    attempt: Option<String>,
    /// Who pays.
    customer: String,
    /// Amount in cents.
    cents: u64,
    /// Where to send notices.
    callback_url: String,
}

/// Money was booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Charged {
    /// The bank's name for the charge.
    charge_id: String,
    /// The caller's reference.
    reference: String,
    /// Amount in cents.
    cents: u64,
}

/// What the bank finds under a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Found {
    /// Booked, at least once; the first charge is shown.
    Charged(Charged),
    /// Being worked on: ask again.
    InProgress,
    /// Nothing, and the attempt asked about will be refused if it comes.
    Nothing,
}

/// Runs the bank until its parent goes away.
pub(crate) async fn run(config: BankConfig) -> Result<()> {
    let (port, serving) = server::start(config).await?;
    // The parent reads this line, and keeps our standard input open while it lives.
    println!("port {port}");
    process::parent_gone().await;
    serving.abort();
    Ok(())
}
