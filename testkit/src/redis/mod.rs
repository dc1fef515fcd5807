//! Redis: single, with Sentinels, and as a Cluster.

mod client;
mod clock;
mod cluster;
mod node;
mod sentinel;
mod single;
mod tls;

pub use self::{
    client::{Reply, command},
    cluster::Cluster,
    sentinel::Sentinel,
    single::Single,
    tls::TlsFiles,
};
use crate::Tool;
pub use crate::shared::redis as shared;

/// What the handles of this module run.
pub(crate) const TOOLS: &[Tool] = &[
    node::SERVER,
    node::SENTINEL,
    #[cfg(target_os = "linux")]
    clock::FAKETIME,
];
