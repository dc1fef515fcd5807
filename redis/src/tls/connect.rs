//! From a socket to the driver's connection, encrypted.

use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, aio::MultiplexedConnection};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Mistrust, Tls};
use crate::{error::Cause, spawn};

impl Tls {
    /// Connects, shakes hands, and greets.
    pub(crate) async fn connect(
        &self,
        info: &ConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Cause> {
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(Cause::new("a socket in the file system cannot be encrypted"));
        };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(Cause::new)?;
        let socket = TcpStream::connect((host.trim_matches(['[', ']']), *port)).await;
        let socket = socket.map_err(Cause::new)?;
        socket.set_nodelay(info.tcp_settings().nodelay()).map_err(Cause::new)?;
        let connector = TlsConnector::from(self.config.clone());
        let stream = connector.connect(name, socket).await.map_err(Mistrust::or)?;
        let greeted =
            MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await;
        // A server that misses a client certificate says so only now.
        let (connection, driver) = greeted.map_err(Mistrust::or)?;
        spawn::detach(driver);
        Ok(connection)
    }
}
