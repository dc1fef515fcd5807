//! What the crates cost, beside the libraries that do the same.
//!
//! Both sides of a comparison run in one process, in turns, round after round; what is compared is
//! the median over the rounds of what was measured side by side in each. A call is paid for in CPU
//! time of its thread, which a busy neighbour disturbs less than the clock on the wall.

pub mod groups;
pub mod harness;
pub mod report;
