//! The servers that tests share.

use std::{collections::BTreeSet, env};

use mainstay_testkit::{Kind, KitError, Running};
use tokio::task::JoinSet;

use crate::Result;

/// One server of a kind, until this value is dropped; at the latest they end with us.
pub(crate) struct Shared {
    servers: Vec<(Kind, Running)>,
}

impl Shared {
    /// Starts one server of each kind, all at once. A kind whose variable is set already is left to
    /// whoever set it.
    pub(crate) fn start(kinds: &BTreeSet<Kind>) -> Result<Self> {
        let wanted = kinds.iter().copied().filter(|kind| env::var_os(kind.variable()).is_none());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let servers = runtime.block_on(start_all(wanted))?;
        for (kind, server) in &servers {
            println!("shared {kind}: {}", server.url());
        }
        Ok(Self { servers })
    }

    /// What tells the tests where they are.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let servers = self.servers.iter();
        servers.map(|(kind, server)| (kind.variable(), server.url()))
    }
}

async fn start_all(
    kinds: impl Iterator<Item = Kind>,
) -> std::result::Result<Vec<(Kind, Running)>, KitError> {
    let mut starts = JoinSet::new();
    for kind in kinds {
        starts.spawn(async move { Ok((kind, kind.start().await?)) });
    }
    starts.join_all().await.into_iter().collect()
}
