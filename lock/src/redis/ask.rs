//! Asking for a claim, and giving it back.

use std::{sync::Arc, time::Duration};

use mainstay_core::Moment;
use mainstay_redis::{Call, Invocation, RedisError, Reply, Script};

use super::{
    names::Held,
    registry::Stage,
    scripts::{
        COMMIT, COMMIT_IN_CLUSTER, RENEW, SHARE, SHARE_IN_CLUSTER, SHARE_RENEW,
        SHARE_RENEW_IN_CLUSTER, VOTE, VOTE_SHARE,
    },
    store::Store,
    wire::{self, Asked},
};
use crate::{
    backend::{Answer, BackendError, Claim, Grant, Owner, Replier},
    fence::Fence,
    lost::LostReason,
    mode::Mode as Sharing,
};

/// What to do if the lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Try,
    Wait,
    Poll,
}

/// A request, as it was when it was queued.
pub(super) struct Request {
    claim: Claim,
    /// Read before the request was queued, on the clock that judges the lease.
    since: Moment,
    lease: Duration,
}

impl Request {
    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }
}

/// What a request came to.
pub(super) enum Heard {
    Answer(Answer),
    /// It was done so late that the server refused it. The server's time is known better now.
    Late,
}

impl Store {
    /// A request and the call that makes it.
    pub(super) fn ask(&self, claim: &Claim, mode: Mode) -> (Request, Invocation<'_>) {
        let (since, lease) = (claim.clock().now(), claim.lease());
        let (held, sharing) = (self.held(claim.key()), claim.mode());
        // Who votes at once is asked for plain locks as any other server.
        let refuses =
            sharing == Sharing::Exclusive && self.votes_after.is_some_and(|after| after > 0);
        let script = if refuses { &VOTE } else { self.calls_of(sharing) };
        let script = self.eval(script, &held, sharing);
        let word = match mode {
            Mode::Try => "try",
            Mode::Wait => "wait",
            Mode::Poll => "poll",
        };
        let script = script.arg(word).arg(self.name(claim.owner(), sharing)).arg(millis(lease));
        let not_after = self.time.not_later(since, self.redis.config().budget);
        // Which node's clock that is, nobody knows.
        let not_after = not_after.filter(|_| !self.redis.is_cluster());
        let script = script.arg(claim.metadata().unwrap_or_default()).arg(not_after.unwrap_or(0));
        let script = match self.votes_after {
            Some(seconds) if refuses => script.arg(seconds),
            _ => self.voting(script, sharing),
        };
        (Request { claim: claim.clone(), since, lease }, script)
    }

    /// Asks, again if the server found that it was late, and replies.
    pub(super) fn ask_for(self: &Arc<Self>, claim: &Claim, mode: Mode, reply: Replier<Answer>) {
        self.ask_with(claim, mode, ATTEMPTS, reply);
    }

    fn ask_with(self: &Arc<Self>, claim: &Claim, mode: Mode, attempts: u8, reply: Replier<Answer>) {
        let (request, script) = self.ask(claim, mode);
        let store = self.clone();
        script.call_with(move |answer| match store.hear(&request, answer) {
            Ok(Heard::Late) if attempts > 1 && request.claim.is_wanted() => {
                store.ask_with(&request.claim, mode, attempts - 1, reply);
            }
            heard => {
                let answer = heard.and_then(Heard::or_late);
                let refused = mode != Mode::Poll && matches!(answer, Err(BackendError::Failed(_)));
                let owner = request.claim.owner();
                // Only where the request itself is refused: one that stands in line already must hear of
                // its grant, whatever became of a question about it.
                if refused && !store.registry.is_held(owner) {
                    store.registry.leave(owner);
                }
                reply.send(answer);
            }
        });
    }

