//! Locks kept in a Redis.

mod ask;
mod backend;
mod listener;
mod locks;
mod names;
mod plain;
mod quorum;
mod registry;
mod replicated;
mod scripts;
mod server_time;
mod store;
mod wire;

#[cfg(feature = "redis-tls")]
pub use mainstay_redis::Tls;
pub use mainstay_redis::{Redis, RedisBuilder, RedisConfig, RedisError};
pub use plain::PlainRedis;
pub use quorum::{Quorum, QuorumError};
pub use replicated::{Replicated, ReplicatedError};
pub use store::RedisLocks;
