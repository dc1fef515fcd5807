//! What is written to the history.

use mainstay_core::Clock;
use serde::{Deserialize, Serialize};

use crate::{fault::Fault, shape::Shape};

/// Something that a client or the driver did, saw or was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When, in nanoseconds of the machine's boot clock, which all processes share.
    pub(crate) at: u64,
    /// Which client; the driver is 0. A client that was killed and started again has another number.
    pub(crate) client: u32,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What happened. `op` is one request for a lock and all that followed from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    // A client's.
    /// A lock is about to be asked for, to share it if it reads; wait and lease in milliseconds.
    Asked { op: u64, key: String, reads: bool, wait: u64, lease: u64 },
    /// It was granted, and the guard says that it is held until then.
    Granted { op: u64, fence: i64, until: u64 },
    /// The guard says that it is held until then, by now.
    Holds { op: u64, until: u64 },
    /// The same scope asked again and was given the same hold.
    Nested { op: u64, fence: i64 },
    /// It was held elsewhere; after a wait, or at once where none was asked for.
    Refused { op: u64 },
    /// The backend did not do it.
    Failed { op: u64, error: String },
    /// Nobody knows whether it was done.
    Unknown { op: u64, error: String },
    /// The future was dropped before it was done.
    Dropped { op: u64 },
    /// The guard is about to be released or dropped: the client believes no longer.
    Leaves { op: u64 },
    /// What became of the release; if the lock was lost before, why.
    Left { op: u64, outcome: Left, reason: Option<String> },
    /// The guard said that the lock is lost.
    Lost { op: u64, reason: String },
    /// A write under the fence is about to be sent to the store.
    Writes { op: u64 },
    /// The store took it, or refused its fence.
    Wrote { op: u64, accepted: bool },
    /// Nobody knows whether the store took it.
    WroteUnknown { op: u64, error: String },
    /// The client did what it had begun, and ends.
    Done,

    // The driver's.
    /// A run on servers of its own begins.
    Began { seed: u64, shape: Shape },
    /// Something is about to be broken; `lossy` if grants are expected to be lost by it.
    Strikes { number: u64, fault: Fault, lossy: bool },
    /// It is mended.
    Mended { number: u64 },
    /// A client is about to be killed.
    Kills { victim: u32 },
    /// A client is about to be stopped.
    Stops { victim: u32 },
    /// It goes on.
    Continued { victim: u32 },
    /// The Sentinels have another primary, or the same anew; `lossy` if grants are expected to be lost by it.
    Elected { epoch: u64, primary: String, lossy: bool },
    /// Nothing will be broken any more.
    Calm,
    /// A client did not end when told to.
    Stuck { victim: u32, log: String },
    /// What was found on the servers after everybody had left.
    Leftovers { keys: Vec<String> },
    /// What the guarded counter of a key came to.
    Counter { key: String, value: i64 },
}

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Left {
    Released,
    AlreadyLost,
    Unknown,
}

/// The clock of the history.
pub(crate) fn now() -> u64 {
    Clock::boot().now().as_nanos()
}
