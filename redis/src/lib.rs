//! The Redis plumbing of the mainstay crates: pipelined connections that say what is unknown.
//!
//! [`Redis`] is a handle on one connection to one server, to the primary that Sentinels name, or on one to each
//! node of a Cluster. A task owns each connection: it writes whatever is queued in one go, hands out the
//! answers, and connects again after a loss. Callers see futures.
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
//! want of trust is [`RedisError::Mistrusted`], with what to do about it. One whose user or password is not accepted
//! is [`RedisError::Denied`]. Both name the server: a Sentinel, a primary, one node of a Cluster.
//!
//! Servers that are found on the way, behind Sentinels or in a Cluster, are spoken to as those that told of them:
//! with the same trust, and encrypted if the URLs are, which is why these must all be `rediss://` or none.
//!
//! # Sentinel
//!
//! [`Redis::sentinel`] asks all Sentinels at once, takes the answer of the highest config-epoch among most of
//! them (or among those that answer), and uses a server only if it says itself that it is a primary. While
//! connected it asks again every half second. What is promised:
//!
//! - A primary is left within half a second, and the budget of one question, of any Sentinel's naming another
//!   one: also one that hangs, or goes on taking writes because it has not heard of the election. What was
//!   written to it and not answered is [`RedisError::Unknown`].
//! - What a demoted primary refuses with `READONLY` was not done; it is done by the next one, in order, if that
//!   is found within the budget.
//! - An epoch once seen, by a Sentinel's word or by [`Redis::saw_epoch`], makes every primary of a lower one
//!   refused, as long as the program runs: also if a Sentinel that missed the election still names it. (Epochs
//!   start again from 0 where an administrator removes and adds a primary at the Sentinels; programs must then
//!   be restarted.)
//! - [`Reply::primary`] says who answered, with its epoch and its run.
//! - A client that can reach an old primary only, and no Sentinel that knows better, does not notice, unless it
//!   [requires a majority](RedisBuilder::require_majority). What it writes is lost when the partition heals.
//!
//! # Cluster
//!
//! [`Redis::cluster`] keeps one connection to each node that serves slots, made when first used, and one to any
//! node, for channels, for commands without keys, and for looking every second who serves what. A command goes
//! to the node of its first key. What is promised above holds for each slot, and besides:
//!
//! - What a node refuses because of where slots are (`MOVED`, `ASK`, `TRYAGAIN`, `CLUSTERDOWN`) was not done,
//!   and goes out again, there or elsewhere, within its budget. If it is spent the refusal is the answer. Calls
//!   that were joined go out again on their own after `TRYAGAIN`: their keys may be on two nodes.
//! - The order of calls of one slot holds across `MOVED`: nothing goes to the new node before the old one has
//!   answered everything. Two exceptions beside the one for scripts: a call that got `TRYAGAIN` or
//!   `CLUSTERDOWN` may be overtaken by others that were on their way, and what a dead node had not answered is
//!   [`RedisError::Unknown`], however its replica goes on.
//! - A node that hangs or is gone holds up its own slots only. They are back when the Cluster has elected a
//!   replica and the next look shows it, or some command runs into it.
//! - Channels are classic ones: nodes tell each other of what is published. A listener hears
//!   [`Push::MayHaveLost`] once its channel is listened to, since others may publish elsewhere before, and
//!   again when another node takes over.
//! - A replica that takes over may lack what its primary had acknowledged, and a primary that is cut off goes on
//!   for the Cluster's node timeout. That is Redis' own limit; a Cluster is no more durable than that.
//! - While a slot migrates, calls with several keys of it are refused unless all of them exist.
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
//! One connection and one task per [`Redis`], shared by its clones and by all channels; with Sentinels one more
//! for each of them; in a Cluster one for each node and two besides, and 256 KiB for the way of each slot. One allocation and
//! one wake-up per command; commands queued at the same time share one write and one read, 32 at most. No timer
//! per command.
//!
//! # Permissions
//!
//! `HELLO`, `CLIENT INFO`, `CLIENT KILL`, `INFO`, `SUBSCRIBE`, `UNSUBSCRIBE`, `EVALSHA`, `SCRIPT LOAD`, and what
//! the scripts call; in a Cluster also `CLUSTER INFO`, `CLUSTER SLOTS`
//! and `PING`; with Sentinels also `ROLE`, and at them `SENTINEL MASTER` and
//! `SENTINEL GET-MASTER-ADDR-BY-NAME`. Redis 6.2 or later.

mod actor;
mod builder;
mod call;
mod check;
mod cluster;
mod config;
mod error;
mod greeting;
mod handle;
mod job;
mod join;
mod lane;
mod link;
mod place;
mod router;
mod script;
mod sentinel;
mod server;
mod socket;
mod spawn;
mod subscription;
mod tell;
#[cfg(feature = "tls")]
mod tls;

pub use builder::RedisBuilder;
pub use call::{Call, Reply};
pub use check::{Check, Finding};
pub use config::RedisConfig;
pub use error::{Cause, RedisError};
pub use handle::Redis;
pub use script::{Invocation, Script};
pub use server::Primary;
pub use subscription::{Push, Subscription};
#[cfg(feature = "tls")]
pub use tls::Tls;

pub use mainstay_core::{Backoff, Clock, ManualClock, Moment};
/// Its commands and values are part of this crate's interface.
pub use redis;

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
