//! Decides who gets in.
//!
//! Every scope has a [`Pool`](pool::Pool): one word with the permits that are out, how many may be,
//! and a mark that says somebody waits. A call that needs at most one limited scope, none of them
//! marked, is admitted by compare-and-swap alone. Everything else goes through the [`Engine`], under
//! one mutex: it either takes all scopes of a call or none.
//!
//! A caller that waits is parked at *one* scope, the first that lacks room for it. Scopes that have
//! room are not blocked by it, so a channel that is stuck does not stop its neighbours at the global
//! scope. At the scope where it is parked nobody who came later gets in before it. One that has to
//! move between full scopes again and again has room kept for it, see [`reserve`].
//!
//! This folder names no primitive but those of `crate::sync`, so that its tests can put it, as it
//! is, under a model checker.

mod admit;
mod fast;
mod ids;
mod line;
mod pool;
mod reserve;
mod scope;
mod state;
mod ticket;

pub(crate) use admit::{Ask, Entry, Park};
pub(crate) use pool::UNLIMITED;
pub(crate) use scope::{Scope, ScopeList};
pub(crate) use ticket::Ticket;

use mainstay_core::{Clock, Key};

use crate::sync::Mutex;
use state::State;

/// The slow path: queue, ids and everything that needs several scopes at once.
#[derive(Debug)]
pub(crate) struct Engine {
    clock: Clock,
    /// How many callers may wait in all.
    waiting: usize,
    state: Mutex<State>,
}

/// Why the engine said no, and what it saw.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    /// The scope that said no; the id, if that was what was wrong.
    pub(crate) scope: Key,
    pub(crate) used: u32,
    /// Its limit; `None` if it has none.
    pub(crate) limit: Option<u32>,
    /// How long the queue takes, where that is known.
    pub(crate) estimate: Option<std::time::Duration>,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Full,
    QueueFull,
    TooLate,
    TooWide,
    Closed,
    TimedOut,
    OtherShape,
    ShutDown,
}

impl Cause {
    /// Whether room would not help.
    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Full | Self::QueueFull | Self::TooLate | Self::TimedOut)
    }
}
