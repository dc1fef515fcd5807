//! Calls of a tower service under a lock.

mod call;
mod layer;
mod service;

pub use call::ResponseFuture;
pub use layer::LockLayer;
pub use service::Locked;
