//! Where the locks are kept.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Where the locks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// One server that keeps its data.
    Single,
}

impl Shape {
    /// Every shape.
    pub(crate) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.expect("no shape is hidden").get_name().to_owned()
    }
}
