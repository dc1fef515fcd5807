//! Histories of runs in which several processes take part, and checks of them.
//!
//! Each process writes what it does to a file of its own, a line an event, before and after it does
//! it; a process that is killed loses at most the event that it was writing. All read one clock, so
//! that the files can be merged. What the events are is the business of who records them; the checks
//! here know spans and numbers only:
//!
//! - [`crowds`]: where more spans overlap than may. For a lock, spans of belief and a capacity of one:
//!   that no two overlap is the same as being linearizable (the tests compare it with a search through
//!   all orders). For a limit of n, a capacity of n.
//! - [`inversions`]: where a number does not rise although one came surely after the other.

mod order;
mod record;
mod spans;

pub use self::{
    order::{Numbered, inversions},
    record::{Recorder, read},
    spans::{Crowd, Span, crowds},
};
