//! What every tower layer of the family keeps, as checks that a layer's tests call.
//!
//! A layer takes nothing in `poll_ready`: no permit, no lock, no state that an idle clone keeps. It
//! calls the inner service only after that very service answered ready, and a clone does not carry
//! the readiness of its original. [`Probe`] is the inner service: it panics where a layer breaks
//! the order of calls, and counts everything else.
//!
//! The checks are `async` and need no particular runtime. Each takes a layer and a function that
//! makes a request; the probe answers a request with itself. The probe's error type is the third
//! type argument: the type that the layer's rejection converts into.
//!
//! # Examples
//!
//! ```
//! use std::convert::Infallible;
//! use mainstay_testkit::tower_contract as contract;
//! use tower_layer::Identity;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! contract::keeps_every_contract::<_, u32, Infallible>(&Identity::new(), || 7).await;
//! # });
//! ```

mod checks;
mod probe;

pub use self::{
    checks::{
        asks_before_it_calls, forwards_readiness, holds_nothing_after_drop,
        holds_nothing_while_idle, keeps_every_contract,
    },
    probe::{Probe, ProbeFuture, ProbeHandle},
};
