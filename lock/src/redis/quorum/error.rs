//! Nodes that are no quorum.

/// Why some nodes cannot make a quorum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// With fewer than three nodes there is no majority that survives the loss of one.
    #[error(
        "{nodes} nodes are no quorum: give 3, or 5 to survive the loss of two; one server is `Locks::redis`"
    )]
    TooFew {
        /// How many were given.
        nodes: usize,
    },
    /// A Cluster is one store on many servers, and a failover of it forgets votes.
    #[error(
        "node {node} is a Cluster, and a quorum is made of single servers; give a server of its own for each node,          or keep the locks in the Cluster with `Locks::builder().redis(..)`"
    )]
    Cluster {
        /// Which one, counted from 0.
        node: usize,
    },
    /// An even number needs one more node for its majority and survives no more losses.
    #[error(
        "{nodes} nodes survive the loss of no more than {} do; leave one out, or add one",
        .nodes - 1
    )]
    Even {
        /// How many were given.
        nodes: usize,
    },
}
