//! What a node refuses because of where slots are.

use redis::ServerErrorKind;

use super::map::Address;
use crate::job::Job;

/// A command that a node refused because of where slots are: it was not done.
pub(crate) struct Refused {
    pub(super) job: Box<Job>,
    pub(super) refusal: Refusal,
    /// What to say if it cannot be done elsewhere in time.
    pub(super) error: redis::ServerError,
    /// The address of the node.
    pub(super) by: Box<str>,
}

/// What to do about it.
pub(super) enum Refusal {
    /// The slot is served there.
    Moved(Address),
    /// The slot is on its way there, and this key is not here any more.
    Ask(Address),
    /// Later, here.
    Later,
}

impl Refused {
    /// `job` again if the refusal is about something else, or about no slot.
    pub(crate) fn read(
        job: Box<Job>,
        error: &redis::ServerError,
        by: &str,
    ) -> Result<Self, Box<Job>> {
        match Refusal::read(error, by) {
            Some(refusal) if job.ticket.slot.is_some() => {
                Ok(Self { job, refusal, error: error.clone(), by: by.into() })
            }
            _ => Err(job),
        }
    }
}

impl Refusal {
    fn read(error: &redis::ServerError, by: &str) -> Option<Self> {
        let target = || {
            // `MOVED 3999 host:port`
            let target = error.details()?.split_whitespace().nth(1)?;
            Address::read(target, by)
        };
        match error.kind()? {
            ServerErrorKind::Moved => target().map(Self::Moved),
            ServerErrorKind::Ask => target().map(Self::Ask),
            ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown => Some(Self::Later),
            _ => None,
        }
    }
}
