//! What the parts of the service counted.

use std::{collections::HashMap, sync::atomic::Ordering};

use mainstay::outbox::Health;
use sqlx::SqlitePool;

use super::{RunningService, stage::Ending};
use crate::{
    Result,
    seam::{
        BreakerFigures, InboxFigures, LimiterFigures, OutboxFigures, ServiceFigures, UnknownFigures,
    },
};

/// Collects the figures. Only outcomes are counted by the service itself, as rows.
pub(super) async fn collect(service: &RunningService) -> Result<ServiceFigures> {
    let (shop, stats) = (&service.shop, service.shop.outbox.stats());
    let health = shop.outbox.health().await?;
    let handled = count(&shop.pool, include_str!("sql/count_entries.sql")).await?;
    let follow_ups = count(&shop.pool, include_str!("sql/count_followed.sql")).await?;
    Ok(ServiceFigures {
        duplicates_suppressed: stats.replayed,
        blind_retries: 0,
        unknown: Some(unknown(&shop.pool).await?),
        limiter: limiter(service),
        breaker: Some(BreakerFigures {
            changes: service.time_line.changes(),
            rejected: service.breaker.snapshot().refused,
        }),
        outbox: Some(OutboxFigures {
            sent: stats.sent,
            follow_ups,
            retried: stats.retried,
            parked: stats.parked,
            dead: stats.dead,
            redriven: stats.redriven,
            left: left(&health),
        }),
        inbox: Some(InboxFigures { handled, duplicates_absorbed: stats.duplicates }),
        events_lost: 0,
        carrier_restarts: service.carrier.restarts(),
    })
}

/// Messages that were not delivered.
pub(super) fn left(health: &Health) -> u64 {
    health.unsent + health.scheduled + health.retrying + health.parked + health.dead
}

fn limiter(service: &RunningService) -> Option<LimiterFigures> {
    let snapshot = service.limiter.snapshot();
    let channel = snapshot.scope("bank:charge")?;
    Some(LimiterFigures {
        limit: channel.limit?,
        peak: channel.peak,
        waited: service.tally.waited.load(Ordering::Relaxed),
        rejected: channel.rejected.total(),
        held_for_unknown: service.tally.held.load(Ordering::Relaxed),
    })
}

async fn unknown(pool: &SqlitePool) -> Result<UnknownFigures> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as(include_str!("sql/count_attempts.sql")).fetch_all(pool).await?;
    let counts: HashMap<String, i64> = rows.into_iter().collect();
    let count = |outcome: &str| u64::try_from(counts.get(outcome).copied().unwrap_or(0));
    let found_by_inquiry = count(Ending::Found.as_str())?;
    let charged_again = count(Ending::Nothing.as_str())?;
    let told_by_notice = count(Ending::Told.as_str())?;
    let unresolved = count(Ending::Unknown.as_str())? + count("open")?;
    let total = found_by_inquiry + charged_again + told_by_notice + unresolved;
    Ok(UnknownFigures { total, found_by_inquiry, charged_again, told_by_notice, unresolved })
}

async fn count(pool: &SqlitePool, query: &'static str) -> Result<u64> {
    let (count,): (i64,) = sqlx::query_as(query).fetch_one(pool).await?;
    Ok(u64::try_from(count)?)
}
