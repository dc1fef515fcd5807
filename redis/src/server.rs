//! Where to connect to.

use std::{fmt, sync::Arc};

use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, aio::MultiplexedConnection};

use crate::error::{Cause, RedisError};

/// A single server. Sentinel and Cluster will stand beside it: everything else asks this type alone
/// where to connect and what to call the place.
#[derive(Clone)]
pub(crate) struct Server {
    client: Client,
    name: Arc<str>,
}

impl Server {
    /// The server of a client that a user made, with all its settings but the protocol.
    pub(crate) fn new(client: &Client) -> Result<Self, RedisError> {
        let info = client.get_connection_info().clone();
        let name = info.addr().to_string().into();
        // Pushes travel on the connection of the commands, which RESP2 cannot do.
        // Without the driver's name, which not every ACL allows to set.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let settings = settings.set_protocol(ProtocolVersion::RESP3);
        let client =
            Client::open(info.set_redis_settings(settings)).map_err(RedisError::invalid)?;
        Ok(Self { client, name })
    }

    pub(crate) async fn connect(
        &self,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> redis::RedisResult<MultiplexedConnection> {
        let push = move |info: PushInfo| {
            push(info);
            Ok::<_, redis::aio::SendError>(())
        };
        // The driver's own time-outs are off: budgets are judged on the caller's clock.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(push);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    pub(crate) fn failed(&self, cause: Cause) -> RedisError {
        RedisError::Failed { server: self.name.clone(), cause }
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

/// The address alone: users and passwords are in the client.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
