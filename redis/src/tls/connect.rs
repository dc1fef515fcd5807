//! From a socket to an encrypted stream.

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Mistrust, Tls};
use crate::{error::Cause, socket::Stream};

impl Tls {
    /// Shakes hands with the server that is to be `host`.
    pub(crate) async fn shake_hands(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<Box<dyn Stream>, Cause> {
        let name = ServerName::try_from(host.to_owned()).map_err(Cause::new)?;
        let connector = TlsConnector::from(self.config.clone());
        Ok(Box::new(connector.connect(name, socket).await.map_err(Mistrust::or)?))
    }
}
