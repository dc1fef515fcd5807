//! One server that keeps its data, in ways to break it.

use std::net::SocketAddr;

use mainstay_testkit::redis::{self, command};

use super::network::Network;
use crate::{Result, fault::Fault, plan::Step};

/// One server.
pub(crate) struct Single {
    server: redis::Single,
    network: Network,
}

impl Single {
    pub(crate) async fn start(seats: usize) -> Result<Self> {
        let server = redis::Single::start_durable().await?;
        let network = Network::to(server.addr(), seats).await?;
        Ok(Self { server, network })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    pub(crate) fn urls(&self, seat: usize) -> Vec<String> {
        vec![format!("redis://{}/", self.network.addr(seat))]
    }

    pub(crate) fn is_lossy(fault: Fault) -> bool {
        matches!(fault, Fault::FlushAll | Fault::ServerEmpty)
    }

    pub(crate) async fn strike(&mut self, step: &Step) -> Result<()> {
        match step.fault {
            Fault::ServerKill => {
                self.load_slowly().await?;
                self.server.kill().await?;
            }
            Fault::ServerEmpty => self.server.restart_empty().await?,
            Fault::ServerStop => self.server.pause()?,
            fault if fault.is_of_the_network() => self.network.strike(step).await,
            _ => break_by_command(self.addr(), step).await?,
        }
        Ok(())
    }

    pub(crate) async fn mend(&mut self, step: &Step) -> Result<()> {
        match step.fault {
            Fault::ServerKill => {
                self.server.restart().await?;
                // The next load starts from what there is now.
                command(self.addr(), &["BGREWRITEAOF"]).await?;
            }
            Fault::ServerStop => self.server.resume()?,
            fault if fault.is_of_the_network() => self.network.mend().await,
            _ => mend_by_command(self.addr(), step).await?,
        }
        Ok(())
    }

    /// Has the next start answer `LOADING` for about half a second.
    async fn load_slowly(&self) -> Result<()> {
        let info = command(self.addr(), &["INFO", "persistence"]).await?;
        let bytes: u64 = info.field("aof_current_size").unwrap_or("0").parse()?;
        let delay = (LOADING_MICROS / (bytes / COMMAND_BYTES).max(1)).min(LONGEST_DELAY);
        let delay = delay.to_string();
        command(self.addr(), &["CONFIG", "SET", "key-load-delay", &delay]).await?;
        command(self.addr(), &["CONFIG", "REWRITE"]).await?;
        Ok(())
    }
}

/// What a server can be told that breaks it.
pub(crate) async fn break_by_command(server: SocketAddr, step: &Step) -> Result<()> {
    let pause = step.lasts.as_millis().to_string();
    let commands: &[&[&str]] = match step.fault {
        Fault::ConnectionsKilled => {
            &[&["CLIENT", "KILL", "TYPE", "normal"], &["CLIENT", "KILL", "TYPE", "pubsub"]]
        }
        Fault::ScriptFlush => &[&["SCRIPT", "FLUSH"]],
        Fault::FlushAll => &[&["FLUSHALL"]],
        Fault::Frozen => &[&["CLIENT", "PAUSE", &pause, "ALL"]],
        Fault::WritesFrozen => &[&["CLIENT", "PAUSE", &pause, "WRITE"]],
        Fault::ReadOnly => &[&["REPLICAOF", "127.0.0.1", "1"]],
        Fault::OutOfMemory => &[&["CONFIG", "SET", "maxmemory", "1"]],
        _ => &[],
    };
    for args in commands {
        command(server, args).await?;
    }
    Ok(())
}

pub(crate) async fn mend_by_command(server: SocketAddr, step: &Step) -> Result<()> {
    let args: &[&str] = match step.fault {
        Fault::ReadOnly => &["REPLICAOF", "NO", "ONE"],
        Fault::OutOfMemory => &["CONFIG", "SET", "maxmemory", "0"],
        _ => return Ok(()),
    };
    command(server, args).await?;
    Ok(())
}

/// How long loading should take.
const LOADING_MICROS: u64 = 500_000;
/// A guess at the size of a command in the append-only file.
const COMMAND_BYTES: u64 = 150;
/// Microseconds a command.
const LONGEST_DELAY: u64 = 2_000;
