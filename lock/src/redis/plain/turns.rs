//! Asking for those who wait, one at a time.

use std::{sync::Arc, time::Duration};

use mainstay_core::{Clock, Moment};
use mainstay_redis::{Call, RedisError, Reply};
use tokio::sync::Notify;

use super::{
    Held, Store,
    scripts::{ACQUIRE, RELEASE},
};
use crate::{
    backend::{BackendError, Claim, Grant},
    fence::Fence,
    redis::{ask::millis, wire},
};

/// What the server said of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Held(Grant),
    /// Elsewhere; until then, if the key has an end.
    Busy(Option<Moment>),
    Free,
}

/// A request on its way.
pub(super) struct Request {
    since: Moment,
    lease: Duration,
    call: Call,
}

impl Store {
    /// Puts the request into the connection's queue before it returns.
    pub(super) fn ask(&self, claim: &Claim, mode: &'static str) -> Request {
        let (since, lease) = (claim.clock().now(), claim.lease());
        let script = self.redis.eval(&ACQUIRE, [&*self.names.of(claim.key())]);
        let script = script.arg(claim.owner().to_string()).arg(millis(lease)).arg(mode);
        Request { since, lease, call: script.call() }
    }

    pub(super) fn give_back(&self, claim: &Claim) -> Call {
        let script = self.redis.eval(&RELEASE, [&*self.names.of(claim.key())]);
        script.arg(claim.owner().to_string()).call()
    }

    /// Lets `claim` wait, and makes sure that somebody asks for it.
    pub(super) fn stand_in_line(self: &Arc<Self>, claim: &Claim, holder_until: Option<Moment>) {
        let key = self.names.of(claim.key());
        let mut line = self.lines.entry(key.clone()).or_default();
        line.push(claim, holder_until);
        if line.is_idle() {
            let (store, clock) = (self.clone(), claim.clock().clone());
            let nudge = line.nudge.clone();
            self.spawner.enter();
            let asker = self.spawner.detach(async move { store.serve(key, &clock, &nudge).await });
            line.asked_by(asker);
        }
    }

    /// Notes a grant, and tells the claim. One that is not wanted any more is given back.
    fn hand_over(&self, claim: &Claim, grant: Grant) {
        self.note_held(claim, grant);
        self.lines.alter(&self.names.of(claim.key()), |_, mut line| {
            line.leave(claim.owner());
            line
        });
        if !claim.grant(grant) {
            self.held.remove(&claim.owner());
            self.spawner.detach(self.give_back(claim));
        }
    }

    pub(super) fn note_held(&self, claim: &Claim, grant: Grant) {
        let held = Held { claim: claim.clone(), fence: grant.fence, since: grant.since };
        self.held.insert(claim.owner(), held);
    }

    /// Asks for the head of a line until nobody waits in it.
    async fn serve(self: Arc<Self>, key: Arc<str>, clock: &Clock, nudge: &Notify) {
        while let Some((head, request)) = self.next_request(&key) {
            let answer = request.answer().await;
            let until = match answer {
                Ok(Asked::Held(grant)) => {
                    self.hand_over(&head, grant);
                    continue;
                }
                Ok(Asked::Busy(until)) => until,
                // Unknown: the claim asks again under its own name.
                Ok(Asked::Free) | Err(_) => None,
            };
            if let Some(mut line) = self.lines.get_mut(&key) {
                line.note(until);
            }
            let pause = self.pause(clock.now(), until);
            // Either way it is time to ask again.
            let _ = clock.timeout(pause, nudge.notified()).await;
        }
    }

    /// The request for the head of a line, sent while nobody can leave it. Ends an empty line.
    fn next_request(&self, key: &Arc<str>) -> Option<(Claim, Request)> {
        let asked = self.lines.get_mut(key).and_then(|mut line| {
            let head = line.head()?;
            let request = self.ask(&head, "take");
            Some((head, request))
        });
        if asked.is_none() && self.lines.remove_if(key, |_, line| line.len() == 0).is_none() {
            // Somebody came in between.
            return self.lines.contains_key(key).then(|| self.next_request(key)).flatten();
        }
        asked
    }

    /// Give or take half, so that processes do not ask in step; no later than the key's end.
    fn pause(&self, now: Moment, until: Option<Moment>) -> Duration {
        let pause = self.ask_every.mul_f64(0.5 + fastrand::f64());
        let left = until.map(|until| until.saturating_since(now) + GRACE);
        left.map_or(pause, |left| left.min(pause))
    }
}

impl Request {
    pub(super) async fn answer(self) -> Result<Asked, BackendError> {
        let Self { since, lease, call } = self;
        let (kind, number) = call.await.and_then(Reply::read::<(i64, i64)>).map_err(failure)?;
        Ok(match kind {
            1 => Asked::Held(Grant::new(Fence::new(number), since, lease)),
            0 => {
                let left = u64::try_from(number).ok().map(Duration::from_millis);
                Asked::Busy(left.map(|left| since + left))
            }
            _ => Asked::Free,
        })
    }
}

pub(super) fn failure(error: RedisError) -> BackendError {
    // Every script looks at the key before it does anything.
    let looked = matches!(&error, RedisError::Refused { code, .. } if &**code == "WRONGTYPE");
    if looked { BackendError::failed(error) } else { wire::failure(error) }
}

/// A key lives to the end of its last millisecond.
const GRACE: Duration = Duration::from_millis(1);
