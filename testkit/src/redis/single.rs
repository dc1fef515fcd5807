use std::{fs, io, net::SocketAddr, sync::Arc};

use super::{
    client::command,
    clock::ServerClock,
    node,
    tls::{TlsFiles, encrypted},
};
use crate::{
    KitError, Server,
    lease::{Port, StartSlot},
    redis::Reply,
    server::is_a_server,
    workspace::Workspace,
};

/// One Redis.
#[derive(Debug)]
pub struct Single {
    server: Server,
    tls: Option<SocketAddr>,
    clock: Option<ServerClock>,
}

is_a_server!(Single);

impl Single {
    /// Starts a Redis that keeps nothing: killed and restarted, it is empty.
    ///
    /// # Errors
    ///
    /// When `redis-server` is not installed or does not start.
    pub async fn start() -> Result<Self, KitError> {
        Self::with("appendonly no\n").await
    }

    /// Starts a Redis that writes each command to disk before it answers: killed and restarted, it
    /// has everything that it acknowledged.
    ///
    /// # Errors
    ///
    /// When `redis-server` is not installed or does not start.
    pub async fn start_durable() -> Result<Self, KitError> {
        Self::with("appendonly yes\nappendfsync always\n").await
    }

    /// Starts a Redis that also speaks TLS, on a port of its own, and keeps nothing.
    ///
    /// The plain port stays, for looking at it from outside.
    ///
    /// # Errors
    ///
    /// When `redis-server` is not installed or cannot use the certificates.
    pub async fn start_tls(tls: &TlsFiles<'_>) -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let port = Port::free()?;
        let settings = tls.settings(&workspace, &port)?;
        let mut server = node::node(&workspace, port, &settings)?;
        server.start().await?;
        let tls = Some(encrypted(server.addr()));
        Ok(Self { server, tls, clock: None })
    }

    /// Starts a Redis whose clock can be [set](Self::set_clock), and that keeps nothing. Linux only.
    ///
    /// # Errors
    ///
    /// When `redis-server` or `libfaketime` is not installed, or it does not start.
    pub async fn start_with_clock() -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let clock = ServerClock::new(&workspace)?;
        let mut server = node::node_with_clock(&workspace, Port::free()?, &clock)?;
        server.start().await?;
        if let Some(pid) = server.pid() {
            ServerClock::tidy(pid);
        }
        Ok(Self { server, tls: None, clock: Some(clock) })
    }

    /// Sets the server's clock to the machine's and so many milliseconds, fewer than none to set it back.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    ///
    /// # Panics
    ///
    /// Unless it was started by [`start_with_clock`](Self::start_with_clock).
    pub fn set_clock(&self, millis: i64) -> Result<(), KitError> {
        self.clock.as_ref().expect("started without a clock of its own").set(millis)
    }

    async fn with(settings: &str) -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let mut server = node::node(&workspace, Port::free()?, settings)?;
        server.start().await?;
        Ok(Self { server, tls: None, clock: None })
    }

    /// Where it speaks TLS.
    ///
    /// # Panics
    ///
    /// Unless it was started by [`start_tls`](Self::start_tls).
    #[must_use]
    pub fn tls_addr(&self) -> SocketAddr {
        self.tls.expect("started without TLS")
    }

    /// Kills it, removes its data, and starts it: a durable one comes back as empty as any other.
    ///
    /// # Errors
    ///
    /// When the data cannot be removed, or it does not start.
    pub async fn restart_empty(&mut self) -> Result<(), KitError> {
        self.kill().await?;
        let data = self.launched().folder.join("appendonlydir");
        match fs::remove_dir_all(&data) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(KitError::io(format!("remove {data:?}"))(error))
            }
            _ => self.start().await,
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/", self.addr())
    }

    /// Sends one command.
    ///
    /// # Errors
    ///
    /// As [`command`].
    pub async fn command(&self, args: &[&str]) -> Result<Reply, KitError> {
        command(self.addr(), args).await
    }
}
