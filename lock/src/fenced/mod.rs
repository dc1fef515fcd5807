//! Checking fences where it counts: in the store, together with the write.

mod error;
#[cfg(feature = "fence-sqlx")]
mod sql;
#[cfg(feature = "redis")]
mod store;

pub use error::FenceError;
#[cfg(feature = "fence-sqlx")]
pub use sql::*;
#[cfg(feature = "redis")]
pub use store::{FencedStore, FencedValue};

use crate::fence::Fence;

/// Refuses a number that no lock grants: it would pass where nothing was written yet.
fn granted(resource: &str, fence: Fence) -> Result<(), FenceError> {
    if fence.is_granted() {
        return Ok(());
    }
    Err(FenceError::NotGranted { resource: resource.to_owned(), fence })
}
