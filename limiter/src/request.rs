//! A request for a permit.

use std::{
    fmt,
    panic::Location,
    sync::{Arc, OnceLock},
    time::Duration,
};

use mainstay_core::{IntoError, IntoKey, Key, Moment, OnReject};

use crate::{
    acquire::Acquire,
    error::LimitError,
    handle::PermitHandle,
    permit::{Extra, Permit, Slot},
    roll::Name,
    run::Run,
    scopes::ResolvedScopes,
};

/// A request for a permit: await it, or let it [`run`](Self::run) work.
///
/// Nothing is asked for before it is used. A scope or an id that is no key is reported then.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use mainstay_limiter::{LimitError, Limiter};
///
/// let limiter = Limiter::in_process();
/// let request = limiter.acquire("bank:pay").permits(2).wait(Duration::from_millis(200));
/// let receipt = request.run(async { Ok::<_, LimitError>("paid") }).await?;
/// assert_eq!(receipt, "paid");
/// # Ok::<_, LimitError>(())
/// # }).unwrap();
/// ```
#[must_use = "a request does nothing until it is awaited or runs work"]
pub struct PermitRequest {
    target: Target,
    weight: u32,
    wait: Option<Duration>,
    until: Option<Moment>,
    named: Option<Box<Named>>,
    site: &'static Location<'static>,
    handle: OnceLock<PermitHandle>,
}

/// What is asked for.
enum Target {
    Scopes(ResolvedScopes),
    Wrong(Box<LimitError>),
    /// It went into the permit.
    Spent,
}

/// What few requests have.
#[derive(Default)]
struct Named {
    id: Option<Key>,
    label: Option<Arc<str>>,
}

impl PermitRequest {
    #[track_caller]
    pub(crate) fn new(scopes: Result<ResolvedScopes, LimitError>) -> Self {
        Self {
            target: scopes.map_or_else(|error| Target::Wrong(Box::new(error)), Target::Scopes),
            weight: 1,
            wait: None,
            until: None,
            named: None,
            site: Location::caller(),
            handle: OnceLock::new(),
        }
    }

    /// How many permits the call counts for in each of its scopes; zero is read as one.
    pub fn permits(mut self, weight: u32) -> Self {
        self.weight = weight.max(1);
        self
    }

    /// How long to wait for room, from the moment the request is first polled; zero refuses at once.
    pub fn wait(mut self, budget: Duration) -> Self {
        self.wait = Some(budget);
        self
    }

    /// Waits no longer than this moment of the limiter's clock. Once it has passed the request is
    /// refused even if there is room.
    pub fn until(mut self, deadline: Moment) -> Self {
        self.until = Some(deadline);
        self
    }

    /// Names the call: while a call with this id is in, another one with the same id, scopes and
    /// weight is let in on the same slot. The slot is given back after the last of them.
    pub fn id(mut self, id: impl IntoKey) -> Self {
        match id.into_key() {
            Ok(id) => self.named().id = Some(id),
            Err(_) if matches!(self.target, Target::Wrong(_)) => {}
            Err(error) => self.target = Target::Wrong(Box::new(error.into())),
        }
        self
    }

    /// What a bulkhead's refusals call this holder; where the request was made, if not said.
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.named().label = Some(label.into());
        self
    }

    /// A handle that the work may use: to keep the slot, or to start tasks that share it.
    pub fn handle(&self) -> PermitHandle {
        self.handle.get_or_init(PermitHandle::default).clone()
    }

    /// Runs `work` once there is room, and gives the slot back when it is done.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the refusal made into its error type.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and gives the slot, or the place in the queue, back.
    pub fn run<F, T, E>(self, work: F) -> Run<F, IntoError>
    where
        F: Future<Output = Result<T, E>>,
        E: From<LimitError>,
    {
        self.run_or(IntoError, work)
    }

    /// Like [`run`](Self::run), with `reject` to say what a refused call returns.
    pub fn run_or<F, R, T, E>(self, reject: R, work: F) -> Run<F, R>
    where
        F: Future<Output = Result<T, E>>,
        R: OnReject<LimitError, T, E>,
    {
        Run::new(self.into_future(), reject, work)
    }

    /// Whether it has neither an id nor a deadline of its own.
    pub(crate) fn is_plain(&self) -> bool {
        self.until.is_none() && self.id_key().is_none()
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight
    }

    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.until
    }

    pub(crate) fn budget(&self) -> Option<Duration> {
        self.wait
    }

    pub(crate) fn scopes(&self) -> Result<&ResolvedScopes, LimitError> {
        match &self.target {
            Target::Scopes(scopes) => Ok(scopes),
            Target::Wrong(error) => Err(error.as_ref().clone()),
            // Polled after it was done, which a future may answer as it likes.
            Target::Spent => Err(LimitError::ShuttingDown),
        }
    }

    pub(crate) fn id_key(&self) -> Option<&Key> {
        self.named.as_ref()?.id.as_ref()
    }

    /// The permit of a call that was counted. The scopes go into it: a request is used once.
    pub(crate) fn permit(&mut self, waited: Duration) -> Result<Permit, LimitError> {
        let scopes = match std::mem::replace(&mut self.target, Target::Spent) {
            Target::Scopes(scopes) => scopes,
            target => {
                self.target = target;
                self.scopes()?.clone()
            }
        };
        let id = self.named.as_mut().and_then(|named| named.id.take());
        let core = scopes.core();
        let present = core.roll.as_ref().map(|roll| roll.enter(self.name(), core.clock.now()));
        let is_plain = id.is_none() && present.is_none() && waited.is_zero();
        let extra = (!is_plain).then(|| Box::new(Extra { id, present, waited }));
        Ok(self.fill(Permit::new(Slot::new(scopes, self.weight, extra))))
    }

    /// Lets the handle of this request know its permit.
    pub(crate) fn fill(&self, mut permit: Permit) -> Permit {
        if let Some(handle) = self.handle.get() {
            let waited = permit.waited();
            handle.fill(&permit.share(), waited);
        }
        permit
    }

    fn name(&self) -> Name {
        let label = self.named.as_ref().and_then(|named| named.label.clone());
        label.map_or(Name::Site(self.site), Name::Label)
    }

    fn named(&mut self) -> &mut Named {
        self.named.get_or_insert_default()
    }
}

impl IntoFuture for PermitRequest {
    type Output = Result<Permit, LimitError>;
    type IntoFuture = Acquire;

    fn into_future(self) -> Acquire {
        Acquire::new(self)
    }
}

impl fmt::Debug for PermitRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitRequest")
            .field("scopes", &self.scopes())
            .field("permits", &self.weight)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
