//! Which server it was that answered.

use std::{fmt, sync::Arc};

/// Which server it was that answered, on one connection to it.
///
/// Two answers of one run of one server have the same [`run_id`](Self::run_id); a server that was restarted
/// has another, even on its old address.
#[derive(Clone, PartialEq, Eq)]
pub struct Primary {
    pub(crate) address: Arc<str>,
    pub(crate) run_id: Option<Arc<str>>,
    pub(crate) epoch: Option<u64>,
}

impl Primary {
    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The server's id, new with every start. `None` where an ACL forbids `INFO`.
    pub fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// The config-epoch that made it a primary: higher with every failover. From the Sentinels, or from
    /// the node itself in a Cluster, where it orders the primaries of one slot only; a single server has none.
    pub fn epoch(&self) -> Option<u64> {
        self.epoch
    }
}

impl fmt::Debug for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut primary = f.debug_struct("Primary");
        primary.field("address", &self.address).field("run_id", &self.run_id);
        primary.field("epoch", &self.epoch).finish()
    }
}
