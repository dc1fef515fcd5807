//! Where a connection goes.

use std::{fmt, sync::Arc};

use crate::{
    cluster::Anywhere,
    error::Cause,
    sentinel::Sentinels,
    server::{Name, Primary, Server},
};

/// Where a connection goes.
#[derive(Clone)]
pub(crate) enum Place {
    /// To this server, whatever it is.
    Fixed(Server),
    /// To whom the Sentinels name.
    Watched(Arc<Sentinels>),
    /// To this node of a Cluster.
    Node(Server),
    /// To some node of a Cluster.
    Anywhere(Arc<Anywhere>),
}

/// A server to connect to.
pub(crate) struct Found {
    pub(crate) server: Server,
    /// As of which election it is the primary.
    pub(crate) epoch: Option<u64>,
}

impl Place {
    /// What messages call it.
    pub(crate) fn name(&self) -> &Name {
        match self {
            Self::Fixed(server) | Self::Node(server) => server.name(),
            Self::Anywhere(anywhere) => anywhere.name(),
            Self::Watched(sentinels) => sentinels.name(),
        }
    }

    /// Finds the server to connect to now.
    pub(crate) async fn find(&self) -> Result<Found, Cause> {
        match self {
            Self::Anywhere(anywhere) => anywhere.find(),
            Self::Fixed(server) | Self::Node(server) => {
                Ok(Found { server: server.clone(), epoch: None })
            }
            Self::Watched(sentinels) => sentinels.find().await,
        }
    }

    /// Resolves when `primary` is not the one to be connected to any more.
    pub(crate) async fn overtaken(self, primary: Arc<Primary>) -> Cause {
        match self {
            Self::Anywhere(anywhere) => anywhere.overtaken().await,
            Self::Fixed(_) | Self::Node(_) => std::future::pending().await,
            Self::Watched(sentinels) => sentinels.overtaken(&primary).await,
        }
    }

    /// Whether only a primary will do, and another one can be found.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self, Self::Watched(_))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}
