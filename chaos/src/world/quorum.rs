//! Three servers that know nothing of each other, and keep what they answered.

use std::net::SocketAddr;

use mainstay_testkit::redis::command;

use super::single::Single;
use crate::{Result, fault::Fault, plan::Step};

/// Three servers, each with a network of its own.
pub(crate) struct Quorum {
    nodes: Vec<Single>,
}

impl Quorum {
    pub(crate) async fn start(seats: usize) -> Result<Self> {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(Single::start(seats).await?);
        }
        Ok(Self { nodes })
    }

    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Single::addr).collect()
    }

    pub(crate) fn urls(&self, seat: usize) -> Vec<String> {
        self.nodes.iter().flat_map(|node| node.urls(seat)).collect()
    }

    /// A minority is broken at a time.
    pub(crate) async fn strike(&mut self, step: &Step) -> Result<()> {
        let node = self.broken(step)?;
        node.strike(step).await
    }

    pub(crate) async fn mend(&mut self, step: &Step) -> Result<()> {
        let node = self.broken(step)?;
        node.mend(step).await?;
        // The next one is broken only when this one is back.
        if step.fault == Fault::ServerKill {
            command(node.addr(), &["PING"]).await?;
        }
        Ok(())
    }

    fn broken(&mut self, step: &Step) -> Result<&mut Single> {
        let pick = usize::try_from((step.pick >> 8) % NODES as u64)?;
        Ok(&mut self.nodes[pick])
    }
}

const NODES: usize = 3;
