//! MariaDB.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::process::Command;

pub use crate::shared::mariadb as shared;
use crate::{
    KitError, Server, Tool, find,
    lease::{Port, StartSlot},
    probe,
    process::Launch,
    server::is_a_server,
    tool::run,
    workspace::Workspace,
};

/// What the handle runs.
pub(crate) const TOOLS: &[Tool] = &[SERVER, INSTALL_DB, CLIENT];

/// The server.
const SERVER: Tool = tool("mariadbd");
/// Makes a data folder.
const INSTALL_DB: Tool = tool("mariadb-install-db");
/// Sends statements.
const CLIENT: Tool = tool("mariadb");

const fn tool(program: &'static str) -> Tool {
    Tool {
        program,
        folders: &["/opt/homebrew/opt/*/bin", "/usr/local/opt/*/bin"],
        install: "`apt-get install mariadb-server`, or `brew install mariadb`",
    }
}

/// Run at each start, so each statement must bear repetition.
const ACCOUNT: &str = "\
CREATE DATABASE IF NOT EXISTS kit;
CREATE USER IF NOT EXISTS 'kit'@'%' IDENTIFIED BY 'kit';
GRANT ALL ON *.* TO 'kit'@'%' WITH GRANT OPTION;
";

/// One MariaDB, with a database, an account and a password that are all called `kit`.
#[derive(Debug)]
pub struct MariaDb {
    server: Server,
}

is_a_server!(MariaDb);

impl MariaDb {
    /// Makes a data folder and starts a server on it.
    ///
    /// # Errors
    ///
    /// When a program of MariaDB is not installed, or the server does not start.
    pub async fn start() -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let root = rustix::process::getuid().is_root();
        let data = format!("--datadir={}", workspace.folder("data")?.display());
        // It runs as root only when told so by name, and refuses the name to others.
        let user = root.then_some("--user=root");

        let mut install = Command::new(find(INSTALL_DB)?);
        install.args(["--no-defaults", "--skip-test-db", &data]);
        install.arg("--auth-root-authentication-method=normal").args(user);
        // A server that starts removes the temporary tables of whoever shares its temporary folder.
        let launch =
            Launch::new("mariadb", find(SERVER)?, workspace.path()).env("TMPDIR", workspace.path());
        launch.prepare(install.as_std_mut());
        run(install).await?;

        let port = Port::free()?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let account = workspace.file("account.sql", ACCOUNT)?;
        let folder = workspace.path().display();
        let launch = launch
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", &data])
            .args(user)
            .args([
                format!("--port={}", port.number()),
                format!("--socket={folder}/s"),
                format!("--pid-file={folder}/pid"),
                format!("--init-file={}", account.display()),
                // Kills of a process lose nothing that reached the system's cache.
                "--innodb-flush-log-at-trx-commit=2".to_owned(),
                "--innodb-buffer-pool-size=64M".to_owned(),
            ]);
        let mut server = Server::new(launch, addr, probe::mariadb, workspace, vec![port]);
        server.start().await?;
        Ok(Self { server })
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://kit:kit@{}/kit", self.addr())
    }

    /// Runs statements in one session and returns the rows, fields apart by tabs.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses a statement.
    pub async fn query(&self, sql: &str) -> Result<String, KitError> {
        let mut client = Command::new(find(CLIENT)?);
        client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"]);
        client.arg(format!("--port={}", self.addr().port()));
        client.args(["--user=kit", "--password=kit", "--batch", "--skip-column-names"]);
        client.args(["--execute", sql, "kit"]);
        Ok(run(client).await?.trim_end().to_owned())
    }
}
