use std::{any::Any, fmt};

use crate::{
    KitError, Tool, find,
    mariadb::{self, MariaDb},
    nats::{self, Nats},
    postgres::{self, Postgres},
    rabbitmq::{self, RabbitMq},
    redis::{self, Single},
    shared,
};

/// A kind of server, for programs that install and start them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Redis, with Sentinel.
    Redis,
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
    /// RabbitMQ.
    RabbitMq,
    /// NATS with JetStream.
    Nats,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Redis, Self::Postgres, Self::MariaDb, Self::RabbitMq, Self::Nats];

    /// Its name in `[package.metadata.servers]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
            Self::RabbitMq => "rabbitmq",
            Self::Nats => "nats",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The programs that its handles need.
    #[must_use]
    pub const fn tools(self) -> &'static [Tool] {
        match self {
            Self::Redis => redis::TOOLS,
            Self::Postgres => postgres::TOOLS,
            Self::MariaDb => mariadb::TOOLS,
            Self::RabbitMq => rabbitmq::TOOLS,
            Self::Nats => nats::TOOLS,
        }
    }

    /// What is not installed: one error for each program, with where it was looked for.
    #[must_use]
    pub fn missing(self) -> Vec<KitError> {
        let tools = self.tools().iter();
        tools.filter_map(|tool| find(*tool).err()).collect()
    }

    /// The packages of Debian and Ubuntu that bring them.
    #[must_use]
    pub const fn debian_packages(self) -> &'static [&'static str] {
        match self {
            Self::Redis => &["redis-server", "redis-sentinel", "libfaketime"],
            Self::Postgres => &["postgresql"],
            Self::MariaDb => &["mariadb-server"],
            Self::RabbitMq => &["rabbitmq-server"],
            Self::Nats => &["nats-server"],
        }
    }

    /// The environment variable with the URL of the server that tests share.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Redis => shared::REDIS,
            Self::Postgres => shared::POSTGRES,
            Self::MariaDb => shared::MARIADB,
            Self::RabbitMq => shared::RABBITMQ,
            Self::Nats => shared::NATS,
        }
    }

    /// Starts a server of this kind for tests to share.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not start.
    pub async fn start(self) -> Result<Running, KitError> {
        Ok(match self {
            Self::Redis => Running::new(Single::start().await?, Single::url),
            Self::Postgres => Running::new(Postgres::start().await?, Postgres::url),
            Self::MariaDb => Running::new(MariaDb::start().await?, MariaDb::url),
            Self::RabbitMq => Running::new(RabbitMq::start().await?, RabbitMq::url),
            Self::Nats => Running::new(Nats::start().await?, Nats::url),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A server of any kind; dropping it ends it.
pub struct Running {
    url: String,
    _server: Box<dyn Any + Send>,
}

impl Running {
    fn new<S: Any + Send>(server: S, url: fn(&S) -> String) -> Self {
        Self { url: url(&server), _server: Box::new(server) }
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("url", &self.url).finish_non_exhaustive()
    }
}
