//! Locks that cannot be replicated.

/// Why locks cannot be replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicatedError {
    /// Nothing is replicated to no replica.
    #[error(
        "locks cannot be replicated to 0 replicas; give the number that the primary has, or leave `replicated` out"
    )]
    NoReplicas,
    /// Each of a Cluster's primaries has replicas of its own, and one wait is about one node.
    #[error(
        "locks cannot be replicated in a Cluster, where a wait is about one node of many; keep them on a primary \
         that Sentinels watch (`Redis::sentinel`), or on independent servers (`Locks::quorum`)"
    )]
    Cluster,
}
