//! Real servers, faults and contracts for the tests of mainstay.
//!
//! - [`cancel`]: drops a future at every await that it has. Always there, needs no dependency.
//! - `tower_contract` (feature `tower`): what every tower layer of the family keeps.
//! - [`history`] (feature `history`): what several processes did, in files, and checks of it.
//! - feature `servers`: Redis (single, Sentinel, Cluster), PostgreSQL, MariaDB, RabbitMQ and NATS
//!   JetStream as real processes that a test may kill, pause and restart, a TCP proxy that breaks
//!   connections on request, and `eventually` to wait for what a server does in its own time.
//!
//! Servers take free ports and temporary directories of their own, so any number of tests may run
//! at once. They end with their handle, and at the latest with the process that started them,
//! however that process ends.

pub mod cancel;

#[cfg(feature = "tower")]
pub mod tower_contract;

#[cfg(feature = "servers")]
mod error;
#[cfg(feature = "servers")]
mod eventually;
#[cfg(feature = "servers")]
mod kind;
#[cfg(feature = "servers")]
mod lease;
#[cfg(feature = "servers")]
mod probe;
#[cfg(feature = "servers")]
mod process;
#[cfg(feature = "servers")]
mod server;
#[cfg(feature = "servers")]
mod spawn;
#[cfg(feature = "servers")]
mod time;
#[cfg(feature = "servers")]
mod tool;
#[cfg(feature = "servers")]
mod worker;
#[cfg(feature = "servers")]
mod workspace;

#[cfg(feature = "history")]
pub mod history;

#[cfg(feature = "servers")]
pub mod mariadb;
#[cfg(feature = "servers")]
pub mod nats;
#[cfg(feature = "servers")]
pub mod postgres;
#[cfg(feature = "servers")]
pub mod proxy;
#[cfg(feature = "servers")]
pub mod rabbitmq;
#[cfg(feature = "servers")]
pub mod redis;
#[cfg(feature = "servers")]
pub mod shared;

#[cfg(feature = "servers")]
pub use self::{
    error::KitError,
    eventually::{TimedOut, Verdict, eventually},
    kind::{Kind, Running},
    server::Server,
    tool::{Tool, find},
    worker::Worker,
    workspace::unique,
};
