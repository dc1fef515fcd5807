//! The one task of a manager that renews leases and ends holds in time.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    agenda::Agenda,
    hold::{Due, Hold},
    manager::Manager,
};

/// Shows that a scheduler runs; when its runtime drops it, the next request starts another.
#[derive(Debug)]
pub(crate) struct Running(Arc<AtomicBool>);

impl Running {
    pub(crate) fn new(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Works off the agenda until the manager is gone.
pub(crate) async fn run(manager: Weak<Manager>, agenda: Arc<Agenda>, _running: Running) {
    loop {
        // The manager is let go before sleeping: it ends when its last user does.
        let Some(clock) = work(&manager) else { return };
        let Some(until) = agenda.fall_asleep() else { return };
        tokio::select! {
            () = clock.sleep_until(until) => {}
            () = agenda.changed() => {}
        }
    }
}

fn work(manager: &Weak<Manager>) -> Option<mainstay_core::Clock> {
    let manager = manager.upgrade()?;
    let now = manager.clock().now();
    let due = manager.agenda().due(now);
    let renew = |hold: &Arc<Hold>| match hold.due(now) {
        Due::Nothing => false,
        Due::Renew => true,
        Due::Lose(reason) => {
            manager.revoke(hold, &reason);
            false
        }
    };
    let batch: Vec<_> = due.into_iter().filter(renew).collect();
    if !batch.is_empty() {
        manager.observe().renewing(batch.len());
        manager.engine().renew(&batch);
    }
    Some(manager.clock().clone())
}
