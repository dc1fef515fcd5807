//! What the clones of one `Locks`, its guards and its scheduler share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use mainstay_core::{Clock, Key};

use crate::{
    agenda::Agenda,
    backend::Owner,
    engine::Engine,
    error::{Failure, LockError},
    hold::Hold,
    lines::Lines,
    lock_order::SeenOrders,
    lost::LostReason,
    observe::Observers,
    scheduler,
    spawn::Spawner,
    terms::LocksConfig,
};

/// One client of a backend.
pub(crate) struct Manager {
    clock: Clock,
    config: LocksConfig,
    engine: Engine,
    agenda: Arc<Agenda>,
    lines: Lines,
    orders: SeenOrders,
    observers: Observers,
    spawner: Spawner,
    client: u64,
    next_number: AtomicU64,
    closing: AtomicBool,
    /// Whether a scheduler runs: its runtime may have stopped under it.
    scheduled: Arc<AtomicBool>,
}

impl Manager {
    pub(crate) fn new(
        clock: Clock,
        config: LocksConfig,
        engine: Engine,
        observers: Observers,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            config,
            engine,
            observers,
            agenda: Arc::default(),
            lines: Lines::default(),
            orders: SeenOrders::default(),
            spawner: Spawner::default(),
            client: fastrand::u64(..),
            next_number: AtomicU64::new(1),
            closing: AtomicBool::new(false),
            scheduled: Arc::default(),
        })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn config(&self) -> &LocksConfig {
        &self.config
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn agenda(&self) -> &Arc<Agenda> {
        &self.agenda
    }

    pub(crate) fn orders(&self) -> &SeenOrders {
        &self.orders
    }

    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    pub(crate) fn observe(&self) -> &Observers {
        &self.observers
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    pub(crate) fn next_owner(&self) -> Owner {
        Owner::new(self.client, self.next_number.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes sure that leases will be renewed; an error where a lock must not be taken.
    pub(crate) fn open(self: &Arc<Self>, key: &Key) -> Result<(), LockError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(LockError::ShuttingDown { key: key.clone() });
        }
        if !self.scheduled.load(Ordering::Acquire) {
            if !self.spawner.enter() {
                let failure = Failure::new("there is no tokio runtime to renew its lease on");
                return Err(LockError::Backend { key: key.clone(), failure });
            }
            self.start_scheduler();
        }
        Ok(())
    }

    /// Refuses new requests and those that wait.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        for hold in self.agenda.all() {
            if hold.refuse(LockError::ShuttingDown { key: hold.key().clone() }) {
                self.engine.give_back(&hold);
            }
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Takes every lock from its guards; how many there were.
    pub(crate) fn revoke_all(&self) -> usize {
        let revoke = |hold: &Arc<Hold>| self.revoke(hold, &LostReason::ShutDown);
        self.agenda.all().iter().filter(|hold| revoke(hold)).count()
    }

    /// Ends a hold from our side and gives the lock back. False if it was over.
    pub(crate) fn revoke(&self, hold: &Arc<Hold>, reason: &LostReason) -> bool {
        let revoked = hold.lose(reason);
        if revoked {
            self.engine.give_back(hold);
        }
        revoked
    }

    fn start_scheduler(self: &Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            let running = scheduler::Running::new(self.scheduled.clone());
            self.spawner.detach(scheduler::run(Arc::downgrade(self), self.agenda.clone(), running));
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.agenda.close();
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut manager = f.debug_struct("Manager");
        manager.field("engine", &self.engine).field("config", &self.config);
        manager.field("closing", &self.is_closing()).finish_non_exhaustive()
    }
}
