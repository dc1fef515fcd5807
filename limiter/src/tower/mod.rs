//! A tower layer that lets calls in through a limit.
//!
//! Nothing is taken in `poll_ready`, so services that were made ready and are never called hold
//! nothing. A call that finds room is let in where it is made. Otherwise it waits, as long as the
//! layer says, in the response future; the service that answered ready waits with it, and its
//! place is taken by a clone.
//!
//! The layer keeps the service's own error type. A refusal becomes an error through
//! `From<LimitError>`, or whatever [`LimitLayer::on_reject`] makes of it.
//!
//! # Examples
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use mainstay_limiter::{LimitError, LimitLayer, Limiter, key};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let limiter = Limiter::in_process();
//! let layer = LimitLayer::new(limiter, |channel: &&str| key!("bank:{}", channel))
//!     .wait(Duration::from_millis(200));
//! let service = layer.layer(service_fn(|_: &str| async { Ok::<_, LimitError>("paid") }));
//! assert_eq!(service.oneshot("card").await?, "paid");
//! # Ok::<_, LimitError>(())
//! # }).unwrap();
//! ```

mod future;
mod layer;
mod pick;
mod service;

pub use future::ResponseFuture;
pub use layer::LimitLayer;
pub use pick::{ByBulkhead, ByRequest, Pick};
pub use service::Limited;
