//! One of a line of its client.

use std::sync::{Arc, atomic::Ordering};

use super::{End, Hold};
use crate::{
    backend::Grant,
    line::Local,
    slot::{Abandon, Offer},
    wakes::Wakes,
};

impl Local for Arc<Hold> {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }

    fn number(&self) -> u64 {
        self.owner.number()
    }

    fn offer(&self, wire: u64, grant: Grant, wakes: &mut Wakes) -> Offer {
        self.offer_alone(wire, grant, wakes)
    }

    fn begin_call(&self) -> bool {
        Hold::begin_call(self)
    }

    fn take_over(&self, wire: u64, in_flight: bool) -> bool {
        let waits = self.slot.take_over(in_flight);
        if waits {
            self.wire.store(wire, Ordering::Relaxed);
            // What the one who left knew of its place, a call on the wire may tell; a look will in any case.
            self.queued(None, None);
        }
        waits
    }

    fn abandon(&self) -> (Abandon, bool) {
        let waited = self.slot.is_waiting();
        (self.slot.abandon(End::Abandoned), waited)
    }

    fn is_over(&self) -> bool {
        self.slot.end().is_some()
    }
}
