//! A primary with two replicas, which Sentinels watch.

use std::{net::SocketAddr, time::Duration};

use fastrand::Rng;
use mainstay_core::Clock;
use mainstay_testkit::{
    eventually,
    redis::{self, command},
};

use super::{
    elections::Elections,
    network::{Network, mend_all, strike_some},
    single::{break_by_command, mend_by_command},
};
use crate::{Result, fault::Fault, plan::Step};

/// A primary with two replicas, which Sentinels watch.
pub(crate) struct Sentinel {
    servers: redis::Sentinel,
    /// Between the clients and each of the Sentinels.
    networks: Vec<Network>,
    /// How many replicas have a lock before anybody is told of it.
    replicas: u32,
    /// Who must follow the new primary when the fault is over, the old primary first.
    old: Vec<SocketAddr>,
}

impl Sentinel {
    pub(crate) async fn start(seats: usize, replicas: u32) -> Result<Self> {
        let servers = redis::Sentinel::start_behind_proxies().await?;
        let mut networks = Vec::new();
        for addr in servers.addrs() {
            networks.push(Network::to(addr, seats).await?);
        }
        Ok(Self { servers, networks, replicas, old: Vec::new() })
    }

    /// Every server that may have keys.
    pub(crate) async fn addrs(&self) -> Result<Vec<SocketAddr>> {
        Ok(vec![self.servers.primary().await?])
    }

    pub(crate) fn urls(&self, seat: usize) -> Vec<String> {
        self.networks.iter().map(|network| format!("redis://{}/", network.addr(seat))).collect()
    }

    /// Whatever the replica that takes over had not got is gone, and the old primary may grant until it is told.
    /// Unless all replicas have what anybody is told of.
    pub(crate) fn is_lossy(&self, fault: Fault) -> bool {
        fault == Fault::FlushAll || (fault.is_failover() && self.loses_in_elections())
    }

    fn loses_in_elections(&self) -> bool {
        self.replicas < REPLICAS
    }

    pub(crate) fn elections(&self) -> Elections {
        let (sentinels, name) = (self.servers.addrs().to_vec(), self.servers.name().to_owned());
        Elections::watch(sentinels, name, self.loses_in_elections())
    }

    pub(crate) async fn strike(&mut self, step: &Step) -> Result<()> {
        let primary = self.servers.primary().await?;
        match step.fault {
            Fault::PrimaryKill => self.old = vec![self.servers.kill().await?],
            Fault::PrimaryStop => self.old = vec![self.servers.pause().await?],
            Fault::Failover => {
                self.ask_for_failover().await?;
                self.old = vec![primary];
            }
            Fault::Split => {
                // The old primary keeps a replica and half of the clients, who do not hear of the new one.
                self.networks.iter().for_each(Network::cut_half);
                self.old = self.servers.split().await?.to_vec();
            }
            Fault::Alone => {
                self.networks.iter().for_each(Network::cut_half);
                self.old = vec![self.servers.isolate().await?];
            }
            Fault::ReplicaStop => self.replica(step, primary)?.pause()?,
            fault if fault.is_of_the_network() && of_servers(step) => {
                // A primary that nobody reaches for long enough is replaced.
                strike_some(self.servers.proxies(), step).await;
            }
            fault if fault.is_of_the_network() => {
                for network in &self.networks {
                    network.strike(step).await;
                }
            }
            _ => break_by_command(primary, step).await?,
        }
        Ok(())
    }

    pub(crate) async fn mend(&mut self, step: &Step) -> Result<()> {
        let old = std::mem::take(&mut self.old);
        if let Some(primary) = old.first() {
            self.servers.primary_after(*primary, PATIENCE).await?;
            self.servers.resume()?;
            self.servers.restart().await?;
            if step.fault != Fault::Failover {
                // It believes to be primary, and may for a while.
                let while_two = Duration::from_millis(Rng::with_seed(step.pick).u64(0..1_500));
                Clock::boot().sleep(while_two).await;
            }
            self.servers.join().await?;
            self.follow(old).await?;
            self.mend_networks().await;
            self.in_sync().await?;
            return Ok(self.servers.settled(PATIENCE).await?);
        }
        self.mend_networks().await;
        self.servers.resume()?;
        if step.fault.is_of_the_network() && of_servers(step) {
            mend_all(self.servers.proxies()).await;
            self.servers.settled(PATIENCE).await?;
            // One that was replaced would go on as a primary for ten seconds.
            let all = self.servers.nodes().iter().map(|node| node.addr()).collect();
            self.follow(all).await?;
            self.in_sync().await?;
            return Ok(self.servers.settled(PATIENCE).await?);
        }
        mend_by_command(self.servers.primary().await?, step).await
    }

    /// Has these follow whoever is primary now.
    async fn follow(&self, others: Vec<SocketAddr>) -> Result<()> {
        let new = self.servers.primary().await?;
        let port = self.servers.named(new).port().to_string();
        for addr in others.into_iter().filter(|addr| *addr != new) {
            command(addr, &["REPLICAOF", "127.0.0.1", &port]).await?;
        }
        Ok(())
    }

    async fn mend_networks(&self) {
        for network in &self.networks {
            network.mend().await;
        }
    }

    /// Waits until the primary has both of its replicas. Which one that is may change once more meanwhile: a
    /// Sentinel that cannot reach a new primary at once has another one elected.
    async fn in_sync(&self) -> Result<()> {
        let both = || async {
            let primary = self.servers.primary().await.map_err(|error| error.to_string())?;
            let info = command(primary, &["INFO", "replication"]).await;
            let info = info.map_err(|error| error.to_string())?.to_string();
            if info.matches("state=online").count() == 2 { Ok(()) } else { Err(info) }
        };
        eventually(PATIENCE, both).await.map_err(|late| late.to_string())?;
        Ok(())
    }

    /// After another fault it takes the Sentinels a moment to see a replica that is fit.
    async fn ask_for_failover(&self) -> Result<()> {
        let (sentinel, name) = (self.servers.addrs()[0], self.servers.name());
        let args = ["SENTINEL", "FAILOVER", name];
        let ask = || command(sentinel, &args);
        eventually(PATIENCE, ask).await.map_err(|late| late.to_string())?;
        Ok(())
    }

    fn replica(
        &mut self,
        step: &Step,
        primary: SocketAddr,
    ) -> Result<&mut mainstay_testkit::Server> {
        let nodes = self.servers.nodes().iter_mut();
        let replicas: Vec<_> = nodes.filter(|node| node.addr() != primary).collect();
        let pick = usize::try_from(step.pick % replicas.len().max(1) as u64)?;
        replicas.into_iter().nth(pick).ok_or_else(|| "there is no replica".into())
    }
}

/// Whether it strikes the servers' part of the network, and not that of clients to the Sentinels.
fn of_servers(step: &Step) -> bool {
    step.pick % 2 == 1
}

/// Of the test kit's primary.
pub(super) const REPLICAS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(40);
