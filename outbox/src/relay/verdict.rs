//! What a failure means for its message.

use std::time::Duration;

use crate::{
    DeathReason, FailureClass, OnDead, OutboxConfig, PublishError,
    dialect::{Fate, Item},
    outbox::millis,
    publisher::Failed,
};

/// Decides between another attempt and giving up.
pub(super) fn verdict(config: &OutboxConfig, item: &Item, error: &PublishError, now: i64) -> Fate {
    let failed = Failed::new(error.class(), error.message());
    match error.class() {
        FailureClass::Final => dead(config, DeathReason::Final, failed),
        FailureClass::Outage | FailureClass::RateLimited => untried(item, now),
        FailureClass::Deferred => deferred(config, item, error, failed, now),
        FailureClass::Retryable | FailureClass::Unknown => {
            counted(config, item, error, failed, now)
        }
    }
}

/// The message goes on where it was, at `now`.
pub(super) fn untried(item: &Item, now: i64) -> Fate {
    Fate::Again {
        at: now,
        tries: item.tries,
        first_at: item.first_at,
        wait_ms: item.wait_ms,
        uncertain: item.uncertain,
        counted: None,
    }
}

/// The message is not even tried.
pub(super) fn refused(config: &OutboxConfig, item: &Item) -> Option<Fate> {
    if let Some(text) = &item.broken {
        let failed = Failed::new(FailureClass::Final, text);
        return Some(dead(config, DeathReason::Undecodable, failed));
    }
    (item.claims >= config.max_deliveries.max(1)).then(|| {
        let text = format!("{} deliveries were begun and never came to an end", item.claims);
        dead(config, DeathReason::Killer, Failed::new(FailureClass::Unknown, &text))
    })
}

fn dead(config: &OutboxConfig, reason: DeathReason, failed: Failed) -> Fate {
    Fate::Dead { reason, failed, block: config.on_dead == OnDead::Block }
}

fn is_too_old(config: &OutboxConfig, item: &Item, now: i64) -> bool {
    let age = now.saturating_sub(item.first_at.unwrap_or(now));
    age >= millis(config.policy(&item.envelope.topic).max_age)
}

fn deferred(
    config: &OutboxConfig,
    item: &Item,
    error: &PublishError,
    failed: Failed,
    now: i64,
) -> Fate {
    if is_too_old(config, item, now) {
        return dead(config, DeathReason::Age, failed);
    }
    let policy = config.policy(&item.envelope.topic);
    let wait = error.retry_after().unwrap_or_else(|| policy.backoff.delay(1, Duration::ZERO));
    Fate::Again {
        at: now.saturating_add(millis(wait)),
        tries: item.tries,
        first_at: Some(item.first_at.unwrap_or(now)),
        wait_ms: item.wait_ms,
        uncertain: item.uncertain,
        counted: None,
    }
}

fn counted(
    config: &OutboxConfig,
    item: &Item,
    error: &PublishError,
    failed: Failed,
    now: i64,
) -> Fate {
    let policy = config.policy(&item.envelope.topic);
    let tries = item.tries.saturating_add(1);
    if tries >= policy.max_attempts {
        return dead(config, DeathReason::Attempts, failed);
    }
    if is_too_old(config, item, now) {
        return dead(config, DeathReason::Age, failed);
    }
    let previous = Duration::from_millis(item.wait_ms.max(0).unsigned_abs());
    let wait = error.retry_after().unwrap_or_else(|| policy.backoff.delay(tries, previous));
    Fate::Again {
        at: now.saturating_add(millis(wait)),
        tries,
        first_at: Some(item.first_at.unwrap_or(now)),
        wait_ms: millis(wait),
        uncertain: item.uncertain || failed.class == FailureClass::Unknown,
        counted: Some(failed),
    }
}
