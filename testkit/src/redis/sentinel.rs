use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{
    client::{Reply, command},
    node,
    tls::{TlsFiles, encrypted},
};
use crate::{
    KitError, Server, eventually,
    lease::{Port, StartSlot},
    proxy::Proxy,
    workspace::Workspace,
};

/// What the Sentinels call the primary.
const NAME: &str = "kit";
/// The user of the Sentinels.
const WATCHER: &str = "watcher";
/// Of users that only tell connections apart.
const SECRET: &str = "kit";
/// For a replica to have its first sync, or the Sentinels to agree.
const PATIENCE: Duration = Duration::from_secs(30);

/// A primary with two replicas, watched by three Sentinels of which two must agree.
///
/// A primary that does not answer for one second is replaced. One that comes back later stays a
/// primary, and takes writes that will be lost, until the Sentinels tell it, about ten seconds after.
#[derive(Debug)]
pub struct Sentinel {
    nodes: [Server; 3],
    sentinels: [Server; 3],
    /// What they call the nodes.
    names: [SocketAddr; 3],
    /// In front of the nodes, if others go through them.
    proxies: Option<[Proxy; 3]>,
}

/// How others reach the nodes.
#[derive(Clone, Copy)]
enum Reach<'a> {
    Plainly,
    Encrypted(&'a TlsFiles<'a>),
    ThroughProxies(&'a [Proxy; 3]),
}

impl Sentinel {
    /// Starts all six and waits until the replicas are in sync and the Sentinels know everybody.
    ///
    /// # Errors
    ///
    /// When `redis-server` or `redis-sentinel` is not installed or does not start.
    pub async fn start() -> Result<Self, KitError> {
        Self::with(Ports::free()?, None, None).await
    }

