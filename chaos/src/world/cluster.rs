//! A Cluster of three primaries, each with a replica.

use std::{net::SocketAddr, time::Duration};

use mainstay_testkit::{
    eventually,
    redis::{self, command},
};

use super::{
    network::{mend_all, strike_some},
    single::{break_by_command, mend_by_command},
};
use crate::{Result, fault::Fault, plan::Step};

/// A Cluster of three primaries, each with a replica.
pub(crate) struct Cluster {
    servers: redis::Cluster,
    /// A slot whose primary is changed, and who that was.
    changes: Option<(u16, SocketAddr)>,
}

impl Cluster {
    pub(crate) async fn start() -> Result<Self> {
        Ok(Self { servers: redis::Cluster::start_behind_proxies().await?, changes: None })
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        let proxies = self.servers.proxies().iter();
        proxies.map(|proxy| format!("redis://{}/", proxy.addr())).collect()
    }

    /// The primaries.
    pub(crate) async fn addrs(&self) -> Result<Vec<SocketAddr>> {
        let mut primaries = Vec::new();
        for third in 0..3 {
            primaries.push(self.servers.primary_of(third * 5_461 + 1).await?);
        }
        Ok(primaries)
    }

    /// Whatever the replica that takes over had not got is gone. One that is told to take over waits for it.
    pub(crate) fn is_lossy(fault: Fault) -> bool {
        matches!(fault, Fault::PrimaryKill | Fault::PrimaryStop | Fault::FlushAll)
    }

    pub(crate) async fn strike(&mut self, step: &Step) -> Result<()> {
        let slot = self.slot(step).await?;
        let primary = self.servers.primary_of(slot).await?;
        match step.fault {
            Fault::PrimaryKill => self.changes = Some((slot, self.servers.kill(slot).await?)),
            Fault::PrimaryStop => self.changes = Some((slot, self.servers.pause(slot).await?)),
            Fault::Failover => {
                command(replica_of(primary).await?, &["CLUSTER", "FAILOVER"]).await?;
                self.changes = Some((slot, primary));
            }
            Fault::SlotMoved => self.move_slot(slot, primary).await?,
            // Of the nodes, for whoever is a client or a replica.
            fault if fault.is_of_the_network() => {
                strike_some(self.servers.proxies(), step).await;
            }
            _ => break_by_command(primary, step).await?,
        }
        Ok(())
    }

    pub(crate) async fn mend(&mut self, step: &Step) -> Result<()> {
        if let Some((slot, old)) = self.changes.take() {
            self.servers.primary_after(slot, old, PATIENCE).await?;
            self.servers.resume()?;
            self.servers.restart().await?;
            return Ok(self.servers.healthy().await?);
        }
        if step.fault.is_of_the_network() {
            mend_all(self.servers.proxies()).await;
            // Replicas that were cut off have caught up when the next fault comes.
            return Ok(self.servers.healthy().await?);
        }
        let slot = self.slot(step).await?;
        mend_by_command(self.servers.primary_of(slot).await?, step).await
    }

    /// A slot with locks if there is one now, and otherwise any.
    async fn slot(&self, step: &Step) -> Result<u16> {
        for primary in self.addrs().await? {
            let keys = command(primary, &["KEYS", "*"]).await?;
            let keys: Vec<_> = keys.list().iter().filter_map(|key| key.text()).collect();
            if !keys.is_empty() && step.fault == Fault::SlotMoved {
                let pick = usize::try_from(step.pick % keys.len() as u64)?;
                return Ok(self.servers.slot_of(keys[pick]).await?);
            }
        }
        Ok(u16::try_from(step.pick % 3)? * 5_461 + 1)
    }

    /// Moves a slot key by key, as an operator does: clients are answered `ASK`, `TRYAGAIN`, then `MOVED`.
    async fn move_slot(&self, slot: u16, from: SocketAddr) -> Result<()> {
        let primaries = self.addrs().await?;
        let to = primaries.iter().find(|addr| **addr != from).ok_or("another primary")?;
        let (from_id, to_id) = (id(from).await?, id(*to).await?);
        let slot = slot.to_string();
        command(*to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]).await?;
        command(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]).await?;
        let port = to.port().to_string();
        loop {
            let keys = command(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]).await?;
            if keys.list().is_empty() {
                break;
            }
            for key in keys.list().iter().filter_map(|key| key.text()) {
                command(from, &["MIGRATE", "127.0.0.1", &port, key, "0", "1000"]).await?;
            }
        }
        for node in [*to, from] {
            command(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]).await?;
        }
        Ok(())
    }
}

async fn id(node: SocketAddr) -> Result<String> {
    Ok(command(node, &["CLUSTER", "MYID"]).await?.to_string())
}

async fn replica_of(primary: SocketAddr) -> Result<SocketAddr> {
    let look = || async {
        let role = command(primary, &["ROLE"]).await.map_err(|error| error.to_string())?;
        let replica = role.list().get(2).and_then(|replicas| replicas.list().first());
        let replica = replica.ok_or_else(|| role.to_string())?;
        let field =
            |at: usize| replica.list().get(at).and_then(|part| part.text()).unwrap_or_default();
        format!("{}:{}", field(0), field(1))
            .parse::<SocketAddr>()
            .map_err(|error| error.to_string())
    };
    eventually(PATIENCE, look).await.map_err(|late| late.to_string().into())
}

const PATIENCE: Duration = Duration::from_secs(40);
