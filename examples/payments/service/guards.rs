//! How much: every limit, threshold and budget of the service, in one place.
//!
//! The attributes in `shop.rs` and `bank.rs` name these guards; an operator changes them here, or at run time
//! through the same handles.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mainstay::{
    Backoff,
    breaker::{Breaker, Ramp, Ratio, Window},
    limiter::{Event, Limit, Limiter},
    lock::Locks,
    outbox::{OnDead, OutboxConfig, RetryPolicy},
};

use super::{follow_up, ledger};
use crate::seam::BankTerms;

/// Submissions that the service works on at once.
const SUBMISSIONS: u32 = 64;

/// What the limiter told about the bank's channel beside its snapshot.
#[derive(Debug, Default)]
pub(super) struct ChannelTally {
    /// Calls that had to wait.
    pub(super) waited: AtomicU64,
    /// Slots kept after a call without an answer.
    pub(super) held: AtomicU64,
}

/// One lock a customer.
pub(super) fn locks() -> Locks {
    Locks::builder().lease(Duration::from_secs(10)).max_hold(Duration::from_secs(30)).in_process()
}

/// The bank's own limit on charges, and ours on submissions.
pub(super) fn limiter(bank: &BankTerms, tally: Arc<ChannelTally>) -> Limiter {
    Limiter::builder()
        .limit("bank:charge", Limit::max(bank.limit))
        .limit("shop:orders", Limit::max(SUBMISSIONS))
        .observer(move |event: Event<'_>| match event {
            Event::Queued { .. } => drop(tally.waited.fetch_add(1, Ordering::Relaxed)),
            Event::Held { .. } => drop(tally.held.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        })
        .in_process()
}

/// Opens when the bank is bad in a row or for half of a second, and comes back step by step.
pub(super) fn breaker(bank: &BankTerms) -> Breaker {
    Breaker::builder("bank")
        .window(Window::time(Duration::from_secs(1)))
        .failure_rate(Ratio::percent(50), 20)
        .consecutive(8)
        .open_for(Backoff::exponential(Duration::from_millis(800), Duration::from_millis(1_600)))
        .trials(3, Ratio::ONE)
        .trial_lease(bank.answers_within * 2)
        .ramp(Ramp { percent: vec![25, 50], step: Duration::from_millis(250) })
        .build()
}

/// How long events and follow-ups are tried.
pub(super) fn outbox() -> OutboxConfig {
    let millis = Duration::from_millis;
    let hour = Duration::from_secs(3600);
    let mut config = OutboxConfig::default();
    let waits = Backoff::exponential(millis(50), millis(400));
    config.topics.insert(ledger::TOPIC.into(), RetryPolicy::new(waits, 5, hour));
    let waits = Backoff::exponential(millis(100), Duration::from_secs(60));
    config.topics.insert(follow_up::TOPIC.into(), RetryPolicy::new(waits, 20, 24 * hour));
    // A customer's ledger has no gaps: what follows a dead event waits until it is redriven.
    config.on_dead = OnDead::Block;
    config
}
