//! What can be broken.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What can be broken.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
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
    /// `CLIENT PAUSE` of whatever writes: a primary that others find alive answers no request for a lock.
    WritesFrozen,
    /// `REPLICAOF` of a primary that is not there: writes are answered `READONLY`.
    ReadOnly,
    /// `maxmemory` is reached: writes are answered `OOM`.
    OutOfMemory,
    /// The network of some clients is slow.
    Delay,
    /// The network of some clients delivers nothing, in one direction or both.
    BlackHole,
    /// Requests of some clients arrive, and no answer does.
    Unanswered,
    /// The connections of some clients end with RST.
    Reset,
    /// Some clients cannot connect, and are cut.
    Refuse,
    /// The primary is killed, and comes back believing to be one.
    PrimaryKill,
    /// The primary is stopped until another took over, and goes on believing to be one.
    PrimaryStop,
    /// The Sentinels, or a replica in a Cluster, are told to make another one primary.
    Failover,
    /// The primary, one replica and half of the clients on one side, the other replica, the Sentinels and
    /// the other half on the other: a write of the old primary is confirmed by a replica, and lost.
    Split,
    /// The primary and half of the clients on one side, both replicas, the Sentinels and the other half on the
    /// other: the old primary reports no replica that it could wait for.
    Alone,
    /// A replica stops for a while.
    ReplicaStop,
    /// A slot moves to another node, key by key.
    SlotMoved,
}

impl Fault {
    /// Whether it breaks the network between clients and whomever they connect to first.
    pub(crate) fn is_of_the_network(self) -> bool {
        matches!(
            self,
            Self::Delay | Self::BlackHole | Self::Unanswered | Self::Reset | Self::Refuse
        )
    }

    /// Whether another server is primary after it.
    pub(crate) fn is_failover(self) -> bool {
        matches!(
            self,
            Self::PrimaryKill | Self::PrimaryStop | Self::Failover | Self::Split | Self::Alone
        )
    }
}
