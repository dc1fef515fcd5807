use std::time::Duration;

use mainstay_core::{IntoError, With};
use tower_layer::Layer;

use super::{
    pick::{ByBulkhead, ByRequest, Terms},
    service::Limited,
};
use crate::{Bulkhead, IntoScopes, LimitError, Limiter};

/// Lets calls in through a [`Limiter`] or a [`Bulkhead`].
///
/// # Fairness
///
/// Calls that wait are let in in the order they were made, in one queue with the callers of the
/// handle's methods.
///
/// # Cost
///
/// No allocation for a call that finds room in resolved scopes; the inner future is stored in place.
#[derive(Clone, Debug)]
pub struct LimitLayer<P, R = IntoError> {
    pick: P,
    reject: R,
    terms: Terms,
}

impl<F> LimitLayer<ByRequest<F>> {
    /// Guards services with `limiter`; `scopes` says which scopes a request needs.
    pub fn new<Req, K>(limiter: Limiter, scopes: F) -> Self
    where
        F: Fn(&Req) -> K + Clone,
        K: IntoScopes,
    {
        Self::with(ByRequest { limiter, scopes })
    }
}

impl LimitLayer<ByBulkhead> {
    /// Guards services with `bulkhead`. Work inside a call is inside its slot.
    pub fn bulkhead(bulkhead: Bulkhead) -> Self {
        Self::with(ByBulkhead { bulkhead })
    }
}

impl<P> LimitLayer<P> {
    fn with(pick: P) -> Self {
        Self { pick, reject: IntoError, terms: Terms::default() }
    }
}

impl<P, R> LimitLayer<P, R> {
    /// How long a call waits for room.
    #[must_use]
    pub fn wait(mut self, budget: Duration) -> Self {
        self.terms.wait = Some(budget);
        self
    }

    /// How many permits a call counts for.
    #[must_use]
    pub fn permits(mut self, weight: u32) -> Self {
        self.terms.permits = Some(weight);
        self
    }

    /// Replaces the result of a refused call, for services whose error type cannot hold a
    /// [`LimitError`].
    #[must_use]
    pub fn on_reject<G, O>(self, reject: G) -> LimitLayer<P, With<G>>
    where
        G: Fn(LimitError) -> O + Clone,
    {
        LimitLayer { pick: self.pick, reject: With(reject), terms: self.terms }
    }
}

impl<S, P: Clone, R: Clone> Layer<S> for LimitLayer<P, R> {
    type Service = Limited<S, P, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Limited { inner, pick: self.pick.clone(), reject: self.reject.clone(), terms: self.terms }
    }
}
