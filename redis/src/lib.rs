//! The Redis plumbing of the mainstay crates: one pipelined connection that says what is unknown.
//!
//! [`Redis`] is a handle on one connection to one server. A task owns the connection: it writes whatever
//! is queued in one go, hands out the answers, and connects again after a loss. Callers see futures.
//!
//! ```no_run
//! use mainstay_redis::{Redis, Script, redis::cmd};
//!
//! static ADD: Script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
//!
//! # async fn example() -> Result<(), mainstay_redis::RedisError> {
//! let redis = Redis::open("redis://127.0.0.1:6379/")?;
//! redis.call(cmd("SET").arg("visits").arg(1).arg("EX").arg(60).take()).await?;
//! let visits: i64 = redis.eval(&ADD, ["visits"]).arg(41).call().await?.read()?;
//! assert_eq!(visits, 42);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - A command that fails with [`RedisError::Failed`] was never written. One that was written and has no
//!   answer fails with [`RedisError::Unknown`]; so does one whose connection was cut.
//! - Commands are done in the order of their calls. Two exceptions: a script that the server had forgotten
//!   is called again, and may then be overtaken by calls made before its answer came; and callers that go
//!   away before their command was written take it with them.
//! - The order holds across connections: the server closes the old one, and forgets what it carried, before
//!   the first command goes over the new one. (It needs `CLIENT INFO` and `CLIENT KILL`; where an ACL
//!   forbids them a warning is logged and only the order within a connection is left.)
//! - Every call ends within [`RedisConfig::budget`], whatever the server does.
//! - Nothing is ever sent twice, but a call of a script that the server says it has not done.
//! - Time runs on the given [`Clock`]. Payloads, users and passwords are in no `Debug` output and no log.
//!
//! # TLS
//!
//! The scheme of the URL decides: `rediss://` is encrypted (feature `tls`) or refused, and nothing falls back
//! to plain text. Certificates are always checked, by the system's authorities or those of `Tls`; the
//! validity of certificates is the one thing that the system's wall clock decides. A connection that fails for
//! want of trust is [`RedisError::Mistrusted`], with what to do about it.
//!
//! # When the server is down
//!
//! The first attempt to connect again is made at once, and commands wait for it within their budget. Once
//! it has failed, commands fail at once until a later attempt succeeds. Listeners hear
//! [`Push::MayHaveLost`] after every connect.
//!
//! A server that hangs keeps its connection for [`RedisConfig::give_up_after`]: commands time out, and what
//! was written may yet be done, in order.
//!
//! # Cost
//!
//! One connection and one task per [`Redis`], shared by its clones and by all channels. One allocation and
//! one wake-up per command beside the driver's; commands queued at the same time share one write and one
//! read, 128 at most. No timer per command.
//!
//! # Permissions
//!
//! `HELLO`, `CLIENT INFO`, `CLIENT KILL`, `SUBSCRIBE`, `UNSUBSCRIBE`, `EVALSHA`, `SCRIPT LOAD`, and what
//! the scripts call. Redis 6.2 or later.

mod actor;
mod builder;
mod call;
mod config;
mod error;
mod handle;
mod job;
mod join;
mod link;
mod router;
mod script;
mod server;
mod spawn;
mod subscription;
#[cfg(feature = "tls")]
mod tls;

pub use builder::RedisBuilder;
pub use call::{Call, Reply};
pub use config::RedisConfig;
pub use error::{Cause, RedisError};
pub use handle::Redis;
pub use script::{Invocation, Script};
pub use subscription::{Push, Subscription};
#[cfg(feature = "tls")]
pub use tls::Tls;

pub use mainstay_core::{Backoff, Clock, ManualClock, Moment};
/// The driver: its commands and values are part of this crate's interface.
pub use redis;

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
