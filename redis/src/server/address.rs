//! What a URL says of a server.

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::error::{Cause, RedisError};

/// What a URL, or a client of the `redis` crate, says of a server.
#[derive(Clone)]
pub(crate) struct Address {
    info: ConnectionInfo,
    /// Whether TLS is asked for.
    secure: bool,
    /// What a client asks for that is not ours to do.
    odd: Option<&'static str>,
}

impl Address {
    /// Reads a URL. The scheme alone decides whether the connection is encrypted.
    pub(crate) fn parse(url: &str) -> Result<Self, RedisError> {
        if url.contains('#') {
            // The `redis` crate knows `#insecure`, which takes any certificate for good.
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
            return Err(RedisError::settings(PLAIN_ONLY));
        }
        let info = plain.into_connection_info().map_err(|error| RedisError::invalid(&error))?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_tcp_settings(tcp);
        Ok(Self { info, secure, odd: None })
    }

    /// The server of a client that a user made, with all its settings but the protocol. It is encrypted if the client is, by
    /// this crate and with its trust.
    pub(crate) fn of(client: &Client) -> Self {
        let info = client.get_connection_info().clone();
        let ConnectionAddr::TcpTls { host, port, insecure, tls_params } = info.addr() else {
            return Self { info, secure: false, odd: None };
        };
        let odd = match (insecure, tls_params) {
            (true, _) => Some(CARELESS),
            (false, Some(_)) => Some(SECRETIVE),
            (false, None) => None,
        };
        let plain = ConnectionAddr::Tcp(host.clone(), *port);
        Self { info: info.set_addr(plain), secure: true, odd }
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Why it cannot be used as it is; `trusting` if there are settings for TLS.
    pub(crate) fn objection(&self, trusting: bool) -> Option<&'static str> {
        if self.secure && cfg!(not(feature = "tls")) {
            return Some(PLAIN_ONLY);
        }
        self.odd.filter(|odd| *odd != SECRETIVE || !trusting)
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

const PLAIN_ONLY: &str = "`rediss://` needs the feature `tls` of mainstay-redis, which is off";

const CARELESS: &str = "the client takes any certificate (`insecure`); name the authority that signed the \
                        server's instead";

const SECRETIVE: &str = "the client has certificates of its own, which it does not show; give them by \
                         `RedisBuilder::tls` as well";

impl RedisError {
    pub(crate) fn invalid(cause: &redis::RedisError) -> Self {
        Self::settings(format!("{cause}; write `redis://user:password@host:port/database`"))
    }

    pub(crate) fn settings(why: impl Into<String>) -> Self {
        Self::InvalidAddress { cause: Cause::new(why.into()) }
    }
}
