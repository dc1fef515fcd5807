//! What the small examples share: their one argument.
#![allow(dead_code, reason = "each example uses what it needs")]

use std::error::Error;

use clap::Parser;
use mainstay::lock::Locks;

pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[derive(Parser)]
struct Args {
    /// Keep everything in this Redis instead of in the process
    #[arg(long)]
    redis: Option<String>,
}

/// The Redis that was asked for.
pub(crate) fn redis() -> Option<String> {
    Args::parse().redis
}

/// Locks in that Redis, or in the process.
pub(crate) fn locks(redis: Option<&str>) -> Result<Locks> {
    match redis {
        None => Ok(Locks::in_process()),
        #[cfg(feature = "redis")]
        Some(url) => Ok(Locks::redis(url)?),
        #[cfg(not(feature = "redis"))]
        Some(_) => Err("add `--features redis` for locks on a Redis".into()),
    }
}
