use std::net::{Ipv4Addr, SocketAddr};

use crate::{KitError, lease::Port, workspace::Workspace};

/// The certificates of servers that speak TLS, all PEM.
#[derive(Clone, Copy, Debug)]
pub struct TlsFiles<'a> {
    /// Who signed the certificates of clients.
    pub authority: &'a str,
    /// The servers' own. Servers that speak to each other show it to each other too.
    pub certificate: &'a str,
    /// And its key.
    pub key: &'a str,
    /// Whether clients must show a certificate too.
    pub ask_clients: bool,
}

impl TlsFiles<'_> {
    /// What a server is told, so that it speaks TLS at the second port that comes with its own.
    pub(super) fn settings(&self, workspace: &Workspace, port: &Port) -> Result<String, KitError> {
        let file =
            |name, text| Ok::<_, KitError>(workspace.file(name, text)?.display().to_string());
        let authority = file("ca.pem", self.authority)?;
        let certificate = file("cert.pem", self.certificate)?;
        let key = file("key.pem", self.key)?;
        let clients = if self.ask_clients { "yes" } else { "no" };
        Ok(format!(
            "tls-port {}\ntls-ca-cert-file {authority}\ntls-cert-file {certificate}\n\
             tls-key-file {key}\ntls-auth-clients {clients}\n",
            port.bus()
        ))
    }
}

/// Where the server at `plain` speaks TLS, if it does.
pub(super) fn encrypted(plain: SocketAddr) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, Port::bus_of(plain.port())))
}
