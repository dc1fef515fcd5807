//! One Redis process: the part that single, Sentinel and Cluster share.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use super::clock::ServerClock;
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
    let settings = format!("{SETTINGS}{settings}");
    server(workspace, vec![port], ("redis", SERVER), &settings)
}

/// A node with a clock of its own.
pub(super) fn node_with_clock(
    workspace: &Arc<Workspace>,
    port: Port,
    clock: &ServerClock,
) -> Result<Server, KitError> {
    let launch = launch(workspace, port.number(), ("redis", SERVER), SETTINGS)?;
    Ok(serve(workspace, vec![port], clock.worn_by(launch)?))
}

/// A Sentinel that listens on `port`.
pub(super) fn sentinel(
    workspace: &Arc<Workspace>,
    port: Port,
    settings: &str,
) -> Result<Server, KitError> {
    let settings = format!("bind 127.0.0.1\nprotected-mode no\n{settings}");
    server(workspace, vec![port], ("sentinel", SENTINEL), &settings)
}

/// A node whose peers speak to it on a port of their own.
pub(super) fn node_with_bus(
    workspace: &Arc<Workspace>,
    [port, bus]: [Port; 2],
    settings: &str,
) -> Result<Server, KitError> {
    let settings = format!("{SETTINGS}cluster-port {}\n{settings}", bus.number());
    server(workspace, vec![port, bus], ("redis", SERVER), &settings)
}

/// A program that listens on the first of `ports`.
fn server(
    workspace: &Arc<Workspace>,
    ports: Vec<Port>,
    program: (&str, Tool),
    settings: &str,
) -> Result<Server, KitError> {
    let launch = launch(workspace, ports[0].number(), program, settings)?;
    Ok(serve(workspace, ports, launch))
}

fn launch(
    workspace: &Workspace,
    port: u16,
    (kind, tool): (&str, Tool),
    settings: &str,
) -> Result<Launch, KitError> {
    let name = format!("{kind}-{port}");
    let folder = workspace.folder(&name)?;
    let config = format!("port {port}\ndir {}\n{settings}", folder.display());
    let file = workspace.file(&format!("{name}.conf"), &config)?;
    Ok(Launch::new(name, find(tool)?, &folder).args([file]))
}

fn serve(workspace: &Arc<Workspace>, ports: Vec<Port>, launch: Launch) -> Server {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, ports[0].number()));
    Server::new(launch, addr, probe::redis, Arc::clone(workspace), ports)
}
