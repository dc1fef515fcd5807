//! One server: where it is, and how to connect to it.

mod address;
mod name;
mod primary;

use std::{fmt, sync::Arc};

use redis::{Cmd, ConnectionAddr, ConnectionInfo};

pub use self::primary::Primary;
pub(crate) use self::{address::Address, name::Name};
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{
    error::Cause,
    router::Router,
    socket::{Socket, dial, login},
};

/// One server: where it is, who asks, and whether in plain text. A clone is cheap.
#[derive(Clone)]
pub(crate) struct Server {
    info: Arc<ConnectionInfo>,
    name: Name,
    /// Settings for encrypted connections; `None` for plain text.
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    pub(crate) fn new(info: ConnectionInfo, #[cfg(feature = "tls")] tls: Option<Tls>) -> Self {
        let name = Name::new(info.addr().to_string());
        Self {
            info: Arc::new(info),
            name,
            #[cfg(feature = "tls")]
            tls,
        }
    }

    /// Another server, for the same user and encrypted if this one is.
    pub(crate) fn at(&self, host: &str, port: u16) -> Self {
        let info = (*self.info).clone().set_addr(ConnectionAddr::Tcp(host.to_owned(), port));
        Self {
            name: Name::new(info.addr().to_string()),
            info: Arc::new(info),
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Connects. Nothing is said yet.
    pub(crate) async fn connect(&self, router: Arc<Router>) -> Result<Socket, Cause> {
        dial(
            &self.info,
            router,
            #[cfg(feature = "tls")]
            self.tls.as_ref(),
        )
        .await
    }

    /// What is said first on a connection to it.
    pub(crate) fn login(&self) -> Vec<Cmd> {
        login(self.info.redis_settings())
    }
}

/// The address alone: users and passwords are in the settings.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