    /// Starts six of which the nodes are reached through [proxies](Self::proxies), by clients, Sentinels and replicas
    /// alike: one whose proxy delivers nothing counts as down.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_behind_proxies() -> Result<Self, KitError> {
        let ports = Ports::free()?;
        let [primary, first, second] = ports.0.each_ref().map(|port| addr_of(port.number()));
        let proxies =
            [Proxy::to(primary).await?, Proxy::to(first).await?, Proxy::to(second).await?];
        Self::with(ports, None, Some(proxies)).await
    }

    /// Starts six that speak TLS to each other, and to whoever comes to their encrypted ports.
    ///
    /// The plain ports stay, for looking at them from outside, and where an address is returned it is the
    /// plain one.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and when they cannot use the certificates.
    pub async fn start_tls(tls: &TlsFiles<'_>) -> Result<Self, KitError> {
        Self::with(Ports::free()?, Some(tls), None).await
    }

    async fn with(
        ports: Ports,
        tls: Option<&TlsFiles<'_>>,
        proxies: Option<[Proxy; 3]>,
    ) -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let reach = match (tls, &proxies) {
            (Some(tls), _) => Reach::Encrypted(tls),
            (None, Some(proxies)) => Reach::ThroughProxies(proxies),
            (None, None) => Reach::Plainly,
        };
        let names = reach.names(&ports);
        let mut nodes = Self::make_nodes(&workspace, ports, reach)?;
        for server in &mut nodes {
            server.launch()?;
        }
        for server in &mut nodes {
            server.ready().await?;
        }
        // Sentinels that start before the replicas are in sync may refuse to promote them.
        for replica in &nodes[1..] {
            in_sync(replica.addr()).await?;
        }
        let mut sentinels = Self::make_sentinels(&workspace, names, tls)?;
        for server in &mut sentinels {
            server.launch()?;
        }
        for server in &mut sentinels {
            server.ready().await?;
            agree(server.addr()).await?;
        }
        Ok(Self { nodes, sentinels, names, proxies })
    }

    fn make_nodes(
        workspace: &Arc<Workspace>,
        ports: Ports,
        reach: Reach<'_>,
    ) -> Result<[Server; 3], KitError> {
        let (names, users) = (reach.names(&ports), users(ports.0.each_ref().map(Port::number)));
        let node = |port: Port, name: SocketAddr, role: &str| {
            let me = follower(port.number());
            let own = match reach {
                Reach::Plainly => String::new(),
                Reach::Encrypted(tls) => settings_for(Some(tls), workspace, &port)?,
                Reach::ThroughProxies(_) => {
                    let announced = name.port();
                    format!("replica-announce-ip 127.0.0.1\nreplica-announce-port {announced}\n")
                }
            };
            let settings = format!("{users}masteruser {me}\nmasterauth {SECRET}\n{role}{own}");
            node::node(workspace, port, &settings)
        };
        let [primary, first, second] = ports.0;
        let follow = format!("replicaof 127.0.0.1 {}\n", names[0].port());
        let primary = node(primary, names[0], "")?;
        Ok([primary, node(first, names[1], &follow)?, node(second, names[2], &follow)?])
    }

    /// The Sentinels are told of the replicas and of each other, as their own rewritten
    /// configuration tells them after a restart: finding out takes them ten seconds.
    fn make_sentinels(
        workspace: &Arc<Workspace>,
        names: [SocketAddr; 3],
        tls: Option<&TlsFiles<'_>>,
    ) -> Result<[Server; 3], KitError> {
        let ports = [Port::free()?, Port::free()?, Port::free()?];
        let spoken = |port: u16| if tls.is_some() { Port::bus_of(port) } else { port };
        let numbers = ports.each_ref().map(Port::number);
        let id = |number: u16| format!("{number:040x}");
        let [primary, replicas @ ..] = names;
        let mut shared = format!(
            "sentinel monitor {NAME} 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 5000\n\
             sentinel parallel-syncs {NAME} 2\n\
             sentinel auth-user {NAME} {WATCHER}\n\
             sentinel auth-pass {NAME} {SECRET}\n",
            primary.port()
        );
        for replica in replicas {
            let port = replica.port();
            shared += &format!("sentinel known-replica {NAME} 127.0.0.1 {port}\n");
        }
        let start = |port: Port| {
            let me = port.number();
            let own = settings_for(tls, workspace, &port)?;
            let mut settings = format!("{own}sentinel myid {}\n{shared}", id(me));
            for other in numbers.into_iter().filter(|other| *other != me) {
                let (port, id) = (spoken(other), id(other));
                settings += &format!("sentinel known-sentinel {NAME} 127.0.0.1 {port} {id}\n");
            }
            node::sentinel(workspace, port, &settings)
        };
        let [first, second, third] = ports;
        Ok([start(first)?, start(second)?, start(third)?])
    }

    /// What the Sentinels call the primary.
    #[must_use]
    pub fn name(&self) -> &str {
        NAME
    }

    /// Where the Sentinels listen.
    #[must_use]
    pub fn addrs(&self) -> [SocketAddr; 3] {
        self.sentinels.each_ref().map(Server::addr)
    }

    /// The URL of each Sentinel.
    #[must_use]
    pub fn urls(&self) -> [String; 3] {
        self.addrs().map(|addr| format!("redis://{addr}/"))
    }

    /// The URL of each Sentinel's encrypted port, if it has one.
    #[must_use]
    pub fn tls_urls(&self) -> [String; 3] {
        self.addrs().map(|addr| format!("rediss://{}/", encrypted(addr)))
    }

    /// The primary and the replicas, in the order in which they were made; their roles change.
    pub fn nodes(&mut self) -> &mut [Server; 3] {
        &mut self.nodes
    }

    /// The Sentinels.
    pub fn sentinels(&mut self) -> &mut [Server; 3] {
        &mut self.sentinels
    }

    /// The primary that the Sentinels name now, reachable or not.
    ///
    /// # Errors
    ///
    /// When no Sentinel answers.
    pub async fn primary(&self) -> Result<SocketAddr, KitError> {
        let mut last = KitError::answer("the Sentinels", "none is left");
        for sentinel in &self.sentinels {
            match named_by(sentinel.addr()).await {
                Ok(primary) => return Ok(self.plain(primary)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Waits until the Sentinels name another primary than `old`, and it takes writes.
    ///
    /// # Errors
    ///
    /// When that does not happen within `deadline`.
    pub async fn primary_after(
        &self,
        old: SocketAddr,
        deadline: Duration,
    ) -> Result<SocketAddr, KitError> {
        eventually(deadline, || async {
            let new = self.primary().await?;
            let role = command(new, &["ROLE"]).await?;
            let master = role.list().first().and_then(|role| role.text()) == Some("master");
            if new != old && master {
                Ok(new)
            } else {
                Err(KitError::answer(new, format!("it is the old primary, or {role}")))
            }
        })
        .await
        .map_err(|late| late.while_waiting_for("a new primary"))
    }

    /// Waits until all Sentinels name the same primary, of the same epoch, and no failover is under way.
    ///
    /// Another one may have begun an election of its own before it heard how the last one ended: then the
    /// primary changes once more.
    ///
    /// # Errors
    ///
    /// When that does not happen within `deadline`.
    pub async fn settled(&self, deadline: Duration) -> Result<(), KitError> {
        eventually(deadline, || async {
            let mut views = Vec::new();
            for sentinel in self.addrs() {
                let view = command(sentinel, &["SENTINEL", "MASTER", NAME]).await?;
                views.push(view_of(&view).ok_or_else(|| KitError::answer(sentinel, view))?);
            }
            let calm = views.iter().all(|view| *view == views[0] && view.flags == "master");
            calm.then_some(())
                .ok_or_else(|| KitError::answer("the Sentinels", format!("{views:?}")))
        })
        .await
        .map_err(|late| late.while_waiting_for("Sentinels that agree"))
    }

    /// Kills the primary (SIGKILL) and returns where it was.
    ///
    /// # Errors
    ///
    /// When no Sentinel answers.
    pub async fn kill(&mut self) -> Result<SocketAddr, KitError> {
        let primary = self.primary().await?;
        self.node(primary)?.kill().await?;
        Ok(primary)
    }

    /// Stops the primary (SIGSTOP) and returns where it is.
    ///
    /// # Errors
    ///
    /// When no Sentinel answers.
    pub async fn pause(&mut self) -> Result<SocketAddr, KitError> {
        let primary = self.primary().await?;
        self.node(primary)?.pause()?;
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

    /// Starts every killed process again, on its port, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When one does not start.
    pub async fn restart(&mut self) -> Result<(), KitError> {
        let all = self.nodes.iter_mut().chain(&mut self.sentinels);
        for server in all.filter(|server| server.pid().is_none()) {
            server.start().await?;
        }
        Ok(())
    }

    /// Splits the network: the primary and one replica on one side, the other replica and the Sentinels on
    /// the other. Returns the two that are cut off, the primary first.
    ///
    /// The other replica becomes primary soon; the old one goes on, and its replica confirms what it
    /// writes. Clients are not cut off: put proxies before the Sentinels for those that shall not hear of it.
    ///
    /// # Errors
    ///
    /// When a node does not answer.
    pub async fn split(&self) -> Result<[SocketAddr; 2], KitError> {
        let primary = self.primary().await?;
        let mut others = self.nodes.iter().map(Server::addr).filter(|addr| *addr != primary);
        let (Some(companion), Some(outsider)) = (others.next(), others.next()) else {
            return Err(KitError::answer(primary, "no node of ours"));
        };
        for addr in [primary, companion] {
            // Who watches and who follows have users of their own: nothing else tells their connections apart.
            lock_out(addr, WATCHER).await?;
            lock_out(addr, &follower(outsider.port())).await?;
        }
        Ok([primary, companion])
    }

    /// Cuts the primary off from its replicas and the Sentinels; returns where it is.
    ///
    /// It goes on, and reports that it has no replica. Clients are not cut off, as with [`split`](Self::split).
    ///
    /// # Errors
    ///
    /// When a node does not answer.
    pub async fn isolate(&self) -> Result<SocketAddr, KitError> {
        let primary = self.primary().await?;
        lock_out(primary, WATCHER).await?;
        for other in self.nodes.iter().map(Server::addr).filter(|addr| *addr != primary) {
            lock_out(primary, &follower(other.port())).await?;
        }
        Ok(primary)
    }

    /// Joins what was split. The old primary believes to be one until the Sentinels tell it.
    ///
    /// # Errors
    ///
    /// When a node does not answer.
    pub async fn join(&self) -> Result<(), KitError> {
        for node in &self.nodes {
            let followers = self.nodes.iter().map(|node| follower(node.addr().port()));
            for user in followers.chain([WATCHER.to_owned()]) {
                command(node.addr(), &["ACL", "SETUSER", &user, "+@all"]).await?;
            }
        }
        Ok(())
    }

    /// A proxy in front of the node that is primary now; it does not follow a failover.
    ///
    /// # Errors
    ///
    /// When no Sentinel answers or no port is free.
    pub async fn proxy(&self) -> Result<Proxy, KitError> {
        Proxy::to(self.primary().await?).await
    }

    /// The proxies in front of the nodes, in the order of [`nodes`](Self::nodes), if it was started with them.
    #[must_use]
    pub fn proxies(&self) -> &[Proxy] {
        self.proxies.as_ref().map_or(&[], |proxies| proxies)
    }

    /// Where others reach a node: its proxy or its encrypted port, if it has one.
    #[must_use]
    pub fn named(&self, addr: SocketAddr) -> SocketAddr {
        let at = self.nodes.iter().position(|node| node.addr() == addr);
        at.map_or(addr, |at| self.names[at])
    }

    /// The plain port of a node that the Sentinels name.
    fn plain(&self, named: SocketAddr) -> SocketAddr {
        let at = self.names.iter().position(|name| *name == named);
        at.map_or(named, |at| self.nodes[at].addr())
    }

    /// The node at `addr`.
    fn node(&mut self, addr: SocketAddr) -> Result<&mut Server, KitError> {
        let mut nodes = self.nodes.iter_mut();
        nodes
            .find(|node| node.addr() == addr)
            .ok_or_else(|| KitError::answer(addr, "no node listens there"))
    }
}

/// Of a primary and its replicas.
struct Ports([Port; 3]);

impl Ports {
    fn free() -> Result<Self, KitError> {
        Ok(Self([Port::free()?, Port::free()?, Port::free()?]))
    }
}

impl Reach<'_> {
    /// What others call the nodes.
    fn names(self, ports: &Ports) -> [SocketAddr; 3] {
        let plain = ports.0.each_ref().map(|port| addr_of(port.number()));
        match self {
            Self::Plainly => plain,
            Self::Encrypted(_) => plain.map(encrypted),
            Self::ThroughProxies(proxies) => proxies.each_ref().map(Proxy::addr),
        }
    }
}

fn addr_of(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// What a node or a Sentinel is told of TLS.
fn settings_for(
    tls: Option<&TlsFiles<'_>>,
    workspace: &Workspace,
    port: &Port,
) -> Result<String, KitError> {
    tls.map_or(Ok(String::new()), |tls| {
        Ok(format!("tls-replication yes\n{}", tls.settings(workspace, port)?))
    })
}

/// The users as which nodes and Sentinels speak to each other; clients need none.
fn users(nodes: [u16; 3]) -> String {
    let names = nodes.map(follower).into_iter().chain([WATCHER.to_owned()]);
    names.map(|name| format!("user {name} on >{SECRET} ~* &* +@all\n")).collect()
}

fn follower(port: u16) -> String {
    format!("follower-{port}")
}

/// Takes everything from a user, a ping too. A user that cannot log in would go on as the default one.
async fn lock_out(node: SocketAddr, user: &str) -> Result<(), KitError> {
    command(node, &["ACL", "SETUSER", user, "-@all"]).await?;
    command(node, &["CLIENT", "KILL", "USER", user]).await?;
    Ok(())
}

/// What a Sentinel says of the primary.
#[derive(Debug, PartialEq, Eq)]
struct View {
    primary: SocketAddr,
    epoch: u64,
    flags: String,
}

/// Reads the answer to `SENTINEL MASTER`: names and values in turn.
fn view_of(answer: &Reply) -> Option<View> {
    let words: Vec<_> = answer.list().iter().filter_map(Reply::text).collect();
    let field = |name| words.chunks(2).find_map(|pair| (pair[0] == name).then(|| pair.get(1)))?;
    Some(View {
        primary: parse_addr([*field("ip")?, field("port")?].into_iter())?,
        epoch: field("config-epoch")?.parse().ok()?,
        flags: (*field("flags")?).to_owned(),
    })
}

/// The primary, in the words of one Sentinel.
async fn named_by(sentinel: SocketAddr) -> Result<SocketAddr, KitError> {
    let reply = command(sentinel, &["SENTINEL", "get-master-addr-by-name", NAME]).await?;
    parse_addr(reply.list().iter().filter_map(|part| part.text()))
        .ok_or_else(|| KitError::answer(sentinel, reply))
}

fn parse_addr<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<SocketAddr> {
    let ip: IpAddr = parts.next()?.parse().ok()?;
    Some((ip, parts.next()?.parse().ok()?).into())
}

async fn in_sync(replica: SocketAddr) -> Result<(), KitError> {
    eventually(PATIENCE, || async {
        let info = command(replica, &["INFO", "replication"]).await?;
        match info.field("master_link_status") {
            Some("up") => Ok(()),
            _ => Err(KitError::answer(replica, info)),
        }
    })
    .await
    .map_err(|late| late.while_waiting_for("a replica in sync"))
}

/// Waits until a Sentinel says that the quorum for a failover is there and both replicas are well.
async fn agree(sentinel: SocketAddr) -> Result<(), KitError> {
    eventually(PATIENCE, || async {
        command(sentinel, &["SENTINEL", "ckquorum", NAME]).await?;
        let info = command(sentinel, &["INFO", "sentinel"]).await?;
        if info.to_string().contains("status=ok")
            && info.to_string().contains("slaves=2,sentinels=3")
        {
            Ok(())
        } else {
            Err(KitError::answer(sentinel, info))
        }
    })
    .await
    .map_err(|late| late.while_waiting_for("Sentinels that agree"))
}
