//! Waiting for a lock.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use mainstay_core::{Key, Moment, Sleep, transaction};

use crate::{
    agenda::Registration,
    engine::Ask,
    error::LockError,
    guard::LockGuard,
    hold::{End, Hold},
    mode::Mode,
    request::LockRequest,
    scope::Scope,
    terms::Reentrancy,
};

/// Future of a [`LockRequest`]: a guard, or why there is none.
///
/// # Cancel safety
///
/// Dropping it leaves the queue, and gives the lock back if it had just been granted.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    request: LockRequest,
    began: Moment,
    stage: Stage,
}

enum Stage {
    Start,
    Wait(Wait),
    Done,
}

/// A place in the queue; dropping it gives it up.
struct Wait {
    hold: Arc<Hold>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Set once it is clear that the lock is not free.
    seat: Option<Registration>,
    /// Whether the last look before the time-out was taken.
    looked: bool,
}

/// What the start of a request leads to.
enum Begun {
    Entered(LockGuard),
    Asked(Wait),
}

impl Acquire {
    pub(crate) fn new(request: LockRequest) -> Self {
        Self { request, began: Moment::NEVER, stage: Stage::Start }
    }

    fn poll_guard(&mut self, cx: &mut Context<'_>) -> Poll<Result<LockGuard, LockError>> {
        loop {
            match &mut self.stage {
                Stage::Start => {
                    self.began = self.request.locks.clock().now();
                    match self.begin()? {
                        Begun::Entered(guard) => return Poll::Ready(Ok(guard)),
                        Begun::Asked(wait) => self.stage = Stage::Wait(wait),
                    }
                }
                Stage::Wait(wait) => match wait.hold.poll_claim(cx) {
                    Poll::Ready(Ok(())) => {
                        let guard = LockGuard::new(wait.hold.clone());
                        let blind = cfg!(mainstay_planted = "no_check_after_wait");
                        if guard.hold().is_worth_having() || blind {
                            return Poll::Ready(self.claimed(guard));
                        }
                        // The answer took nearly as long as the lease, or longer: never handed out.
                        drop(guard);
                        self.stage = Stage::Wait(self.ask_anew()?);
                    }
                    Poll::Ready(Err(End::Refused(error))) => return Poll::Ready(Err(error)),
                    // Granted and lost before it was picked up: back to the end of the queue.
                    Poll::Ready(Err(_)) => self.stage = Stage::Wait(self.ask_anew()?),
                    Poll::Pending => ready!(wait.poll_look(self.began, cx))?,
                },
                Stage::Done => return Poll::Pending,
            }
        }
    }

    fn begin(&self) -> Result<Begun, LockError> {
        let key = self.request.key.clone()?;
        let (manager, scope) = (self.request.locks.manager(), Scope::current());
        if let Some(hold) = scope.find(manager, &key) {
            // Released while its scope runs on, it is a lock like any other.
            if let Some(guard) = self.enter(hold, &key)? {
                return Ok(Begun::Entered(guard));
            }
        }
        if transaction::is_open() {
            return Err(LockError::InsideTransaction { key });
        }
        if !self.request.terms.wait.is_zero() {
            manager.orders().ask(manager, &scope, &key)?;
        }
        self.ask(key, self.began).map(Begun::Asked)
    }

    fn enter(&self, hold: &Arc<Hold>, key: &Key) -> Result<Option<LockGuard>, LockError> {
        let (terms, held) = (&self.request.terms, hold.terms().mode);
        let upgrades = terms.mode == Mode::Exclusive && held == Mode::Shared;
        if hold.is_held() && (upgrades || terms.reentrancy == Reentrancy::Deny) {
            return Err(LockError::WouldDeadlock { key: key.clone(), held });
        }
        match hold.enter() {
            Ok(()) => {
                hold.manager().observe().reentered(key, hold.fence());
                Ok(Some(LockGuard::new(hold.clone())))
            }
            Err(None) => Ok(None),
            Err(Some(lost)) => Err(lost.into()),
        }
    }

    fn ask(&self, key: Key, asked: Moment) -> Result<Wait, LockError> {
        let (manager, terms) = (self.request.locks.manager(), &self.request.terms);
        if terms.mode == Mode::Shared && !manager.engine().shares() {
            return Err(LockError::Unsupported { key, what: "shared" });
        }
        manager.open(&key)?;
        let hold = Hold::new(manager.clone(), key, asked, terms.clone());
        manager.engine().ask(&hold, Ask::Acquire { queue: !terms.wait.is_zero() });
        Ok(Wait { hold, alarm: None, seat: None, looked: false })
    }

