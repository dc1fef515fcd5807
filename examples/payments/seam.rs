//! Where a service plugs into the run: what it is given, and what it must offer.
//!
//! The run knows nothing else about a service. Each service is a module with
//! `start(ServiceConfig) -> Result<RunningService>`.

use std::{path::PathBuf, time::Duration};

use serde::Serialize;

use crate::{Result, books::Book, time::Stopwatch};

/// What a service is given at its start.
#[derive(Clone, Debug)]
pub(crate) struct ServiceConfig {
    /// Folder for its databases; removed after the run.
    pub(crate) dir: PathBuf,
    /// The bank, and what the bank promises about itself.
    pub(crate) bank: BankTerms,
    /// What will go wrong inside.
    pub(crate) mishaps: Mishaps,
    /// Zero of the time line on which breaker changes are reported.
    pub(crate) watch: Stopwatch,
}

/// The bank's terms of business.
#[derive(Clone, Debug)]
pub(crate) struct BankTerms {
    /// Base of its addresses.
    pub(crate) url: String,
    /// Charges it works on at once; it refuses more.
    pub(crate) limit: u32,
    /// Who has no answer by then will get none.
    pub(crate) answers_within: Duration,
    /// A charge without an answer holds its slot for at most this long, counted
    /// from its arrival, whether its caller still waits or not.
    pub(crate) slot_held_at_most: Duration,
}

/// Trouble that every service meets at the same point of its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mishaps {
    /// What carries events to the ledger is killed while it carries this one, and
    /// starts again after [`Mishaps::down_for`].
    pub(crate) carrier_killed_at_event: u64,
    /// Pause until the carrier is back.
    pub(crate) down_for: Duration,
    /// The ledger's handler cannot digest the event of this order until it is fixed.
    pub(crate) poison_order: Option<String>,
}

impl Mishaps {
    /// Whether the event of `order_id` is the one that the handler chokes on.
    pub(crate) fn is_poison(&self, order_id: &str) -> bool {
        self.poison_order.as_deref() == Some(order_id)
    }
}

/// A running service, as the run sees it.
pub(crate) trait OrderService {
    /// How the report calls it.
    const NAME: &'static str;

    /// Base of its addresses; see [`crate::api`].
    fn url(&self) -> &str;

    /// Waits until what was accepted has reached the ledger, at most for `limit`.
    async fn settle(&self, limit: Duration) -> Result<()>;

    /// What it counted.
    async fn figures(&self) -> Result<ServiceFigures>;

    /// The book of the ledger consumer.
    async fn ledger_book(&self) -> Result<Book>;

    /// Stops its tasks and closes its files.
    async fn stop(self) -> Result<()>;
}

/// What a service counted. A part that a service does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ServiceFigures {
    /// Submissions answered without doing the work again.
    pub(crate) duplicates_suppressed: u64,
    /// Charges repeated without knowing how the last one ended.
    pub(crate) blind_retries: u64,
    /// Outcomes that were unknown and how each was resolved.
    pub(crate) unknown: Option<UnknownFigures>,
    /// The bank channel's limit, from the inside.
    pub(crate) limiter: Option<LimiterFigures>,
    /// The breaker before the bank.
    pub(crate) breaker: Option<BreakerFigures>,
    /// Events on their way to the ledger.
    pub(crate) outbox: Option<OutboxFigures>,
    /// Events at the ledger.
    pub(crate) inbox: Option<InboxFigures>,
    /// Events that never reached the ledger.
    pub(crate) events_lost: u64,
    /// The carrier of events was killed and started again this often.
    pub(crate) carrier_restarts: u64,
}

/// Charges that ended without an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct UnknownFigures {
    /// How many there were.
    pub(crate) total: u64,
    /// The bank was asked and had booked the charge.
    pub(crate) found_by_inquiry: u64,
    /// The bank was asked and had nothing, so the charge was sent again.
    pub(crate) charged_again: u64,
    /// The bank's notice came first.
    pub(crate) told_by_notice: u64,
    /// Still unknown at the end.
    pub(crate) unresolved: u64,
}

/// A limit as its own counters saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct LimiterFigures {
    /// Calls admitted at once at most.
    pub(crate) limit: u32,
    /// Most that were admitted at once.
    pub(crate) peak: u32,
    /// Calls that had to wait.
    pub(crate) waited: u64,
    /// Calls refused.
    pub(crate) rejected: u64,
    /// Slots held on after an unknown outcome.
    pub(crate) held_for_unknown: u64,
}

/// A breaker's life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct BreakerFigures {
    /// Changes of state, in order. It starts closed.
    pub(crate) changes: Vec<BreakerChange>,
    /// Calls refused while it was not closed.
    pub(crate) rejected: u64,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BreakerChange {
    /// When, in milliseconds on [`ServiceConfig::watch`].
    pub(crate) at_ms: u64,
    /// The state from then on.
    pub(crate) state: BreakerState,
}

/// States of a breaker that the chart tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BreakerState {
    /// Everything passes.
    Closed,
    /// Recovering: a growing share passes.
    Ramping,
    /// A few trial calls pass.
    HalfOpen,
    /// Nothing passes.
    Open,
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct OutboxFigures {
    /// Delivered.
    pub(crate) sent: u64,
    /// How many of them were not for the ledger but looked after an order.
    pub(crate) follow_ups: u64,
    /// Tried again after a failure.
    pub(crate) retried: u64,
    /// Keys parked behind a failing event.
    pub(crate) parked: u64,
    /// Given up into dead letters.
    pub(crate) dead: u64,
    /// Brought back from dead letters.
    pub(crate) redriven: u64,
    /// Not delivered at the end.
    pub(crate) left: u64,
}

/// What the ledger took in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InboxFigures {
    /// Events handled.
    pub(crate) handled: u64,
    /// Deliveries of an event that had been handled already.
    pub(crate) duplicates_absorbed: u64,
}
