use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{
    client::command,
    node,
    tls::{TlsFiles, encrypted},
};
use crate::{
    KitError, Server, eventually,
    lease::{Port, StartSlot},
    proxy::Proxy,
    workspace::Workspace,
};

const SLOTS: u32 = 16_384;
const PRIMARIES: usize = 3;
/// For six nodes to know each other on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three primaries that share the slots, each with one replica.
///
/// A node that does not answer for one second counts as down, and its replica takes over.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    /// In front of the nodes, in their order, if clients go through them.
    proxies: Vec<Proxy>,
}

/// How others reach the nodes.
#[derive(Clone, Copy)]
enum Reach<'a> {
    Plainly,
    Encrypted(&'a TlsFiles<'a>),
    ThroughProxies,
}

impl Cluster {
    /// Starts six nodes and waits until each knows that all slots are served and replicated.
    ///
    /// # Errors
    ///
    /// When `redis-server` is not installed, does not start, or the nodes do not find each other.
    pub async fn start() -> Result<Self, KitError> {
        Self::with(Reach::Plainly).await
    }

    /// Starts six nodes that name [proxies](Self::proxies) in the place of their own ports, so that clients go
    /// through them; and so do replicas to their primaries. Among themselves the nodes speak directly: who counts as
    /// down does not depend on the proxies.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_behind_proxies() -> Result<Self, KitError> {
        Self::with(Reach::ThroughProxies).await
    }

    /// Starts six nodes that speak TLS among themselves, and to whoever comes to their encrypted ports.
    ///
    /// The plain ports stay, for looking at them from outside.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and when `redis-server` cannot use the certificates.
    pub async fn start_tls(tls: &TlsFiles<'_>) -> Result<Self, KitError> {
        Self::with(Reach::Encrypted(tls)).await
    }

    async fn with(reach: Reach<'_>) -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let (mut nodes, mut buses, mut proxies) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..2 * PRIMARIES {
            let port = Port::free()?;
            let mut announces = String::new();
            if let Reach::ThroughProxies = reach {
                let proxy = Proxy::to((Ipv4Addr::LOCALHOST, port.number()).into()).await?;
                announces = announced(&proxy, &port);
                proxies.push(proxy);
            }
            let (node, bus) = Self::node(&workspace, port, reach, &announces)?;
            nodes.push(node);
            buses.push(bus);
        }
        for node in &mut nodes {
            node.launch()?;
        }
        for node in &mut nodes {
            node.ready().await?;
        }
        let cluster = Self { nodes, proxies };
        cluster.form(&buses).await?;
        Ok(cluster)
    }

    /// A node, and the port on which its peers speak to it.
    fn node(
        workspace: &Arc<Workspace>,
        port: Port,
        reach: Reach<'_>,
        announces: &str,
    ) -> Result<(Server, u16), KitError> {
        let settings = format!(
            "cluster-enabled yes\n\
             cluster-config-file nodes.conf\n\
             cluster-node-timeout 1000\n\
             cluster-replica-validity-factor 0\n\
             {announces}"
        );
        let Reach::Encrypted(tls) = reach else {
            // Where the bus listens unless told.
            let bus = port.bus();
            return Ok((node::node(workspace, port, &settings)?, bus));
        };
        let bus = Port::free()?;
        let number = bus.number();
        let own = tls.settings(workspace, &port)?;
        let settings = format!("{settings}tls-cluster yes\ntls-replication yes\n{own}");
        Ok((node::node_with_bus(workspace, [port, bus], &settings)?, number))
    }

    /// Makes one Cluster of six nodes that do not know each other.
    async fn form(&self, buses: &[u16]) -> Result<(), KitError> {
        let addrs = self.addrs();
        for (index, addr) in addrs.iter().enumerate() {
            let epoch = (index + 1).to_string();
            command(*addr, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await?;
        }
        for (index, addr) in addrs[..PRIMARIES].iter().enumerate() {
            let slots: Vec<_> = share(index).map(|slot| slot.to_string()).collect();
            let mut args = vec!["CLUSTER", "ADDSLOTS"];
            args.extend(slots.iter().map(String::as_str));
            command(*addr, &args).await?;
        }
        for (addr, bus) in addrs.iter().zip(buses).skip(1) {
            let (port, bus) = (addr.port().to_string(), bus.to_string());
            command(addrs[0], &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
        }
        for addr in &addrs {
            knows_everybody(*addr, addrs.len()).await?;
        }
        for (primary, replica) in addrs[..PRIMARIES].iter().zip(&addrs[PRIMARIES..]) {
            let id = command(*primary, &["CLUSTER", "MYID"]).await?.to_string();
            command(*replica, &["CLUSTER", "REPLICATE", &id]).await?;
        }
        self.healthy().await
    }

    /// Waits until every running node serves all slots and every replica is in sync.
    ///
    /// # Errors
    ///
    /// When that does not happen within a minute.
    pub async fn healthy(&self) -> Result<(), KitError> {
        for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
            eventually(PATIENCE, || serves(node.addr()))
                .await
                .map_err(|late| late.while_waiting_for("a healthy cluster"))?;
        }
        Ok(())
    }

    /// Where the nodes listen, the first primaries first; their roles change.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Server::addr).collect()
    }

    /// The URL of each node.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let urls = self.nodes.iter().map(|node| format!("redis://{}/", node.addr()));
        urls.collect()
    }

    /// The URL of each node's encrypted port, if it has one.
    #[must_use]
    pub fn tls_urls(&self) -> Vec<String> {
        self.addrs().into_iter().map(|addr| format!("rediss://{}/", encrypted(addr))).collect()
    }

    /// All six nodes.
    pub fn nodes(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// The slot that a key lives in.
    ///
    /// # Errors
    ///
    /// When no node answers.
    pub async fn slot_of(&self, key: &str) -> Result<u16, KitError> {
        let reply = command(self.anybody()?, &["CLUSTER", "KEYSLOT", key]).await?;
        let slot = reply.to_string().parse();
        slot.map_err(|_| KitError::answer("the cluster", reply))
    }

    /// The node that serves `slot`, in the words of the first node that runs and is not paused.
    ///
    /// # Errors
    ///
    /// When no node answers or none serves the slot.
    pub async fn primary_of(&self, slot: u16) -> Result<SocketAddr, KitError> {
        let table = command(self.anybody()?, &["CLUSTER", "NODES"]).await?;
        let owner = owner(&table.to_string(), slot);
        owner.map(|addr| self.own(addr)).ok_or_else(|| KitError::answer("the cluster", table))
    }

    /// The own address of a node that others name.
    fn own(&self, named: SocketAddr) -> SocketAddr {
        let proxy = self.proxies.iter().find(|proxy| proxy.addr() == named);
        proxy.map_or(named, Proxy::target)
    }

    /// Waits until another node than `old` serves `slot`.
    ///
    /// # Errors
    ///
    /// When that does not happen within `deadline`.
    pub async fn primary_after(
        &self,
        slot: u16,
        old: SocketAddr,
        deadline: Duration,
    ) -> Result<SocketAddr, KitError> {
        eventually(deadline, || async {
            let new = self.primary_of(slot).await?;
            let info = command(new, &["CLUSTER", "INFO"]).await?;
            if new != old && info.field("cluster_state") == Some("ok") {
                Ok(new)
            } else {
                Err(KitError::answer(new, info))
            }
        })
        .await
        .map_err(|late| late.while_waiting_for(format!("a new primary of slot {slot}")))
    }

    /// Kills the node that serves `slot` (SIGKILL) and returns where it was.
    ///
    /// # Errors
    ///
    /// When no node answers or none serves the slot.
    pub async fn kill(&mut self, slot: u16) -> Result<SocketAddr, KitError> {
        let primary = self.primary_of(slot).await?;
        self.node_at(primary)?.kill().await?;
        Ok(primary)
    }

    /// Stops the node that serves `slot` (SIGSTOP) and returns where it is.
    ///
    /// # Errors
    ///
    /// When no node answers or none serves the slot.
    pub async fn pause(&mut self, slot: u16) -> Result<SocketAddr, KitError> {
        let primary = self.primary_of(slot).await?;
        self.node_at(primary)?.pause()?;
        Ok(primary)
    }

    /// Lets every paused node go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// Never, as it stands: killed nodes are left out.
    pub fn resume(&self) -> Result<(), KitError> {
        let mut running = self.nodes.iter().filter(|node| node.pid().is_some());
        running.try_for_each(Server::resume)
    }

    /// Starts every killed node again, on its port, and waits until the Cluster is healthy.
    ///
    /// # Errors
    ///
    /// When one does not start, or the Cluster does not heal.
    pub async fn restart(&mut self) -> Result<(), KitError> {
        let killed = self.nodes.iter_mut().filter(|node| node.pid().is_none());
        for node in killed {
            node.start().await?;
        }
        self.healthy().await
    }

    /// The proxies in front of the nodes, in the order of [`addrs`](Self::addrs), if it was started with them.
    #[must_use]
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// A proxy in front of the first node: a seed for clients, who learn the nodes' own addresses from it.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn proxy(&self) -> Result<Proxy, KitError> {
        self.nodes[0].proxy().await
    }

    fn anybody(&self) -> Result<SocketAddr, KitError> {
        let mut nodes = self.nodes.iter();
        nodes
            .find(|node| node.is_awake())
            .map(Server::addr)
            .ok_or_else(|| KitError::answer("the cluster", "every node was killed or paused"))
    }

    fn node_at(&mut self, addr: SocketAddr) -> Result<&mut Server, KitError> {
        let mut nodes = self.nodes.iter_mut();
        nodes
            .find(|node| node.addr() == addr)
            .ok_or_else(|| KitError::answer(addr, "no node listens there"))
    }
}

