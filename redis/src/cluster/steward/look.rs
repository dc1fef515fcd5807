//! The questions how the Cluster is and who serves what.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use redis::cmd;

use crate::{
    call::{Call, Reply},
    cluster::{Cluster, map::SlotMap},
    error::{Cause, RedisError},
};

/// The questions how the Cluster is and who serves what, to some node.
pub(super) struct Look {
    health: Option<Call>,
    slots: Call,
}

impl Look {
    pub(super) fn through(cluster: &Cluster) -> Self {
        let ask = |word| cluster.ask(&cluster.to_anywhere, cmd("CLUSTER").arg(word).take());
        Self { health: Some(ask("INFO")), slots: ask("SLOTS") }
    }

    /// The map, unless the node has lost touch with the others.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<SlotMap, Cause>> {
        if let Some(health) = &mut self.health {
            let health = ready!(Pin::new(health).poll(cx));
            self.health = None;
            if let Err(cause) = judge(health) {
                return Poll::Ready(Err(cause));
            }
        }
        let slots = ready!(Pin::new(&mut self.slots).poll(cx));
        Poll::Ready(slots.and_then(SlotMap::read).map_err(Cause::new))
    }
}

fn judge(health: Result<Reply, RedisError>) -> Result<(), Cause> {
    let health = match health {
        // Not allowed to ask: the map will have to do.
        Err(error) if error.is_refused() => return Ok(()),
        other => other.map_err(Cause::new)?,
    };
    let info: String = health.read().map_err(Cause::new)?;
    if info.lines().any(|line| line.trim_end() == "cluster_state:ok") {
        return Ok(());
    }
    Err(Cause::new("the node says that the Cluster is down"))
}
