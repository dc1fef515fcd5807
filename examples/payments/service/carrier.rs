//! Carries events to the ledger, and dies once on the way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mainstay::outbox::{
    Bus, Confirm, Outbox, Outgoing, PublishError, Publisher, Relay, RelayHandle,
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{Result, seam::Mishaps, spawn::spawn};

/// The relay of the ledger's events and whoever starts it again.
#[derive(Debug)]
pub(super) struct Carrier {
    route: Arc<Route>,
    stop: Arc<Notify>,
    supervisor: JoinHandle<()>,
}

impl Carrier {
    /// Starts to carry events from `outbox` to `bus`.
    pub(super) fn start(outbox: &Outbox, bus: Bus, mishaps: &Mishaps) -> Self {
        let route = Arc::new(Route {
            bus,
            carried: AtomicU64::new(0),
            dies_at: mishaps.carrier_killed_at_event,
            dying: Notify::new(),
            restarts: AtomicU64::new(0),
        });
        let stop = Arc::new(Notify::new());
        let relay = Relay::new(outbox, route.clone());
        let work = supervise(relay, route.clone(), stop.clone(), mishaps.down_for);
        Self { supervisor: spawn(work), route, stop }
    }

    /// How often it was started again.
    pub(super) fn restarts(&self) -> u64 {
        self.route.restarts.load(Ordering::Relaxed)
    }

    /// Lets it put down what it carries.
    pub(super) async fn stop(self) -> Result<()> {
        self.stop.notify_one();
        Ok(self.supervisor.await?)
    }
}

/// Keeps a relay running until it is told to stop.
async fn supervise(
    relay: Relay<Arc<Route>>,
    route: Arc<Route>,
    stop: Arc<Notify>,
    down_for: Duration,
) {
    let mut running: RelayHandle = relay.clone().start();
    loop {
        tokio::select! {
            () = stop.notified() => return running.stop().await,
            () = route.dying.notified() => {
                // As a crash: its batch is neither settled nor given back.
                running.kill().await;
                mainstay::Clock::boot().sleep(down_for).await;
                running = relay.clone().start();
                route.restarts.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The way to the ledger.
#[derive(Debug)]
struct Route {
    bus: Bus,
    carried: AtomicU64,
    dies_at: u64,
    dying: Notify,
    restarts: AtomicU64,
}

impl Publisher for Route {
    async fn publish(&self, message: &Outgoing) -> Result<Confirm, PublishError> {
        let confirm = self.bus.publish(message).await?;
        if self.carried.fetch_add(1, Ordering::Relaxed) + 1 == self.dies_at {
            // The worst moment: the ledger has the event, and the relay never learns it.
            self.dying.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(confirm)
    }
}