/// What a node says of itself if others are to come through a proxy.
fn announced(proxy: &Proxy, port: &Port) -> String {
    let (proxy, bus) = (proxy.addr().port(), port.bus());
    format!(
        "cluster-announce-ip 127.0.0.1\ncluster-announce-port {proxy}\ncluster-announce-bus-port {bus}\n"
    )
}

/// The slots of the primary with this index.
fn share(index: usize) -> std::ops::Range<u32> {
    let primaries = PRIMARIES as u32;
    let index = index as u32;
    SLOTS * index / primaries..SLOTS * (index + 1) / primaries
}

async fn knows_everybody(node: SocketAddr, count: usize) -> Result<(), KitError> {
    eventually(PATIENCE, || async {
        let table = command(node, &["CLUSTER", "NODES"]).await?;
        let text = table.to_string();
        let met = text.lines().filter(|line| !line.contains("handshake"));
        if met.count() == count { Ok(()) } else { Err(KitError::answer(node, table)) }
    })
    .await
    .map_err(|late| late.while_waiting_for("nodes that know each other"))
}

/// One look at whether a node serves all slots and, as a replica, is in sync.
async fn serves(node: SocketAddr) -> Result<(), KitError> {
    let info = command(node, &["CLUSTER", "INFO"]).await?;
    let all = SLOTS.to_string();
    if info.field("cluster_state") != Some("ok") || info.field("cluster_slots_ok") != Some(&all) {
        return Err(KitError::answer(node, info));
    }
    let info = command(node, &["INFO", "replication"]).await?;
    let well = match info.field("role") {
        Some("master") => info.field("connected_slaves") != Some("0"),
        _ => info.field("master_link_status") == Some("up"),
    };
    well.then_some(()).ok_or_else(|| KitError::answer(node, info))
}

/// The primary of `slot` in a table of CLUSTER NODES.
fn owner(table: &str, slot: u16) -> Option<SocketAddr> {
    table.lines().find_map(|line| {
        // id addr@bus flags primary ping pong epoch link slots..
        let fields: Vec<_> = line.split(' ').collect();
        let mut slots = fields.get(8..)?.iter().filter_map(|part| range(part));
        slots.find(|range| range.contains(&slot))?;
        fields[1].split('@').next()?.parse().ok()
    })
}

fn range(part: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (from, to) = part.split_once('-').unwrap_or((part, part));
    Some(from.parse().ok()?..=to.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primaries_share_every_slot_once() {
        let all: Vec<_> = (0..PRIMARIES).flat_map(share).collect();
        assert_eq!(all, (0..SLOTS).collect::<Vec<_>>());
    }

    #[test]
    fn the_owner_of_a_slot_is_read_from_the_table() {
        let table = "a 127.0.0.1:1@2 master - 0 0 1 connected 0-99 200\n\
                     b 127.0.0.1:3@4 slave a 0 0 1 connected\n";
        assert_eq!(owner(table, 200), Some("127.0.0.1:1".parse().unwrap()));
        assert_eq!(owner(table, 150), None);
    }
}
