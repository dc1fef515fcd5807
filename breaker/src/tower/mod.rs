//! A breaker around tower services.

mod future;
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::BreakerLayer;
pub use service::BreakerService;
