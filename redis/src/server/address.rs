//! What a URL says of a server.

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use crate::error::{Cause, RedisError};

/// What a URL, or a driver's client, says of a server.
#[derive(Clone)]
pub(crate) struct Address {
    info: ConnectionInfo,
    /// Whether the URL asks for TLS.
    secure: bool,
}

impl Address {
    /// Reads a URL. The scheme alone decides whether the connection is encrypted.
    pub(crate) fn parse(url: &str) -> Result<Self, RedisError> {
        if url.contains('#') {
            // The driver knows `#insecure`, which takes any certificate for good.
            return Err(RedisError::settings(
                "a fragment (`#..`) has no place in the URL: certificates are always checked; in a \
                 password write `%23`",
            ));
        }
        let scheme =
            url.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        let (secure, plain) = match scheme {
            Some((scheme, rest)) if scheme == "rediss" || scheme == "valkeys" => {
                (true, format!("redis://{rest}"))
            }
            _ => (false, url.to_owned()),
        };
        if secure && cfg!(not(feature = "tls")) {
            return Err(RedisError::settings(
                "`rediss://` needs the feature `tls` of mainstay-redis, which is off",
            ));
        }
        let info = plain.into_connection_info().map_err(|error| RedisError::invalid(&error))?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_tcp_settings(tcp);
        Ok(Self { info: prepared(info), secure })
    }

    /// The server of a client that a user made, with all its settings but the protocol.
    pub(crate) fn of(client: &Client) -> Self {
        Self { info: prepared(client.get_connection_info().clone()), secure: false }
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure || matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Whether certificates are not checked, which only a driver's client can say.
    pub(crate) fn is_careless(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { insecure: true, .. })
    }

    /// Whether it is for this crate, not for the driver, to encrypt.
    #[cfg(feature = "tls")]
    pub(crate) fn is_ours_to_encrypt(&self) -> bool {
        self.secure
    }

    pub(crate) fn with_credentials(self, user: Option<&str>, password: &str) -> Self {
        let settings = self.info.redis_settings().clone().set_password(password);
        let settings = match user {
            Some(user) => settings.set_username(user),
            None => settings,
        };
        Self { info: self.info.set_redis_settings(settings), ..self }
    }

    pub(crate) fn with_database(self, database: u32) -> Self {
        let settings = self.info.redis_settings().clone().set_db(i64::from(database));
        Self { info: self.info.set_redis_settings(settings), ..self }
    }

    pub(crate) fn into_info(self) -> ConnectionInfo {
        self.info
    }
}

/// Pushes travel on the connection of the commands, which RESP2 cannot do. Without the driver's name, which
/// not every ACL allows to set.
fn prepared(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3))
}

impl RedisError {
    pub(crate) fn invalid(cause: &redis::RedisError) -> Self {
        Self::settings(format!("{cause}; write `redis://user:password@host:port/database`"))
    }

    pub(crate) fn settings(why: impl Into<String>) -> Self {
        Self::InvalidAddress { cause: Cause::new(why.into()) }
    }
}
