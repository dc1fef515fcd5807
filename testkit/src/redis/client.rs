use std::{fmt, net::SocketAddr, pin::Pin, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{KitError, time::within};

/// A paused or cut-off server does not answer; a test that asks it wants to know soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends one command over a connection of its own.
///
/// This is for set-up and for looking at a server from outside, not a client to test with.
///
/// # Errors
///
/// When the server cannot be reached, does not answer within five seconds, or answers with an error.
pub async fn command(server: SocketAddr, args: &[&str]) -> Result<Reply, KitError> {
    let talk = async {
        let stream = TcpStream::connect(server)
            .await
            .map_err(KitError::io(format!("connect to Redis at {server}")))?;
        let mut stream = BufReader::new(stream);
        stream
            .write_all(&encode(args))
            .await
            .map_err(KitError::io(format!("write to Redis at {server}")))?;
        read(&mut stream, server).await
    };
    let reply = within(PATIENCE, talk).await;
    match reply.unwrap_or_else(|| Err(KitError::answer(server, "no answer in time")))? {
        Reply::Error(error) => Err(KitError::answer(server, error)),
        reply => Ok(reply),
    }
}

/// What a Redis answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status or a bulk string.
    Text(String),
    /// A number.
    Int(i64),
    /// No such key.
    Nil,
    /// Several answers.
    List(Vec<Reply>),
    /// An error; [`command`] returns it as one unless it is inside a list.
    Error(String),
}

impl Reply {
    /// The text of a text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Int(_) | Self::Nil | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// The parts of a list; of anything else, none.
    #[must_use]
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(parts) => parts,
            Self::Text(_) | Self::Int(_) | Self::Nil | Self::Error(_) => &[],
        }
    }

    /// The value of a `name:value` line, as in INFO.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.text()?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Error(text) => f.write_str(text),
            Self::Int(number) => number.fmt(f),
            Self::Nil => f.write_str("(nil)"),
            Self::List(parts) => f.debug_list().entries(parts).finish(),
        }
    }
}

fn encode(args: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len());
    for arg in args {
        out += &format!("${}\r\n{arg}\r\n", arg.len());
    }
    out.into_bytes()
}

type Stream = BufReader<TcpStream>;

/// Lists hold replies, so reading one is recursive.
fn read(
    stream: &mut Stream,
    server: SocketAddr,
) -> Pin<Box<dyn Future<Output = Result<Reply, KitError>> + Send + '_>> {
    Box::pin(async move {
        let line = read_line(stream, server).await?;
        let strange = || KitError::answer(server, &line);
        let kind = line.chars().next().ok_or_else(strange)?;
        let rest = &line[kind.len_utf8()..];
        let number = || rest.parse::<i64>().map_err(|_| strange());
        match kind {
            '+' => Ok(Reply::Text(rest.to_owned())),
            '-' => Ok(Reply::Error(rest.to_owned())),
            ':' => Ok(Reply::Int(number()?)),
            '$' | '*' => match (kind, usize::try_from(number()?)) {
                (_, Err(_)) => Ok(Reply::Nil),
                ('$', Ok(length)) => read_bulk(stream, server, length).await,
                (_, Ok(length)) => {
                    let mut parts = Vec::new();
                    for _ in 0..length {
                        parts.push(read(stream, server).await?);
                    }
                    Ok(Reply::List(parts))
                }
            },
            _ => Err(strange()),
        }
    })
}

async fn read_line(stream: &mut Stream, server: SocketAddr) -> Result<String, KitError> {
    let mut line = String::new();
    stream
        .read_line(&mut line)
        .await
        .map_err(KitError::io(format!("read from Redis at {server}")))?;
    if line.is_empty() {
        return Err(KitError::answer(server, "the connection was closed"));
    }
    Ok(line.trim_end().to_owned())
}

async fn read_bulk(
    stream: &mut Stream,
    server: SocketAddr,
    length: usize,
) -> Result<Reply, KitError> {
    let mut bytes = vec![0; length + 2];
    stream
        .read_exact(&mut bytes)
        .await
        .map_err(KitError::io(format!("read from Redis at {server}")))?;
    bytes.truncate(length);
    Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = Reply::Text("role:master\r\nmaster_link_status:up\r\n".to_owned());
        assert_eq!(info.field("master_link_status"), Some("up"));
        assert_eq!(info.field("master"), None);
    }

    #[test]
    fn arguments_are_counted_in_bytes() {
        assert_eq!(encode(&["GET", "ä"]), "*2\r\n$3\r\nGET\r\n$2\r\nä\r\n".as_bytes());
    }
}
