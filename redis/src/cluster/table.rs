//! The way of each slot.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::mpsc;

use super::{Cluster, map::Address, refusal::Refused, slot::SLOTS};
use crate::{job::Job, lane::Lane};

/// The way of each slot, and everything that leads there.
pub(super) struct Table {
    pub(super) slots: Vec<Way>,
    pub(super) lanes: HashMap<Address, Arc<Lane>>,
    /// To the steward, who sees to commands that cannot go straight.
    pub(super) held: Option<mpsc::Sender<Job>>,
    pub(super) refused: Option<mpsc::UnboundedSender<Refused>>,
}

/// Where the commands of one slot go.
#[derive(Clone)]
pub(super) enum Way {
    /// Not known yet.
    Unknown,
    /// Straight there.
    To(Arc<Lane>),
    /// To the steward, until this node has answered everything that was sent to it.
    Draining(Arc<Lane>),
    /// To the steward, until a pause is over; then there again.
    Pausing(Arc<Lane>),
}

impl Table {
    pub(super) fn new() -> Self {
        let slots = vec![Way::Unknown; SLOTS];
        Self { slots, lanes: HashMap::new(), held: None, refused: None }
    }

    pub(super) fn has_steward(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_closed())
    }

    pub(super) fn way(&self, slot: u16) -> &Way {
        self.slots.get(usize::from(slot)).unwrap_or(&Way::Unknown)
    }

    pub(super) fn set(&mut self, slot: u16, way: Way) {
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = way;
        }
    }

    /// The lane to a node, made if there is none.
    pub(super) fn lane(&mut self, cluster: &Arc<Cluster>, address: &Address) -> Arc<Lane> {
        let lane = self.lanes.entry(address.clone());
        lane.or_insert_with(|| Arc::new(cluster.node(address))).clone()
    }

    /// Forgets nodes that serve nothing. Their lanes end when they have answered everybody.
    pub(super) fn prune(&mut self) {
        self.lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
    }
}
