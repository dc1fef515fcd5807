//! The servers of a shape: how clients reach them, and how they are broken.

mod cluster;
mod elections;
mod network;
mod quorum;
mod sentinel;
mod single;

use std::{net::SocketAddr, time::Duration};

use mainstay_core::Clock;
use mainstay_lock::{Locks, Quorum as QuorumOf, Redis, RedisLocks};
use mainstay_testkit::redis::command;

pub(crate) use self::elections::Elections;
use self::{
    cluster::Cluster,
    quorum::Quorum,
    sentinel::{REPLICAS, Sentinel},
    single::Single,
};
use crate::{Result, plan::Step, shape::Shape};

/// The servers of a run.
pub(crate) enum World {
    Single(Box<Single>),
    Sentinel(Box<Sentinel>),
    Cluster(Cluster),
    Quorum(Quorum),
}

impl World {
    /// Starts the servers of `shape`, with a network for so many seats.
    pub(crate) async fn start(shape: Shape, seats: usize) -> Result<Self> {
        Ok(match shape {
            Shape::Single => Self::Single(Box::new(Single::start(seats).await?)),
            Shape::Sentinel => Self::Sentinel(Box::new(Sentinel::start(seats, 0).await?)),
            Shape::Replicated => Self::Sentinel(Box::new(Sentinel::start(seats, REPLICAS).await?)),
            Shape::Cluster => Self::Cluster(Cluster::start().await?),
            Shape::Quorum => Self::Quorum(Quorum::start(seats).await?),
        })
    }

    /// Where a client in `seat` connects to.
    pub(crate) fn urls(&self, seat: usize) -> Vec<String> {
        match self {
            Self::Single(world) => world.urls(seat),
            Self::Sentinel(world) => world.urls(seat),
            Self::Cluster(world) => world.urls(),
            Self::Quorum(world) => world.urls(seat),
        }
    }

    /// Whether grants are expected to be lost by a step.
    pub(crate) fn is_lossy(&self, step: &Step) -> bool {
        match self {
            Self::Single(_) => Single::is_lossy(step.fault),
            Self::Sentinel(world) => world.is_lossy(step.fault),
            Self::Cluster(_) => Cluster::is_lossy(step.fault),
            Self::Quorum(_) => false,
        }
    }

    /// Breaks something.
    pub(crate) async fn strike(&mut self, step: &Step) -> Result<()> {
        match self {
            Self::Single(world) => world.strike(step).await,
            Self::Sentinel(world) => world.strike(step).await,
            Self::Cluster(world) => world.strike(step).await,
            Self::Quorum(world) => world.strike(step).await,
        }
    }

    /// Mends it.
    pub(crate) async fn mend(&mut self, step: &Step) -> Result<()> {
        match self {
            Self::Single(world) => world.mend(step).await,
            Self::Sentinel(world) => world.mend(step).await,
            Self::Cluster(world) => world.mend(step).await,
            Self::Quorum(world) => world.mend(step).await,
        }
    }

    /// Notes elections from now on, where Sentinels elect.
    pub(crate) fn elections(&self) -> Option<Elections> {
        match self {
            Self::Sentinel(world) => Some(world.elections()),
            Self::Single(_) | Self::Cluster(_) | Self::Quorum(_) => None,
        }
    }

    /// Every key on the servers that keeps a lock or a place in its queue, or that would stay for ever.
    pub(crate) async fn leftovers(&self) -> Result<Vec<String>> {
        let servers = match self {
            Self::Single(world) => vec![world.addr()],
            Self::Sentinel(world) => world.addrs().await?,
            Self::Cluster(world) => world.addrs().await?,
            Self::Quorum(world) => world.addrs(),
        };
        let mut left = Vec::new();
        for server in servers {
            let keys = command(server, &["KEYS", "*"]).await?;
            for key in keys.list().iter().filter_map(|key| key.text()) {
                if !is_tombstone(server, key).await? {
                    left.push(key.to_owned());
                }
            }
        }
        Ok(left)
    }
}

/// A record that lives until the server's clock has caught up with the fence in it, and nobody holds.
async fn is_tombstone(server: SocketAddr, key: &str) -> Result<bool> {
    let mortal = command(server, &["PTTL", key]).await?.to_string() != "-1";
    if key.ends_with(":fence") {
        return Ok(mortal);
    }
    let Ok(record) = command(server, &["GET", key]).await else { return Ok(false) };
    let record = record.to_string();
    let time = command(server, &["TIME"]).await?;
    let seconds = time.list().first().map_or("0".to_owned(), ToString::to_string);
    // `#fence`, or `!until ..` in microseconds, which is over.
    let until =
        record.strip_prefix('!').and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let over = until.is_some_and(|until| until / 1_000_000 < seconds.parse().unwrap_or(0));
    Ok(mortal && (record.starts_with('#') || over || record == "(nil)"))
}

/// The locks of a client.
pub(crate) fn locks(shape: Shape, urls: &[String]) -> Result<Locks> {
    let builder = Locks::builder().clock(Clock::boot());
    let open = |url: &String| Redis::builder(url)?.budget(BUDGET).build();
    let watched = || Redis::sentinel(urls, "kit")?.budget(BUDGET).build();
    Ok(match shape {
        Shape::Single => builder.redis(open(&urls[0])?),
        Shape::Sentinel => builder.redis(watched()?),
        Shape::Replicated => {
            builder.backend(RedisLocks::new(watched()?).replicated(REPLICAS, BUDGET)?)
        }
        Shape::Cluster => builder.redis(Redis::cluster(urls)?.budget(BUDGET).build()?),
        Shape::Quorum => {
            let nodes: Vec<_> = urls.iter().map(open).collect::<std::result::Result<_, _>>()?;
            builder.backend(QuorumOf::new(nodes)?.durable_nodes())
        }
    })
}

/// Patience of clients: shorter than most faults, so that there are unknown outcomes.
const BUDGET: Duration = Duration::from_millis(400);
