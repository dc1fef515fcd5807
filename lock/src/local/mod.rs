//! Helpers of one process: a mutex for each key, calls that are shared, work in order.
//!
//! They know nothing of leases, fences and other processes, which makes them small. What is to hold
//! between processes is a matter for [`Locks`](crate::Locks).
//!
//! | | one at a time a key | first come, first served | what happens on a drop | memory |
//! |---|---|---|---|---|
//! | [`KeyedMutex`] | yes | yes | a waiter leaves, a guard unlocks | names in use |
//! | [`SingleFlight`] | one call, shared by all who ask meanwhile | the first runs, the next takes over | the next one's call runs | names in flight |
//! | [`KeyedExecutor`] | yes | yes | a job that was accepted runs all the same | bounded |

mod executor;
mod flight;
mod mutex;

pub use executor::{JobError, KeyedExecutor, Leftover, Refused, Submitted};
pub use flight::{Once, SingleFlight};
pub use mutex::{KeyedGuard, KeyedMutex};
