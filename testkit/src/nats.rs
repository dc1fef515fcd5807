//! NATS with JetStream.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

pub use crate::shared::nats as shared;
use crate::{
    KitError, Server, Tool, find,
    lease::{Port, StartSlot},
    probe,
    process::Launch,
    server::is_a_server,
    workspace::{Workspace, unique},
};

/// What the handle runs.
pub(crate) const TOOLS: &[Tool] = &[SERVER];

/// The server.
const SERVER: Tool = Tool {
    program: "nats-server",
    folders: &[],
    install: "`apt-get install nats-server`, or `brew install nats-server`",
};

/// One NATS server that keeps its streams in files.
#[derive(Debug)]
pub struct Nats {
    server: Server,
}

is_a_server!(Nats);

impl Nats {
    /// Starts a server with JetStream.
    ///
    /// # Errors
    ///
    /// When `nats-server` is not installed or does not start.
    pub async fn start() -> Result<Self, KitError> {
        let _slot = StartSlot::take().await?;
        let workspace = Arc::new(Workspace::new()?);
        let port = Port::free()?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let store = workspace.folder("js")?;
        let launch = Launch::new("nats", find(SERVER)?, workspace.path())
            .args(["-a", "127.0.0.1", "-p", &port.number().to_string()])
            .args(["-js", "-sd", &store.display().to_string()]);
        let mut server = Server::new(launch, addr, probe::nats, workspace, vec![port]);
        server.start().await?;
        Ok(Self { server })
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.addr())
    }

    /// Sends a request on a connection of its own and returns the answer's text.
    ///
    /// The subjects under `$JS.API` make and show streams; a message published to a stream's subject
    /// is answered with its number.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or nobody answers.
    pub async fn request(&self, subject: &str, payload: &str) -> Result<String, KitError> {
        let inbox = unique("_INBOX.kit");
        let say = format!(
            "CONNECT {{\"verbose\":false}}\r\nSUB {inbox} 1\r\n\
             PUB {subject} {inbox} {}\r\n{payload}\r\n",
            payload.len()
        );
        let heard = probe::ask(self.addr(), say.as_bytes(), |heard| {
            answer(&String::from_utf8_lossy(heard)).map(|_| true)
        })
        .await?;
        let heard = String::from_utf8_lossy(&heard);
        let found = answer(&heard).map(str::to_owned);
        found.ok_or_else(|| KitError::answer("nats", heard))
    }
}

/// The payload of the first whole message: `MSG subject sid length`, a line end, the payload, a line end.
fn answer(heard: &str) -> Option<&str> {
    let start = heard.find("MSG ")?;
    let (head, rest) = heard[start..].split_once("\r\n")?;
    let length = head.rsplit(' ').next()?.parse().ok()?;
    rest.get(length..length + 2)?;
    rest.get(..length)
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        assert_eq!(answer("INFO {}\r\nMSG in 1 2\r\nok\r\n"), Some("ok"));
        assert_eq!(answer("INFO {}\r\nMSG in 1 2\r\nok"), None);
    }
}
