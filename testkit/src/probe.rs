//! Looks at servers over plain TCP: enough of each protocol to know that it serves.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{KitError, time::within};

/// One look; a server that takes longer is not ready.
const LOOK: Duration = Duration::from_secs(2);

/// Says whether the server at an address serves.
pub(crate) type Probe = fn(SocketAddr) -> Look;

/// The future of one look.
pub(crate) type Look = Pin<Box<dyn Future<Output = Result<(), KitError>> + Send>>;

/// Connects, sends, and reads until `judge` has seen enough.
pub(crate) async fn ask(
    server: SocketAddr,
    say: &[u8],
    judge: impl Fn(&[u8]) -> Option<bool>,
) -> Result<Vec<u8>, KitError> {
    let talk = async {
        let mut stream = TcpStream::connect(server)
            .await
            .map_err(KitError::io(format!("connect to {server}")))?;
        stream.write_all(say).await.map_err(KitError::io(format!("write to {server}")))?;
        let mut heard = Vec::new();
        loop {
            let read = stream.read_buf(&mut heard).await;
            let read = read.map_err(KitError::io(format!("read from {server}")))?;
            match judge(&heard) {
                Some(true) => return Ok(heard),
                None if read > 0 => {}
                _ => return Err(KitError::answer(server, String::from_utf8_lossy(&heard))),
            }
        }
    };
    within(LOOK, talk).await.unwrap_or_else(|| Err(KitError::answer(server, "no answer in time")))
}

/// A Redis that has loaded its data says PONG.
pub(crate) fn redis(server: SocketAddr) -> Look {
    Box::pin(async move {
        ask(server, b"PING\r\n", |heard| heard.ends_with(b"\r\n").then(|| heard == b"+PONG\r\n"))
            .await
            .map(drop)
    })
}

/// A PostgreSQL that takes queries answers a start-up message with an `R`, one that is starting with an `E`.
pub(crate) fn postgres(server: SocketAddr) -> Look {
    Box::pin(async move {
        let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        let length = u32::try_from(body.len() + 4).expect("a short message");
        let message = [&length.to_be_bytes(), body.as_slice()].concat();
        ask(server, &message, |heard| heard.first().map(|kind| *kind == b'R')).await.map(drop)
    })
}

/// A MariaDB that takes logins greets with protocol version 10.
pub(crate) fn mariadb(server: SocketAddr) -> Look {
    Box::pin(async move {
        ask(server, b"", |heard| heard.get(4).map(|version| *version == 10)).await.map(drop)
    })
}

/// A RabbitMQ that has booted answers the protocol header with a method frame.
pub(crate) fn rabbitmq(server: SocketAddr) -> Look {
    Box::pin(async move {
        ask(server, b"AMQP\x00\x00\x09\x01", |heard| heard.first().map(|kind| *kind == 1))
            .await
            .map(drop)
    })
}

/// A NATS with JetStream says so in its greeting and answers a ping.
pub(crate) fn nats(server: SocketAddr) -> Look {
    Box::pin(async move {
        let say = b"CONNECT {\"verbose\":false}\r\nPING\r\n";
        ask(server, say, |heard| {
            let heard = String::from_utf8_lossy(heard);
            heard.contains("PONG\r\n").then(|| heard.contains("\"jetstream\":true"))
        })
        .await
        .map(drop)
    })
}
