//! The receiving side: handlers, their inbox, and the in-process bus.

mod bus;
mod delivery;
mod error;
mod inbox;
mod router;

pub use bus::Bus;
pub use delivery::{Delivery, Incoming};
pub use error::HandlerError;
pub(crate) use inbox::panic_text;
pub use inbox::{Handled, Inbox, InboxPlan, WithDelivery};
pub use router::Router;
