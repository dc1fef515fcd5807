//! Several locks at once.

mod at_once;
mod in_order;
mod set;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use mainstay_core::{Key, KeyError, Moment};

use self::{at_once::AtOnce, in_order::InOrder};
use crate::{error::LockError, guard::LockGuard, locks::Locks, scope::Scope};

pub use set::LockSet;

/// A request for several locks; await it.
///
/// Made by [`Locks::lock_all`].
#[derive(Debug)]
#[must_use = "await the request"]
pub struct LockAll {
    locks: Locks,
    keys: Result<Vec<Key>, KeyError>,
    wait: Duration,
}

impl LockAll {
    pub(crate) fn new(locks: Locks, keys: Result<Vec<Key>, KeyError>) -> Self {
        let wait = locks.manager().config().wait;
        Self { locks, keys, wait }
    }

    /// Waits at most so long for all of them together; zero does not wait at all.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl IntoFuture for LockAll {
    type Output = Result<LockSet, LockError>;
    type IntoFuture = AcquireAll;

    fn into_future(self) -> AcquireAll {
        let (locks, wait) = (self.locks, self.wait);
        let keys = self.keys.map(|mut keys| {
            keys.sort();
            keys.dedup();
            keys
        });
        AcquireAll { locks, wait, keys, until: Moment::NEVER, stage: Stage::Start }
    }
}

/// Future of a [`LockAll`].
///
/// # Cancel safety
///
/// Dropping it leaves the queue and releases what it had got.
///
/// # Cost
///
/// Behind a backend, all of them are asked for at once and without waiting: one round trip where all of them are free,
/// and on Redis one script, in a Cluster one for each bucket of names, because calls that are made together share it. If one of them is held, the others are given
/// back, and they are waited for one after another in the order of their names.
#[must_use = "futures do nothing unless polled"]
pub struct AcquireAll {
    locks: Locks,
    wait: Duration,
    keys: Result<Vec<Key>, KeyError>,
    until: Moment,
    stage: Stage,
}

/// ```text
/// start => at once    behind the seam
/// start => in order   in process, where asking costs no way
/// at once => done     all of them were free, or one of them is not to be had
/// at once => in order one of them was held, and there is time to wait
/// in order => done
/// ```
#[expect(clippy::large_enum_variant, reason = "what runs in process takes no allocation")]
enum Stage {
    Start,
    AtOnce(AtOnce),
    InOrder(InOrder),
    Done,
}

impl AcquireAll {
    fn poll_guards(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<LockGuard>, LockError>> {
        loop {
            self.stage = match &mut self.stage {
                Stage::Start => self.start()?,
                Stage::AtOnce(all) => match ready!(all.poll_guards(cx)) {
                    Err(error) if error.is_contended() && !self.wait.is_zero() => {
                        self.in_order()?
                    }
                    result => return Poll::Ready(result),
                },
                Stage::InOrder(all) => return all.poll_guards(&self.locks, self.until, cx),
                Stage::Done => return Poll::Pending,
            };
        }
    }

    fn start(&mut self) -> Result<Stage, LockError> {
        let (keys, manager) = (self.keys.as_ref().map_err(Clone::clone)?, self.locks.manager());
        self.until = self.locks.clock().now() + self.wait;
        if keys.len() < 2 || !manager.engine().is_remote() {
            return self.in_order();
        }
        if !self.wait.is_zero() {
            let scope = Scope::current();
            for key in keys.iter().filter(|key| scope.find(manager, key).is_none()) {
                manager.orders().ask(manager, &scope, key)?;
            }
        }
        Ok(Stage::AtOnce(AtOnce::new(&self.locks, keys, !self.wait.is_zero())))
    }

    fn in_order(&self) -> Result<Stage, LockError> {
        Ok(Stage::InOrder(InOrder::new(self.keys.clone()?)))
    }
}

impl Future for AcquireAll {
    type Output = Result<LockSet, LockError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.poll_guards(cx));
        // On the way out, so that an error gives back what was got.
        self.stage = Stage::Done;
        Poll::Ready(result.map(LockSet::new))
    }
}

impl fmt::Debug for AcquireAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireAll").field("keys", &self.keys).finish_non_exhaustive()
    }
}
