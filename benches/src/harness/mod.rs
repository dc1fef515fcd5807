//! Measuring.

pub mod calls;
pub mod effort;
pub mod parker;
pub mod runs;
pub mod side;
pub mod table;
mod time;

pub use calls::Calls;
pub use effort::Effort;
pub use parker::Parker;
pub use runs::{RunSide, Runs};
pub use side::{Side, Whose, Work};
pub use table::{Column, Row, Samples, Table};
pub use time::{process_cpu, thread_cpu, wall};
