//! The inbox as a layer.

mod layer;
mod service;

pub use layer::InboxLayer;
pub use service::{InboxService, ServiceBody};
