//! The number of the current thread.

use std::cell::Cell;

use super::slots::{SLOTS, SlotPool};
use crate::sync::Mutex;

static POOL: SlotPool = SlotPool::new(Mutex::new(u16::MAX));

/// No number asked for yet.
const NEW: usize = usize::MAX;
/// All were taken, or this thread is ending and gave its back.
const NONE: usize = SLOTS;

thread_local! {
    // Apart from its guard: a cell without a destructor costs no check to read.
    static NUMBER: Cell<usize> = const { Cell::new(NEW) };
    static GUARD: Held = Held(POOL.take());
}

struct Held(Option<usize>);

impl Drop for Held {
    fn drop(&mut self) {
        NUMBER.set(NONE);
        if let Some(slot) = self.0 {
            POOL.give(slot);
        }
    }
}

/// The number of this thread; `None` if all are taken, or if the thread is ending and gave its back.
#[inline]
pub(crate) fn slot() -> Option<usize> {
    match NUMBER.get() {
        NEW => ask(),
        NONE => None,
        slot => Some(slot),
    }
}

#[cold]
fn ask() -> Option<usize> {
    let slot = GUARD.try_with(|held| held.0).ok().flatten();
    NUMBER.set(slot.unwrap_or(NONE));
    slot
}
