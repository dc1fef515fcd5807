//! The layer.

use std::fmt;

use mainstay_core::{ErrIsFailure, IntoError, With};
use tower_layer::Layer;

use super::BreakerService;
use crate::{Breaker, BreakerError};

/// Puts services behind a [`Breaker`].
///
/// The service keeps its own error type: a refusal becomes an error through `From<BreakerError>`, or
/// whatever [`on_reject`](Self::on_reject) makes of it.
///
/// Nothing is held in `poll_ready`: the breaker is asked in `call`. While it refuses everything,
/// `poll_ready` answers at once without asking the inner service, and the call that follows is refused
/// even if the breaker closed in between, because the inner service was not asked to be ready.
///
/// # Cost
///
/// A call allocates nothing. A clone of a service allocates once, for a reference count of its own.
///
/// # Examples
///
/// An error type with room for a refusal:
///
/// ```
/// use mainstay_breaker::{Breaker, BreakerError, BreakerLayer};
/// use tower::{ServiceBuilder, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let bank = Breaker::new("bank");
/// let service = ServiceBuilder::new()
///     .layer(BreakerLayer::new(bank))
///     .service(service_fn(|cents: u64| async move { Ok::<_, BreakerError>(cents) }));
/// assert_eq!(tower::ServiceExt::oneshot(service, 7).await, Ok(7));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A service that cannot fail, and a result that can:
///
/// ```
/// use std::convert::Infallible;
/// use mainstay_breaker::{Breaker, BreakerLayer, Outcome};
///
/// let status = |result: Result<&u16, &Infallible>| match result {
///     Ok(500..) => Outcome::Failure,
///     _ => Outcome::Success,
/// };
/// let layer = BreakerLayer::new(Breaker::new("bank"))
///     .classify(status)
///     .on_reject(|_| Ok::<u16, Infallible>(503));
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct BreakerLayer<C = ErrIsFailure, R = IntoError> {
    breaker: Breaker,
    classify: C,
    reject: R,
}

impl BreakerLayer {
    /// Services made by this layer share `breaker`; errors count as failures.
    pub fn new(breaker: Breaker) -> Self {
        Self { breaker, classify: ErrIsFailure, reject: IntoError }
    }
}

impl<C, R> BreakerLayer<C, R> {
    /// Judges results with `classify`, a closure or a value.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> BreakerLayer<D, R> {
        BreakerLayer { breaker: self.breaker, classify, reject: self.reject }
    }

    /// Replaces the result of a refused call, for services whose error type cannot hold a
    /// [`BreakerError`].
    #[must_use]
    pub fn on_reject<F, O>(self, reject: F) -> BreakerLayer<C, With<F>>
    where
        F: Fn(BreakerError) -> O,
    {
        BreakerLayer { breaker: self.breaker, classify: self.classify, reject: With(reject) }
    }
}

impl<S, C: Clone, R: Clone> Layer<S> for BreakerLayer<C, R> {
    type Service = BreakerService<S, C, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let (classify, reject) = (self.classify.clone(), self.reject.clone());
        BreakerService::new(inner, self.breaker.clone(), classify, reject)
    }
}

impl<C, R> fmt::Debug for BreakerLayer<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}