    fn ask_anew(&self) -> Result<Wait, LockError> {
        let key = self.request.key.clone()?;
        let now = self.request.locks.clock().now();
        let waited = now.saturating_since(self.began);
        if waited > self.request.terms.wait {
            let (holder_remaining, position) = (None, None);
            return Err(LockError::Timeout { key, waited, holder_remaining, position });
        }
        self.ask(key, now)
    }

    fn claimed(&self, guard: LockGuard) -> Result<LockGuard, LockError> {
        let hold = guard.hold();
        if hold.manager().is_closing() {
            // The shutdown may have looked before this hold was there to be seen.
            return Err(LockError::ShuttingDown { key: hold.key().clone() });
        }
        let waited = hold.clock().now().saturating_since(self.began);
        hold.manager().observe().acquired(hold.key(), hold.fence(), waited);
        Ok(guard)
    }
}

impl Future for Acquire {
    type Output = Result<LockGuard, LockError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = ready!(this.poll_guard(cx));
        this.stage = Stage::Done;
        match &result {
            Ok(guard) => {
                if let Some(handle) = this.request.handle.get() {
                    handle.show(guard.hold());
                }
            }
            Err(error) if error.is_contended() && this.request.terms.probes => {}
            Err(error) => {
                let waited = this.request.locks.clock().now().saturating_since(this.began);
                this.request.locks.manager().observe().refused(error, waited);
            }
        }
        Poll::Ready(result)
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("key", &self.request.key).finish_non_exhaustive()
    }
}

impl Wait {
    /// Sleeps until there is something to ask or the wait is over. Ready when the hold is to be looked at again.
    fn poll_look(&mut self, began: Moment, cx: &mut Context<'_>) -> Poll<Result<(), LockError>> {
        if self.seat.is_none() {
            self.sit_down()?;
        }
        let outlook = self.hold.outlook();
        if !outlook.answered {
            return Poll::Pending;
        }
        let (now, end) = (self.hold.clock().now(), began + self.hold.terms().wait);
        let look_at = outlook.ask_at.min(end);
        if now < look_at {
            return self.poll_alarm(look_at, cx).map(Ok);
        }
        let engine = self.hold.manager().engine();
        // A last look costs nothing in process, and finds a lease that ended just now.
        let last_look = now >= end && !engine.is_remote() && !mem::replace(&mut self.looked, true);
        if now < end || last_look {
            engine.ask(&self.hold, Ask::Poll);
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(self.timed_out(now.saturating_since(began))))
    }

    /// Lets a shutdown find this waiter.
    fn sit_down(&mut self) -> Result<(), LockError> {
        self.seat = Some(self.hold.register_waiting());
        let (manager, key) = (self.hold.manager(), self.hold.key());
        if manager.is_closing() {
            // It may have looked before the seat was taken.
            return Err(LockError::ShuttingDown { key: key.clone() });
        }
        manager.observe().queued(key, self.hold.outlook().position);
        Ok(())
    }

    fn poll_alarm(&mut self, at: Moment, cx: &mut Context<'_>) -> Poll<()> {
        let alarm = match &mut self.alarm {
            Some(alarm) if alarm.deadline() == at => alarm,
            other => other.insert(Box::pin(self.hold.clock().sleep_until(at))),
        };
        alarm.as_mut().poll(cx)
    }

    fn timed_out(&self, waited: Duration) -> LockError {
        let (key, outlook) = (self.hold.key().clone(), self.hold.outlook());
        let now = self.hold.clock().now();
        let holder_remaining = outlook.holder_until.map(|until| until.saturating_since(now));
        LockError::Timeout { key, waited, holder_remaining, position: outlook.position }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.hold.abandon();
    }
}

/// Future of [`Locks::try_lock`](crate::Locks::try_lock).
///
/// # Cancel safety
///
/// As [`Acquire`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct TryAcquire {
    acquire: Acquire,
}

impl TryAcquire {
    pub(crate) fn new(acquire: Acquire) -> Self {
        Self { acquire }
    }
}

impl Future for TryAcquire {
    type Output = Result<Option<LockGuard>, LockError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.acquire).poll(cx)) {
            Ok(guard) => Ok(Some(guard)),
            Err(error) if error.is_contended() => Ok(None),
            Err(error) => Err(error),
        })
    }
}
