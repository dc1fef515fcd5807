//! From an address to a connection.

use std::{io, sync::Arc};

use redis::{
    ConnectionAddr, ConnectionInfo,
    io::tcp::{TcpSettings, socket2::SockRef},
};
use tokio::net::TcpStream;

use super::{Socket, Stream};
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{error::Cause, router::Router};

/// Connects, and shakes hands if it is to be encrypted. Nothing is said yet.
pub(crate) async fn dial(
    info: &ConnectionInfo,
    router: Arc<Router>,
    #[cfg(feature = "tls")] tls: Option<&Tls>,
) -> Result<Socket, Cause> {
    let stream: Box<dyn Stream> = match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let host = host.trim_matches(['[', ']']);
            let socket = TcpStream::connect((host, *port)).await.map_err(Cause::new)?;
            set(&socket, info.tcp_settings()).map_err(Cause::new)?;
            #[cfg(feature = "tls")]
            if let Some(tls) = tls {
                return Ok(Socket::new(tls.shake_hands(host, socket).await?, router));
            }
            Box::new(socket)
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            Box::new(tokio::net::UnixStream::connect(path).await.map_err(Cause::new)?)
        }
        address => return Err(Cause::new(format!("{address} cannot be connected to from here"))),
    };
    Ok(Socket::new(stream, router))
}

/// What a user's client says of its connections holds for ours.
fn set(socket: &TcpStream, settings: &TcpSettings) -> io::Result<()> {
    socket.set_nodelay(settings.nodelay())?;
    if let Some(keepalive) = settings.keepalive() {
        SockRef::from(socket).set_tcp_keepalive(keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if let Some(timeout) = settings.user_timeout() {
        SockRef::from(socket).set_tcp_user_timeout(Some(timeout))?;
    }
    Ok(())
}
