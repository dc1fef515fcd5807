//! One server: where it is, and how to connect to it.

mod address;

use std::{fmt, sync::Arc};

use redis::{AsyncConnectionConfig, Client, ConnectionInfo, PushInfo, aio::MultiplexedConnection};

pub(crate) use self::address::Address;
use crate::error::{Cause, RedisError};
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// One server: where it is, who asks, and whether in plain text. A clone is cheap.
#[derive(Clone)]
pub(crate) struct Server {
    info: Arc<ConnectionInfo>,
    name: Arc<str>,
    /// Settings for encrypted connections; `None` for plain text, and for a driver's client, which has its
    /// own.
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    pub(crate) fn new(info: ConnectionInfo, #[cfg(feature = "tls")] tls: Option<Tls>) -> Self {
        let name = info.addr().to_string().into();
        Self {
            info: Arc::new(info),
            name,
            #[cfg(feature = "tls")]
            tls,
        }
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

    pub(crate) fn failed(&self, cause: Cause) -> RedisError {
        let server = self.name.clone();
        #[cfg(feature = "tls")]
        if cause.is_mistrust() {
            return RedisError::Mistrusted { server, cause };
        }
        RedisError::Failed { server, cause }
    }

    pub(crate) fn unknown(&self, cause: Cause) -> RedisError {
        RedisError::Unknown { server: self.name.clone(), cause }
    }

    pub(crate) fn refused(&self, error: &redis::ServerError) -> RedisError {
        RedisError::Refused {
            server: self.name.clone(),
            code: error.code().into(),
            message: error.details().unwrap_or_default().into(),
        }
    }
}

/// The address alone: users and passwords are in the settings.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
