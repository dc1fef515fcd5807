//! Which permit a request needs.

use std::{fmt, time::Duration};

use crate::{Bulkhead, IntoScopes, LimitError, Limiter, PermitRequest, ResolvedScopes};

/// Says which permit a request needs. Implemented by what the constructors of
/// [`LimitLayer`](super::LimitLayer) make.
pub trait Pick<Req>: Clone + sealed::Sealed {
    /// The scopes to ask for.
    #[doc(hidden)]
    fn pick(&self, request: &Req) -> Result<ResolvedScopes, LimitError>;
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody else shall implement it")]
    pub trait Sealed {}
}

/// Asks a limiter for scopes that depend on the request.
#[derive(Clone)]
pub struct ByRequest<F> {
    pub(super) limiter: Limiter,
    pub(super) scopes: F,
}

/// Asks a bulkhead.
#[derive(Clone, Debug)]
pub struct ByBulkhead {
    pub(super) bulkhead: Bulkhead,
}

impl<F> sealed::Sealed for ByRequest<F> {}

impl<F, K, Req> Pick<Req> for ByRequest<F>
where
    F: Fn(&Req) -> K + Clone,
    K: IntoScopes,
{
    fn pick(&self, request: &Req) -> Result<ResolvedScopes, LimitError> {
        self.limiter.scopes((self.scopes)(request))
    }
}

impl sealed::Sealed for ByBulkhead {}

impl<Req> Pick<Req> for ByBulkhead {
    fn pick(&self, _: &Req) -> Result<ResolvedScopes, LimitError> {
        self.bulkhead.resolved().cloned()
    }
}

impl<F> fmt::Debug for ByRequest<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByRequest").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}

/// What a layer adds to every request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    pub(super) wait: Option<Duration>,
    pub(super) permits: Option<u32>,
}

impl Terms {
    #[inline]
    pub(super) fn weight(self) -> u32 {
        self.permits.unwrap_or(1).max(1)
    }

    pub(super) fn request(self, scopes: ResolvedScopes) -> PermitRequest {
        let request = PermitRequest::new(Ok(scopes)).permits(self.weight());
        match self.wait {
            Some(budget) => request.wait(budget),
            None => request,
        }
    }
}
