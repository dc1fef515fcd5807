//! What can be broken.

use serde::{Deserialize, Serialize};

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// A client is stopped for longer than its leases, and goes on as if nothing had been.
    ClientStop,
    /// A client is killed; another takes its seat.
    ClientKill,
    /// A server is killed and comes back with its data, answering `LOADING` at first.
    ServerKill,
    /// A server stops for a while.
    ServerStop,
    /// A server is killed and comes back with nothing.
    ServerEmpty,
    /// `CLIENT KILL` of every connection, those that listen among them.
    ConnectionsKilled,
    /// `SCRIPT FLUSH`.
    ScriptFlush,
    /// `FLUSHALL`.
    FlushAll,
    /// `CLIENT PAUSE`: connections are taken and nothing is answered.
    Frozen,
    /// `REPLICAOF` of a primary that is not there: writes are answered `READONLY`.
    ReadOnly,
    /// `maxmemory` is reached: writes are answered `OOM`.
    OutOfMemory,
    /// The network of some clients is slow.
    Delay,
    /// The network of some clients delivers nothing, in one direction or both.
    BlackHole,
    /// The connections of some clients end with RST.
    Reset,
    /// Some clients cannot connect, and are cut.
    Refuse,
}
