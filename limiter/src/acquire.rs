//! Getting in.

use std::{
    fmt,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use mainstay_core::{Moment, Sleep};

use crate::{
    engine::{Entry, Ticket},
    error::{Holders, LimitError, Reason},
    observe::Event,
    permit::{Extra, Permit, Slot},
    reentry,
    request::PermitRequest,
    roll::Name,
    scopes::ResolvedScopes,
};

/// One permit of `scopes`, now or not at all.
#[inline]
#[track_caller]
pub(crate) fn try_one(scopes: &ResolvedScopes) -> Result<Permit, LimitError> {
    let site = Location::caller();
    try_fast(scopes.clone(), 1).or_else(|scopes| try_slow(scopes, site))
}

/// A permit of `scopes` if that takes no lock; if not they come back, and nothing is decided.
// Always inlined: a permit that is handed on through memory costs more than it takes to get it.
#[inline(always)]
pub(crate) fn try_fast(scopes: ResolvedScopes, weight: u32) -> Result<Permit, ResolvedScopes> {
    if let Some(slot) = reentry::covering(&scopes, weight) {
        return Ok(Permit::reentrant(slot));
    }
    // A bulkhead has more to do than to count.
    if scopes.core().roll.is_none() && scopes.core().try_fast(&scopes, weight) {
        return Ok(Permit::new(Slot::new(scopes, weight, None)));
    }
    Err(scopes)
}

/// One permit of `scopes`, which are not those of a slot the task has.
fn try_slow(
    scopes: ResolvedScopes,
    site: &'static Location<'static>,
) -> Result<Permit, LimitError> {
    let core = scopes.core();
    core.admit(&scopes, 1, None, None)?;
    let present = core.roll.as_ref().map(|roll| roll.enter(Name::Site(site), core.clock.now()));
    let extra = present.is_some().then(|| Box::new(Extra { present, ..Extra::default() }));
    Ok(Permit::new(Slot::new(scopes, 1, extra)))
}

/// A permit of `scopes` that borrows them, now or not at all.
#[inline]
pub(crate) fn try_enter(scopes: &ResolvedScopes) -> Result<Entered<'_>, LimitError> {
    let counted = reentry::covering(scopes, 1).is_none();
    if counted && !scopes.core().try_fast(scopes, 1) {
        scopes.core().admit(scopes, 1, None, None)?;
    }
    Ok(Entered { scopes, counted })
}

/// A permit that borrows its [`ResolvedScopes`]. Dropping it gives the slot back.
#[must_use = "the slot is given back when this is dropped"]
pub struct Entered<'a> {
    scopes: &'a ResolvedScopes,
    /// Not if the task was in already.
    counted: bool,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.counted {
            self.scopes.release(1);
        }
    }
}

impl fmt::Debug for Entered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entered").field(self.scopes).finish()
    }
}

/// Future of a [`PermitRequest`].
///
/// # Cancel safety
///
/// Dropping it before it is done leaves the queue; a permit granted in this moment goes to the next
/// in line.
///
/// # Panics
///
/// When it has to wait outside a tokio runtime with its timer on, except on a manual clock.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    request: PermitRequest,
    waiting: Option<Waiting>,
}

struct Waiting {
    ticket: Ticket,
    /// Boxed: only who waits pays for the timer, not every future that might.
    sleep: Pin<Box<Sleep>>,
    began: Moment,
}

impl Acquire {
    pub(crate) fn new(request: PermitRequest) -> Self {
        Self { request, waiting: None }
    }

    /// Asks without waiting; `None` if it has to wait.
    pub(crate) fn start(&mut self) -> Option<Result<Permit, LimitError>> {
        match self.enter() {
            Ok(Some(permit)) => Some(Ok(permit)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn enter(&mut self) -> Result<Option<Permit>, LimitError> {
        let request = &self.request;
        let scopes = request.scopes()?;
        let weight = request.weight();
        if let Some(slot) = reentry::covering(scopes, weight) {
            return Ok(Some(request.fill(Permit::reentrant(slot))));
        }
        let core = scopes.core();
        // Most calls find room: they need neither the time nor the queue.
        if request.is_plain() && core.try_fast(scopes, weight) {
            return self.request.permit(Duration::ZERO).map(Some);
        }
        let Some((began, deadline)) = self.deadline(scopes)? else {
            core.admit(scopes, weight, request.id_key(), None)?;
            return self.request.permit(Duration::ZERO).map(Some);
        };
        match core.admit(scopes, weight, request.id_key(), Some(deadline))? {
            Entry::Granted => self.request.permit(Duration::ZERO).map(Some),
            Entry::Parked(seq) => {
                let ticket = Ticket::new(core.engine.clone(), seq);
                let sleep = Box::pin(core.clock.sleep_until(deadline));
                self.waiting = Some(Waiting { ticket, sleep, began });
                Ok(None)
            }
        }
    }

    /// Now, and when to give up; `None` if the caller does not wait.
    fn deadline(&self, scopes: &ResolvedScopes) -> Result<Option<(Moment, Moment)>, LimitError> {
        let core = scopes.core();
        let budget = match (self.request.budget(), self.request.deadline()) {
            (Some(budget), _) => Some(budget),
            (None, Some(_)) => None,
            (None, None) => Some(core.wait),
        };
        if self.request.deadline().is_none() && budget == Some(Duration::ZERO) {
            return Ok(None);
        }
        let now = core.clock.now();
        let until = self.request.deadline().unwrap_or(Moment::NEVER);
        if until <= now {
            return Err(core.tell(late(scopes)));
        }
        if budget == Some(Duration::ZERO) {
            return Ok(None);
        }
        let end = budget.map_or(Moment::NEVER, |budget| now + budget);
        Ok(Some((now, end.min(until))))
    }

    fn decided(&mut self, waiting: Duration, outcome: Outcome) -> Result<Permit, LimitError> {
        let scopes = self.request.scopes()?;
        let core = scopes.core();
        self.waiting = None;
        match outcome {
            Ok(()) => {
                core.observe.tell(Event::Granted { scope: scopes.name(), waited: waiting });
                self.request.permit(waiting)
            }
            Err(refusal) => Err(core.refused(refusal, waiting)),
        }
    }
}

type Outcome = Result<(), crate::engine::Refusal>;

impl Future for Acquire {
    type Output = Result<Permit, LimitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.waiting.is_none()
            && let Some(done) = this.start()
        {
            return Poll::Ready(done);
        }
        let Some(waiting) = this.waiting.as_mut() else { return Poll::Pending };
        let outcome = match waiting.ticket.poll(cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => match waiting.sleep.as_mut().poll(cx) {
                Poll::Ready(()) => waiting.ticket.give_up(),
                Poll::Pending => return Poll::Pending,
            },
        };
        let began = waiting.began;
        let clock = this.request.scopes().map(|scopes| scopes.core().clock.now());
        let waited = clock.map_or(Duration::ZERO, |now| now.saturating_since(began));
        Poll::Ready(this.decided(waited, outcome))
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("request", &self.request)
            .field("is_waiting", &self.waiting.is_some())
            .finish()
    }
}

/// The refusal of a caller whose deadline has passed.
#[cold]
fn late(scopes: &ResolvedScopes) -> LimitError {
    let scope = &scopes.list()[0];
    let level = scope.pool.read();
    LimitError::Rejected {
        scope: scope.key.clone(),
        reason: Reason::Deadline,
        limit: (!level.is_unlimited()).then(|| level.limit()),
        used: level.used(),
        retry_after: None,
        holders: Holders::default(),
    }
}
