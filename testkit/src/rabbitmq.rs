//! RabbitMQ.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::process::Command;

pub use crate::shared::rabbitmq as shared;
use crate::{
    KitError, Server, Tool, find,
    lease::{Port, StartSlot},
    probe::{self, Look},
    process::Launch,
    server::is_a_server,
    tool::run,
    workspace::Workspace,
};

const INSTALL: &str = "`apt-get install rabbitmq-server`, or `brew install rabbitmq`";
/// What Debian has in `PATH` changes to an account of its own; the scripts themselves are here.
const FOLDERS: &[&str] = &["/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin"];

/// What the handle runs.
pub(crate) const TOOLS: &[Tool] = &[SERVER, CTL, EPMD];

/// The server.
const SERVER: Tool = tool("rabbitmq-server");
/// Talks to a running server.
const CTL: Tool = tool("rabbitmqctl");
/// Tells Erlang nodes of each other.
const EPMD: Tool = Tool {
    program: "epmd",
    folders: &["/usr/lib/erlang/bin", "/opt/homebrew/bin"],
    install: INSTALL,
};

const fn tool(program: &'static str) -> Tool {
    Tool { program, folders: FOLDERS, install: INSTALL }
}

/// One RabbitMQ, as a node and with a name service of its own, account `guest`.
#[derive(Debug)]
pub struct RabbitMq {
    server: Server,
    // A server that finds no name service leaves one behind for ever; this one is ours. It outlives
    // kills of the server, as it does on a real machine.
    _names: Server,
}

is_a_server!(RabbitMq);

impl RabbitMq {
    /// Starts a name service and a server.
    ///
    /// # Errors
    ///
    /// When a program of RabbitMQ is not installed, or the server does not start.
    pub async fn start() -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let mut names = names(&workspace)?;
        names.start().await?;
        let mut server = broker(&workspace, names.addr().port())?;
        server.start().await?;
        Ok(Self { server, _names: names })
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.addr())
    }

    /// Runs `rabbitmqctl` against this server; a call takes seconds.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses the command.
    pub async fn ctl(&self, args: &[&str]) -> Result<String, KitError> {
        let mut ctl = Command::new(find(CTL)?);
        ctl.arg("--quiet").args(args);
        self.launched().prepare(ctl.as_std_mut());
        Ok(run(ctl).await?.trim_end().to_owned())
    }
}

/// Erlang's name service, in the foreground.
fn names(workspace: &Arc<Workspace>) -> Result<Server, KitError> {
    let port = Port::free()?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    let number = port.number().to_string();
    let launch = Launch::new("epmd", find(EPMD)?, workspace.path()).args([
        "-port",
        &number,
        "-address",
        "127.0.0.1",
    ]);
    Ok(Server::new(launch, addr, listens, Arc::clone(workspace), vec![port]))
}

/// The broker, which keeps everything it writes in the folder.
fn broker(workspace: &Arc<Workspace>, names: u16) -> Result<Server, KitError> {
    let port = Port::free()?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    let config = workspace.file("rabbit.conf", "loopback_users = none\n")?;
    let plugins = workspace.file("plugins", "[].\n")?;
    let launch = Launch::new("rabbitmq", find(SERVER)?, workspace.path())
        .env("RABBITMQ_NODENAME", format!("kit{}@localhost", port.number()))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.number().to_string())
        .env("RABBITMQ_DIST_PORT", port.bus().to_string())
        .env("ERL_EPMD_PORT", names.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_MNESIA_BASE", workspace.folder("mnesia")?)
        .env("RABBITMQ_LOG_BASE", workspace.folder("log")?)
        .env("RABBITMQ_PID_FILE", workspace.path().join("pid"))
        .env("RABBITMQ_CONFIG_FILE", config)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
        .env("RABBITMQ_LOGS", "-")
        // Schedulers that spin while idle would take the cores from the tests.
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none");
    Ok(Server::new(launch, addr, probe::rabbitmq, Arc::clone(workspace), vec![port]))
}

fn listens(server: SocketAddr) -> Look {
    Box::pin(async move {
        let stream = tokio::net::TcpStream::connect(server).await;
        stream.map(drop).map_err(KitError::io(format!("connect to {server}")))
    })
}