    /// Notes what an answer tells.
    pub(super) fn hear(
        &self,
        request: &Request,
        answer: Result<Reply, RedisError>,
    ) -> Result<Heard, BackendError> {
        let (owner, since) = (request.claim.owner(), request.since);
        let asked = answer.map_err(wire::failure).and_then(wire::asked);
        Ok(Heard::Answer(match asked? {
            Asked::Granted { fence, now } => {
                self.time.note(since, now);
                self.registry.note(owner, Stage::Held);
                Answer::Granted(Grant::new(fence, since, request.lease))
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
            Asked::Gone => {
                // Granted and gone again: it must not be taken a second time, because the holder would not
                // notice that others had it in between.
                if self.registry.is_held(owner) {
                    self.registry.leave(owner);
                    request.claim.lose(&LostReason::TakenOver);
                }
                Answer::Gone
            }
            Asked::Late { now } => {
                self.time.note(since, now);
                return Ok(Heard::Late);
            }
        }))
    }

    /// The call that gives back what a claim has, be it only its place in the queue.
    pub(super) fn release(&self, claim: &Claim) -> Invocation<'_> {
        let (held, owner) = (self.held(claim.key()), (claim.owner(), claim.mode()));
        let script = self.giving_back(&held, owner);
        let script = script.arg(millis(claim.lease())).arg(claim.metadata().unwrap_or_default());
        let script = match claim.fence() {
            Fence::NONE => script.arg(""),
            used => script.arg(used.get()),
        };
        self.voting(script, claim.mode())
    }

    /// The call that gives on what an owner was granted with `fence` and does not want.
    pub(super) fn give_on(
        &self,
        held: &Held,
        owner: (Owner, Sharing),
        fence: Fence,
    ) -> Invocation<'_> {
        let script = self.giving_back(held, owner).arg("").arg("").arg(fence.get());
        self.voting(script, owner.1)
    }

    /// On a node of a quorum every call about readers ends with this.
    fn voting<'a>(&self, script: Invocation<'a>, mode: Sharing) -> Invocation<'a> {
        match self.votes_after {
            Some(seconds) if mode == Sharing::Shared => script.arg(seconds),
            _ => script,
        }
    }

    fn giving_back(&self, held: &Held, (owner, mode): (Owner, Sharing)) -> Invocation<'_> {
        let script = self.eval(self.calls_of(mode), held, mode);
        script.arg("release").arg(self.name(owner, mode))
    }

    /// The script that takes and gives back.
    fn calls_of(&self, mode: Sharing) -> &'static Script {
        match mode {
            Sharing::Shared if self.votes_after.is_some() => &VOTE_SHARE,
            Sharing::Shared if self.redis.is_cluster() => &SHARE_IN_CLUSTER,
            Sharing::Shared => &SHARE,
            Sharing::Exclusive if self.redis.is_cluster() => &COMMIT_IN_CLUSTER,
            Sharing::Exclusive => &COMMIT,
        }
    }

    /// Has a look whether a claim holds its lock still.
    pub(super) fn look(&self, claim: &Claim) -> Call {
        let held = self.held(claim.key());
        let script = self.eval(self.renewals_of(claim.mode()), &held, claim.mode());
        script.arg(self.name(claim.owner(), claim.mode())).arg(0).call()
    }

    /// The script that renews.
    pub(super) fn renewals_of(&self, mode: Sharing) -> &'static Script {
        match mode {
            Sharing::Exclusive => &RENEW,
            Sharing::Shared if self.redis.is_cluster() => &SHARE_RENEW_IN_CLUSTER,
            Sharing::Shared => &SHARE_RENEW,
        }
    }

    fn eval(&self, script: &'static Script, held: &Held, mode: Sharing) -> Invocation<'_> {
        if self.names_readers(mode) {
            return self.redis.eval(script, held.with_readers());
        }
        self.redis.eval(script, [held.as_ref()])
    }

    /// Whether calls name the keys of the readers as well: where a part of them may be on another node, because
    /// their slot migrates, nobody must take the rest for all.
    pub(super) fn names_readers(&self, mode: Sharing) -> bool {
        mode == Sharing::Shared && self.redis.is_cluster()
    }
}

impl Heard {
    pub(super) fn or_late(self) -> Result<Answer, BackendError> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::Late => Err(BackendError::failed("the request reached the server too late")),
        }
    }
}

/// For the scripts: at least one millisecond, and no more than a Redis key may live.
pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// A clock that was set forward makes one request late, not three.
const ATTEMPTS: u8 = 3;
