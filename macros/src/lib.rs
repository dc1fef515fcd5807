//! Attributes of the mainstay crates.
//!
//! Use them through the crate whose handle they need: `mainstay_lock::lock`, `mainstay_limiter::limit`,
//! `mainstay_breaker::breaker`, `mainstay_outbox::idempotent` and `mainstay_outbox::transactional`.

mod args;
mod closure;
mod duration;
mod expand;
mod function;
mod kind;
mod order;
mod request;
mod suggest;
mod syntax;
mod template;

use proc_macro::TokenStream;

use kind::{Kind, Via};

fn expand(kind: Kind, via: Via, args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(kind, via, &args.into(), item.into()).into()
}

#[doc = include_str!("../docs/lock.md")]
#[proc_macro_attribute]
pub fn lock(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Lock, Via::Owner, args, item)
}

#[doc = include_str!("../docs/limit.md")]
#[proc_macro_attribute]
pub fn limit(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Limit, Via::Owner, args, item)
}

#[doc = include_str!("../docs/breaker.md")]
#[proc_macro_attribute]
pub fn breaker(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Breaker, Via::Owner, args, item)
}

#[doc = include_str!("../docs/idempotent.md")]
#[proc_macro_attribute]
pub fn idempotent(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Idempotent, Via::Owner, args, item)
}

#[doc = include_str!("../docs/transactional.md")]
#[proc_macro_attribute]
pub fn transactional(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Transactional, Via::Owner, args, item)
}

/// `lock` for users of the facade: names go through `::mainstay::lock`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn facade_lock(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Lock, Via::Facade, args, item)
}

/// `limit` for users of the facade: names go through `::mainstay::limiter`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn facade_limit(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Limit, Via::Facade, args, item)
}

/// `breaker` for users of the facade: names go through `::mainstay::breaker`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn facade_breaker(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Breaker, Via::Facade, args, item)
}

/// `idempotent` for users of the facade: names go through `::mainstay::outbox`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn facade_idempotent(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Idempotent, Via::Facade, args, item)
}

/// `transactional` for users of the facade: names go through `::mainstay::outbox`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn facade_transactional(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Transactional, Via::Facade, args, item)
}
