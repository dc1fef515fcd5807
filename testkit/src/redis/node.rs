//! One Redis process: the part that single, Sentinel and Cluster share.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use crate::{
    KitError, Server, Tool, find, lease::Port, probe, process::Launch, workspace::Workspace,
};

const INSTALL: &str = "`apt-get install redis-server redis-sentinel`, or `brew install redis`";

/// The server.
pub(super) const SERVER: Tool = Tool { program: "redis-server", folders: &[], install: INSTALL };
/// The watcher that promotes replicas.
pub(super) const SENTINEL: Tool =
    Tool { program: "redis-sentinel", folders: &[], install: INSTALL };

/// Settings of every node.
///
/// `protected-mode` counts only the literal 127.0.0.1 as local. Without `repl-diskless-sync-delay`
/// a replica waits five seconds for its first sync, and one that never had it is never promoted.
const SETTINGS: &str = "\
bind 127.0.0.1
protected-mode no
daemonize no
databases 16
save \"\"
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-timeout 10
";

/// A node that listens on `port`, with `settings` beside those of every node.
pub(super) fn node(
    workspace: &Arc<Workspace>,
    port: Port,
    settings: &str,
) -> Result<Server, KitError> {
    let name = format!("redis-{}", port.number());
    let folder = workspace.folder(&name)?;
    let number = port.number();
    let dir = folder.display();
    let config = format!("port {number}\ndir {dir}\n{SETTINGS}{settings}");
    let file = workspace.file(&format!("{name}.conf"), &config)?;
    let launch = Launch::new(name, find(SERVER)?, &folder).args([file]);
    Ok(serve(workspace, port, launch))
}

/// A Sentinel that listens on `port`.
pub(super) fn sentinel(
    workspace: &Arc<Workspace>,
    port: Port,
    settings: &str,
) -> Result<Server, KitError> {
    let name = format!("sentinel-{}", port.number());
    let folder = workspace.folder(&name)?;
    let number = port.number();
    let dir = folder.display();
    let config = format!("port {number}\ndir {dir}\nbind 127.0.0.1\nprotected-mode no\n{settings}");
    let file = workspace.file(&format!("{name}.conf"), &config)?;
    let launch = Launch::new(name, find(SENTINEL)?, &folder).args([file]);
    Ok(serve(workspace, port, launch))
}

fn serve(workspace: &Arc<Workspace>, port: Port, launch: Launch) -> Server {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    Server::new(launch, addr, probe::redis, Arc::clone(workspace), vec![port])
}
