//! What a permit needs of its limiter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mainstay_core::{Clock, Key, Moment};

use crate::{
    engine::{Ask, Cause, Engine, Entry, Park, Refusal},
    error::{Holders, LimitError, Reason},
    hold::Holds,
    observe::{Event, Observe},
    roll::Roll,
    scopes::ResolvedScopes,
};
/// Shared by a limiter, its permits and its requests. Knows no scopes, so that scopes may know it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Clock,
    pub(crate) observe: Observe,
    pub(crate) holds: Holds,
    /// Who is in, by name: a bulkhead keeps it, a limiter does not.
    pub(crate) roll: Option<Roll>,
    /// How long a request waits that does not say.
    pub(crate) wait: Duration,
    retry_after: Duration,
    down: AtomicBool,
    /// Whether a task was ever inside one of its permits: if not, nobody has to look.
    nested: AtomicBool,
}

impl Core {
    pub(crate) fn new(
        clock: Clock,
        observe: Observe,
        waiting: usize,
        (wait, retry_after): (Duration, Duration),
        roll: Option<Roll>,
    ) -> Self {
        Self {
            engine: Arc::new(Engine::new(clock.clone(), waiting)),
            clock,
            observe,
            holds: Holds::default(),
            roll,
            wait,
            retry_after,
            down: AtomicBool::new(false),
            nested: AtomicBool::new(false),
        }
    }

    /// Lets a caller in if that takes no lock. If not, nothing is decided.
    #[inline]
    pub(crate) fn try_fast(&self, scopes: &ResolvedScopes, weight: u32) -> bool {
        !self.down.load(Ordering::Relaxed) && self.engine.try_fast(scopes.list(), weight)
    }

    /// Lets a caller in, or parks it if `deadline` says until when it would wait.
    pub(crate) fn admit(
        &self,
        scopes: &ResolvedScopes,
        weight: u32,
        id: Option<&Key>,
        deadline: Option<Moment>,
    ) -> Result<Entry, LimitError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(self.tell(LimitError::ShuttingDown));
        }
        let park = deadline.map(|deadline| Park { deadline });
        let ask = Ask { scopes: scopes.list(), weight, id, park };
        let answer = self.engine.admit(&ask);
        // Slots whose hold has ended are returned by whoever misses them.
        let again = match &answer {
            Ok(Entry::Granted) => return Ok(Entry::Granted),
            Ok(Entry::Parked(_)) => {
                self.reap();
                self.observe.tell(Event::Queued { scope: scopes.name() });
                return answer.map_err(|refusal| self.refused(refusal, Duration::ZERO));
            }
            Err(refusal) => !refusal.cause.is_final() && self.reap(),
        };
        let answer = if again { self.engine.admit(&ask) } else { answer };
        answer.map_err(|refusal| self.refused(refusal, Duration::ZERO))
    }

    /// Returns the slots whose hold has ended; whether there were any.
    pub(crate) fn reap(&self) -> bool {
        if self.holds.is_empty() {
            return false;
        }
        let ended = self.holds.take_ended(self.clock.now());
        for slot in &ended {
            self.observe.tell(Event::HoldEnded { scope: slot.scopes.name() });
        }
        !ended.is_empty()
    }

    /// Notes that a task is inside a permit. Whoever looks for that runs inside of it, so later.
    pub(crate) fn set_nested(&self) {
        self.nested.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_nested(&self) -> bool {
        self.nested.load(Ordering::Relaxed)
    }

    /// What a refused caller is told to wait while nothing better is known.
    pub(crate) fn retry_after(&self) -> Duration {
        self.retry_after
    }

    pub(crate) fn shut_down(&self) {
        self.down.store(true, Ordering::Relaxed);
        self.engine.refuse_all();
        self.observe.tell(Event::ShutDown);
    }

    /// Says in the caller's words what the engine said, and tells the observer.
    #[cold]
    pub(crate) fn refused(&self, refusal: Refusal, waited: Duration) -> LimitError {
        self.tell(self.error(refusal, waited))
    }

    #[cold]
    pub(crate) fn tell(&self, error: LimitError) -> LimitError {
        self.observe.tell(Event::Refused(&error));
        error
    }

    fn error(&self, refusal: Refusal, waited: Duration) -> LimitError {
        let Refusal { cause, scope, used, limit, estimate } = refusal;
        let later = Some(estimate.unwrap_or(Duration::ZERO).max(self.retry_after));
        let (reason, retry_after) = match cause {
            Cause::Full => (Reason::Full, later),
            Cause::QueueFull => (Reason::QueueFull, later),
            Cause::TooLate => (Reason::Deadline, later),
            Cause::TooWide => (Reason::TooWide, None),
            Cause::Closed => return LimitError::Closed { scope },
            Cause::OtherShape => return LimitError::IdInUse { id: scope },
            Cause::ShutDown => return LimitError::ShuttingDown,
            Cause::TimedOut => {
                let holders = self.holders();
                return LimitError::Timeout {
                    scope,
                    waited,
                    limit,
                    used,
                    retry_after: later,
                    holders,
                };
            }
        };
        let holders = self.holders();
        LimitError::Rejected { scope, reason, limit, used, retry_after, holders }
    }

    fn holders(&self) -> Holders {
        let now = |roll: &Roll| roll.holders(self.clock.now());
        self.roll.as_ref().map(now).unwrap_or_default()
    }
}
