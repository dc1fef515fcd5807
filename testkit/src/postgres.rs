//! PostgreSQL.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use tokio::process::Command;

pub use crate::shared::{fresh_database, postgres as shared};
use crate::{
    KitError, Server, Tool, find,
    lease::{Port, StartSlot},
    probe,
    process::Launch,
    server::is_a_server,
    tool::run,
    workspace::Workspace,
};

const FOLDERS: &[&str] =
    &["/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/*/bin", "/usr/local/opt/*/bin"];
const INSTALL: &str = "`apt-get install postgresql`, or `brew install postgresql`";

/// What the handle runs.
pub(crate) const TOOLS: &[Tool] = &[SERVER, INITDB, PSQL];

/// The server.
const SERVER: Tool = tool("postgres");
/// Makes a data folder.
const INITDB: Tool = tool("initdb");
/// Sends statements.
const PSQL: Tool = tool("psql");

const fn tool(program: &'static str) -> Tool {
    Tool { program, folders: FOLDERS, install: INSTALL }
}

/// Settings beside the defaults.
///
/// Tests kill processes, never the machine, and what a process wrote survives it in the system's
/// cache: waiting for the disk would prove nothing here and take most of the time.
const SETTINGS: &str = "\
fsync = off
max_connections = 200
unix_socket_directories = ''
";

/// The account that runs the server when the tests run as root; the server refuses root.
const USER: &str = "postgres";

/// One PostgreSQL. Everybody is let in without a password, as `postgres`.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
}

is_a_server!(Postgres);

impl Postgres {
    /// Makes a data folder and starts a server on it.
    ///
    /// # Errors
    ///
    /// When a program of PostgreSQL is not installed, or the server does not start.
    pub async fn start() -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::for_user(USER)?);
        let data = initdb(&workspace).await?;
        let port = Port::free()?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let launch = Launch::new("postgres", find(SERVER)?, workspace.path())
            .user(workspace.user())
            .args(["-D".into(), data.into_os_string()])
            .args(["-h", "127.0.0.1", "-p", &port.number().to_string()]);
        let mut server = Server::new(launch, addr, probe::postgres, workspace, vec![port]);
        server.start().await?;
        Ok(Self { server })
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.addr())
    }

    /// Runs statements in one session and returns the rows, fields apart by `|`.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses a statement.
    pub async fn query(&self, sql: &str) -> Result<String, KitError> {
        query(&self.url(), sql).await
    }
}

/// Runs statements at `url` in one session and returns the rows, fields apart by `|`.
///
/// # Errors
///
/// When `psql` is not installed, the server cannot be reached or refuses a statement.
pub async fn query(url: &str, sql: &str) -> Result<String, KitError> {
    let mut psql = Command::new(find(PSQL)?);
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
    psql.args(["-d", url, "-c", sql]);
    Ok(run(psql).await?.trim_end().to_owned())
}

fn url(addr: SocketAddr) -> String {
    format!("postgres://postgres@{addr}/postgres")
}

async fn initdb(workspace: &Workspace) -> Result<PathBuf, KitError> {
    let data = workspace.folder("data")?;
    let launch = Launch::new("initdb", find(INITDB)?, workspace.path()).user(workspace.user());
    let mut initdb = Command::new(&launch.program);
    initdb.arg("-D").arg(&data);
    initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
    initdb.args(["--locale=C", "--no-sync", "--no-instructions"]);
    launch.prepare(initdb.as_std_mut());
    run(initdb).await?;
    append(&data.join("postgresql.conf"))?;
    Ok(data)
}

fn append(file: &std::path::Path) -> Result<(), KitError> {
    use std::io::Write;
    let what = || KitError::io(format!("write {file:?}"));
    let mut config = std::fs::File::options().append(true).open(file).map_err(what())?;
    config.write_all(SETTINGS.as_bytes()).map_err(what())
}
