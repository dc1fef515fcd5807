//! Alone, or beside others of one's kind.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a claim has its lock: alone, or beside others that share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nobody else has the lock: a plain lock, and the writer of a read-write lock.
    #[default]
    Exclusive,
    /// Others may have it in this mode at the same time: a reader of a read-write lock.
    Shared,
}

/// The way it is said in messages.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        })
    }
}
