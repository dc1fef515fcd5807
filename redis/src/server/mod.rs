//! One server: where it is, and how to connect to it.

mod address;
mod name;
mod primary;

use std::{fmt, sync::Arc};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, PushInfo,
    aio::MultiplexedConnection,
};

pub use self::primary::Primary;
pub(crate) use self::{address::Address, name::Name};
use crate::error::Cause;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// One server: where it is, who asks, and whether in plain text. A clone is cheap.
#[derive(Clone)]
pub(crate) struct Server {
    info: Arc<ConnectionInfo>,
    name: Name,
    /// Settings for encrypted connections; `None` for plain text, and for a driver's client, which has its
    /// own.
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

    pub(crate) async fn connect(
        &self,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Cause> {
        let push = move |info: PushInfo| {
            push(info);
            Ok::<_, redis::aio::SendError>(())
        };
        // The driver's own time-outs are off: budgets are judged on the caller's clock.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(push);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.connect(&self.info, config).await;
        }
        let client = Client::open((*self.info).clone()).map_err(Cause::new)?;
        client.get_multiplexed_async_connection_with_config(&config).await.map_err(Cause::new)
    }
}

/// The address alone: users and passwords are in the settings.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
