//! What is wrong with a server, and what to do about it.

use std::sync::Arc;

/// What is wrong with a server; its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// It is older than what this crate is made for.
    #[error("{server} is Redis {version}, and 6.2 is the oldest that will do: update it")]
    TooOld {
        /// The server's address.
        server: Arc<str>,
        /// Its version.
        version: String,
    },
    /// It drops keys when its memory is full, locks and permits among them.
    #[error(
        "{server} evicts keys by `{policy}` when its memory is full, so locks and permits may vanish: \
         set `maxmemory-policy noeviction`, or use a server of their own"
    )]
    Evicts {
        /// The server's address.
        server: Arc<str>,
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// It has other replicas than are counted on.
    #[error(
        "{server} has {connected} replicas and {expected} are counted on: with fewer, writes that wait for \
         them fail; with more, one that lacks a write may be promoted; correct the number or the servers"
    )]
    Replicas {
        /// The server's address.
        server: Arc<str>,
        /// How many are connected.
        connected: usize,
        /// How many the settings count on.
        expected: usize,
    },
    /// It loses what it acknowledged when it restarts.
    #[error(
        "{server} has no append-only file, so a restart brings it back empty or with old data: set \
         `appendonly yes`, or count on no more than leases that end"
    )]
    NotDurable {
        /// The server's address.
        server: Arc<str>,
    },
    /// It takes no writes.
    #[error("{server} is a replica and takes no writes: name the primary, or its Sentinels")]
    Replica {
        /// The server's address.
        server: Arc<str>,
    },
    /// The user may not do what is needed.
    #[error(
        "{server} does not allow `{command}` ({reason}): grant it to the user of this connection"
    )]
    NotAllowed {
        /// The server's address.
        server: Arc<str>,
        /// The command's name.
        command: String,
        /// The server's words.
        reason: Arc<str>,
    },
}

impl Finding {
    /// The address of the server that it is about.
    pub fn server(&self) -> &str {
        match self {
            Self::TooOld { server, .. }
            | Self::Evicts { server, .. }
            | Self::Replicas { server, .. }
            | Self::NotDurable { server }
            | Self::Replica { server }
            | Self::NotAllowed { server, .. } => server,
        }
    }
}
