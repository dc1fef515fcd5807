//! Where a breaker is found.

use std::sync::Arc;

use crate::{Breaker, Breakers};

/// Something with a breaker: what `with = ..` of the attribute takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no breaker",
    note = "pass a `Breaker`, or implement `HasBreaker` for your type; keyed breakers (`Breakers`) need `key = ..`"
)]
pub trait HasBreaker {
    /// The breaker.
    fn breaker(&self) -> &Breaker;
}

impl HasBreaker for Breaker {
    fn breaker(&self) -> &Breaker {
        self
    }
}

impl<T: HasBreaker + ?Sized> HasBreaker for &T {
    fn breaker(&self) -> &Breaker {
        (**self).breaker()
    }
}

impl<T: HasBreaker + ?Sized> HasBreaker for Arc<T> {
    fn breaker(&self) -> &Breaker {
        (**self).breaker()
    }
}

/// Something with keyed breakers: what `with = ..` of the attribute takes beside `key = ..`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no keyed breakers",
    note = "pass `Breakers`, or implement `HasBreakers` for your type; a single `Breaker` takes no `key = ..`"
)]
pub trait HasBreakers {
    /// The breakers.
    fn breakers(&self) -> &Breakers;
}

impl HasBreakers for Breakers {
    fn breakers(&self) -> &Breakers {
        self
    }
}

impl<T: HasBreakers + ?Sized> HasBreakers for &T {
    fn breakers(&self) -> &Breakers {
        (**self).breakers()
    }
}

impl<T: HasBreakers + ?Sized> HasBreakers for Arc<T> {
    fn breakers(&self) -> &Breakers {
        (**self).breakers()
    }
}
