//! The servers of a shape: how clients reach them, and how they are broken.

mod network;
mod single;

use mainstay_core::Clock;
use mainstay_lock::{Locks, Redis};
use mainstay_testkit::redis::command;

use self::single::Single;
use crate::{Result, plan::Step, shape::Shape};

/// The servers of a run.
pub(crate) enum World {
    Single(Single),
}

impl World {
    /// Starts the servers of `shape`, with a network for so many seats.
    pub(crate) async fn start(shape: Shape, seats: usize) -> Result<Self> {
        Ok(match shape {
            Shape::Single => Self::Single(Single::start(seats).await?),
        })
    }

    /// Where a client in `seat` connects to.
    pub(crate) fn urls(&self, seat: usize) -> Vec<String> {
        match self {
            Self::Single(world) => world.urls(seat),
        }
    }

    /// Whether grants are expected to be lost by a step.
    pub(crate) fn is_lossy(&self, step: &Step) -> bool {
        match self {
            Self::Single(_) => Single::is_lossy(step.fault),
        }
    }

    /// Breaks something.
    pub(crate) async fn strike(&mut self, step: &Step) -> Result<()> {
        match self {
            Self::Single(world) => world.strike(step).await,
        }
    }

    /// Mends it.
    pub(crate) async fn mend(&mut self, step: &Step) -> Result<()> {
        match self {
            Self::Single(world) => world.mend(step).await,
        }
    }

    /// Every key on the servers that is not one of those that may outlive its lock for a moment.
    pub(crate) async fn leftovers(&self) -> Result<Vec<String>> {
        let servers = match self {
            Self::Single(world) => vec![world.addr()],
        };
        let mut left = Vec::new();
        for server in servers {
            let keys = command(server, &["KEYS", "*"]).await?;
            for key in keys.list().iter().filter_map(|key| key.text()) {
                let mortal = command(server, &["PTTL", key]).await?.to_string() != "-1";
                // A tombstone lives until the server's clock has caught up with its fence.
                if !mortal || !key.ends_with(":fence") {
                    left.push(key.to_owned());
                }
            }
        }
        Ok(left)
    }
}

/// The locks of a client.
pub(crate) fn locks(shape: Shape, urls: &[String]) -> Result<Locks> {
    let builder = Locks::builder().clock(Clock::boot());
    match shape {
        Shape::Single => {
            let redis = Redis::builder(&urls[0])?.budget(BUDGET).build()?;
            Ok(builder.redis(redis))
        }
    }
}

/// Patience of clients: shorter than most faults, so that there are unknown outcomes.
const BUDGET: std::time::Duration = std::time::Duration::from_millis(400);
