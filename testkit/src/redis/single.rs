use std::sync::Arc;

use super::{client::command, node};
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

    async fn with(settings: &str) -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let mut server = node::node(&workspace, Port::free()?, settings)?;
        server.start().await?;
        Ok(Self { server })
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
