//! Work that happens once per key.

mod claim;
mod external;
mod request;

pub use claim::{Claim, ClaimToken, Stored};
pub use external::{ErrIsUnknown, ExternalRun};
pub use request::{IdempotentPlan, IdempotentRequest};
