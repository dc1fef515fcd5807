//! Where the locks are kept.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Where the locks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// One server that keeps its data.
    Single,
    /// A primary with two replicas, watched by three Sentinels.
    Sentinel,
    /// The same, and nobody is told of a lock before both replicas have it.
    Replicated,
    /// A Cluster of three primaries, each with a replica.
    Cluster,
    /// A majority of three servers that know nothing of each other.
    Quorum,
}

impl Shape {
    /// Those that a run has unless told: all.
    pub(crate) fn usual() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.expect("no shape is hidden").get_name().to_owned()
    }
}
