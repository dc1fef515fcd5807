//! Servers that tests share, because they break nothing.
//!
//! `cargo xtask test` starts one server of a kind for all test processes and hands its URL on in an
//! environment variable. Without the variable a process starts a server for itself and keeps it to
//! its end, so that a plain `cargo test` works as well.
//!
//! Sharing is safe where names are: take keys from [`unique`] and databases from
//! [`postgres::fresh_database`](crate::postgres::fresh_database).

use std::env;

use tokio::sync::OnceCell;

use crate::{
    KitError,
    postgres::{Postgres, query},
    redis::Single,
    workspace::unique,
};

/// Where the shared Redis is.
pub const REDIS: &str = "MAINSTAY_TEST_REDIS_URL";
/// Where the shared PostgreSQL is.
pub const POSTGRES: &str = "MAINSTAY_TEST_POSTGRES_URL";
/// Where the shared MariaDB is.
pub const MARIADB: &str = "MAINSTAY_TEST_MARIADB_URL";
/// Where the shared RabbitMQ is.
pub const RABBITMQ: &str = "MAINSTAY_TEST_RABBITMQ_URL";
/// Where the shared NATS is.
pub const NATS: &str = "MAINSTAY_TEST_NATS_URL";

/// Makes the function that gives the URL of one kind.
macro_rules! share {
    ($(#[$doc:meta])* $name:ident, $server:ty, $variable:expr) => {
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// When there is no shared server and none can be started.
        pub async fn $name() -> Result<String, KitError> {
            // Never dropped: the watchdog ends the server with the process.
            static OWN: OnceCell<$server> = OnceCell::const_new();
            if let Ok(url) = env::var($variable) {
                return Ok(url);
            }
            let own = OWN.get_or_try_init(<$server>::start).await?;
            Ok(own.url())
        }
    };
}

share!(
    /// The URL of a Redis that other tests use at the same time.
    redis,
    Single,
    REDIS
);
share!(
    /// The URL of a PostgreSQL that other tests use at the same time.
    postgres,
    Postgres,
    POSTGRES
);
share!(
    /// The URL of a MariaDB that other tests use at the same time.
    mariadb,
    crate::mariadb::MariaDb,
    MARIADB
);
share!(
    /// The URL of a RabbitMQ that other tests use at the same time.
    rabbitmq,
    crate::rabbitmq::RabbitMq,
    RABBITMQ
);
share!(
    /// The URL of a NATS with JetStream that other tests use at the same time.
    nats,
    crate::nats::Nats,
    NATS
);

/// The URL of an empty database of its own, on the shared PostgreSQL.
///
/// # Errors
///
/// When there is no shared server and none can be started, or it refuses.
pub async fn fresh_database() -> Result<String, KitError> {
    let server = postgres().await?;
    let name = unique("test");
    query(&server, &format!("CREATE DATABASE {name}")).await?;
    let (base, _) = server.rsplit_once('/').ok_or_else(|| KitError::answer(POSTGRES, &server))?;
    Ok(format!("{base}/{name}"))
}
