use std::{
    net::{IpAddr, SocketAddr},
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
    /// They speak TLS to each other, and name each other's encrypted ports.
    encrypted: bool,
}

impl Sentinel {
    /// Starts all six and waits until the replicas are in sync and the Sentinels know everybody.
    ///
    /// # Errors
    ///
    /// When `redis-server` or `redis-sentinel` is not installed or does not start.
    pub async fn start() -> Result<Self, KitError> {
        Self::with(None).await
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
        Self::with(Some(tls)).await
    }

    async fn with(tls: Option<&TlsFiles<'_>>) -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let mut nodes = Self::make_nodes(&workspace, tls)?;
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
        let mut sentinels = Self::make_sentinels(&workspace, &nodes, tls)?;
        for server in &mut sentinels {
            server.launch()?;
        }
        for server in &mut sentinels {
            server.ready().await?;
            agree(server.addr()).await?;
        }
        Ok(Self { nodes, sentinels, encrypted: tls.is_some() })
    }

    fn make_nodes(
        workspace: &Arc<Workspace>,
        tls: Option<&TlsFiles<'_>>,
    ) -> Result<[Server; 3], KitError> {
        let ports = [Port::free()?, Port::free()?, Port::free()?];
        let numbers = ports.each_ref().map(Port::number);
        let users = users(numbers);
        let [primary, first, second] = ports;
        let node = |port: Port, role: &str| {
            let me = follower(port.number());
            let own = settings_for(tls, workspace, &port)?;
            let settings = format!("{users}masteruser {me}\nmasterauth {SECRET}\n{role}{own}");
            node::node(workspace, port, &settings)
        };
        let spoken = if tls.is_some() { primary.bus() } else { primary.number() };
        let follow = format!("replicaof 127.0.0.1 {spoken}\n");
        Ok([node(primary, "")?, node(first, &follow)?, node(second, &follow)?])
    }

    /// The Sentinels are told of the replicas and of each other, as their own rewritten
    /// configuration tells them after a restart: finding out takes them ten seconds.
    fn make_sentinels(
        workspace: &Arc<Workspace>,
        nodes: &[Server; 3],
        tls: Option<&TlsFiles<'_>>,
    ) -> Result<[Server; 3], KitError> {
        let ports = [Port::free()?, Port::free()?, Port::free()?];
        let spoken = |port: u16| if tls.is_some() { Port::bus_of(port) } else { port };
        let numbers = ports.each_ref().map(Port::number);
        let id = |number: u16| format!("{number:040x}");
        let [primary, replicas @ ..] = nodes;
        let mut shared = format!(
            "sentinel monitor {NAME} 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 5000\n\
             sentinel parallel-syncs {NAME} 2\n\
             sentinel auth-user {NAME} {WATCHER}\n\
             sentinel auth-pass {NAME} {SECRET}\n",
            spoken(primary.addr().port())
        );
        for replica in replicas {
            let port = spoken(replica.addr().port());
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

    /// The plain port of a node that the Sentinels name.
    fn plain(&self, named: SocketAddr) -> SocketAddr {
        let mut addrs = self.nodes.iter().map(Server::addr);
        let plain = addrs.find(|addr| self.encrypted && encrypted(*addr) == named);
        plain.unwrap_or(named)
    }

    /// The node at `addr`.
    fn node(&mut self, addr: SocketAddr) -> Result<&mut Server, KitError> {
        let mut nodes = self.nodes.iter_mut();
        nodes
            .find(|node| node.addr() == addr)
            .ok_or_else(|| KitError::answer(addr, "no node listens there"))
    }
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
