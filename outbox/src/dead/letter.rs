//! A dead letter and its history.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    DeathReason, Envelope, FailureClass,
    dialect::{AttemptRow, DeadRow},
};

/// A place among the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeadPosition(pub(crate) i64);

/// One page of a query.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The letters, by position.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins, if there may be one: for [`Filter::after`](crate::Filter::after).
    pub next: Option<DeadPosition>,
}

/// A message that was given up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The message.
    pub message: Envelope,
    /// Its lane.
    pub lane: String,
    /// When it was given up.
    pub died_at: SystemTime,
    /// Why.
    pub reason: DeathReason,
    /// Class of the last failure.
    pub class: FailureClass,
    /// Text of the last failure.
    pub error: String,
    position: DeadPosition,
}

impl DeadLetter {
    /// Its place among the dead letters.
    pub fn position(&self) -> DeadPosition {
        self.position
    }

    pub(super) fn from_row(row: DeadRow) -> Self {
        Self {
            position: DeadPosition(row.seq),
            message: row.envelope,
            lane: row.lane,
            died_at: time(row.died_at),
            reason: row.reason,
            class: FailureClass::parse(&row.class),
            error: row.error,
        }
    }
}

/// A counted attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// 1 for the first; a redrive does not start anew.
    pub number: u32,
    /// When it ended.
    pub at: SystemTime,
    /// What it said about the message.
    pub class: FailureClass,
    /// Its text.
    pub error: String,
    /// Name of the relay.
    pub relay: String,
}

impl Attempt {
    pub(super) fn from_row(row: AttemptRow) -> Self {
        Self {
            number: row.n,
            at: time(row.at),
            class: FailureClass::parse(&row.class),
            error: row.error,
            relay: row.relay,
        }
    }
}

pub(super) fn time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.max(0).unsigned_abs())
}
