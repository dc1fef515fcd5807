//! Asking for a claim.

use std::time::Duration;

use mainstay_core::Moment;
use mainstay_redis::Call;

use super::{
    registry::Stage,
    scripts::{ACQUIRE, RENEW, VOTE},
    store::Store,
    wire::{self, Asked},
};
use crate::backend::{Answer, BackendError, Claim, Grant};

/// What to do if the lock is held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Try,
    Wait,
    Poll,
}

/// A request on its way.
pub(super) struct Request {
    claim: Claim,
    /// Read before the request was queued, on the clock that judges the lease.
    since: Moment,
    lease: Duration,
    call: Call,
}

impl Store {
    /// Puts the request into the connection's queue before it returns.
    pub(super) fn ask(&self, claim: &Claim, mode: Mode) -> Request {
        let (since, lease) = (claim.clock().now(), claim.lease());
        let script = if self.votes_after.is_some() { &VOTE } else { &ACQUIRE };
        let script = self.redis.eval(script, self.names(claim.key()).all());
        let mode = match mode {
            Mode::Try => "try",
            Mode::Wait => "wait",
            Mode::Poll => "poll",
        };
        let script = script.arg(claim.owner().to_string()).arg(millis(lease)).arg(&*self.channel);
        let script = script.arg(claim.metadata().unwrap_or_default()).arg(mode);
        let script = script.arg(millis(PATIENCE));
        let script = match self.votes_after {
            Some(seconds) => script.arg(seconds),
            None => script,
        };
        Request { claim: claim.clone(), since, lease, call: script.call() }
    }

    /// Waits for the answer and notes what it tells.
    pub(super) async fn answer(&self, request: Request) -> Result<Answer, BackendError> {
        let Request { claim, since, lease, call } = request;
        let asked = wire::asked(call.await.map_err(wire::failure)?)?;
        let owner = claim.owner();
        Ok(match asked {
            Asked::Granted { fence, now } => {
                self.time.note(since, now);
                self.registry.note(owner, Stage::Held);
                Answer::Granted(Grant::new(fence, since, lease))
            }
            Asked::Queued { place, left, now } => {
                self.time.note(since, now);
                self.registry.note(owner, Stage::Waiting);
                Answer::Queued { position: place, holder_remaining: left }
            }
            Asked::Busy { left } => {
                self.registry.leave(owner);
                Answer::Busy { holder_remaining: left }
            }
            Asked::Gone => Answer::Gone,
        })
    }

    /// Has a look whether a claim holds its lock still.
    pub(super) fn look(&self, claim: &Claim) -> Call {
        let script = self.redis.eval(&RENEW, self.names(claim.key()).lease());
        script.arg(claim.owner().to_string()).arg(0).call()
    }
}

/// For the scripts: at least one millisecond, and no more than a Redis key may live.
pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// A waiter that has not asked for so long is dead: it asks every 5 s.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
