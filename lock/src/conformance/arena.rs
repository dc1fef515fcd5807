//! Where cases run: clients of one backend, and their time.

use std::{fmt, time::Duration};

use mainstay_core::{Clock, Key, ManualClock};
use tokio::task::JoinHandle;

use super::Broken;
use crate::{builder::LocksBuilder, locks::Locks, spawn::Spawner};

/// Clients of one backend, and the time they live in.
pub struct Arena {
    client: Box<dyn Fn(LocksBuilder) -> Locks + Send + Sync>,
    clock: Clock,
    manual: Option<ManualClock>,
    patience: Duration,
    spawner: Spawner,
    /// Names of its own on a server that others use too.
    salt: u64,
}

impl Arena {
    /// An arena whose time moves only when a case says so; for a current-thread runtime.
    ///
    /// `client` makes one more client of the backend. The backend must run on the same clock.
    pub fn manual(
        time: ManualClock,
        client: impl Fn(LocksBuilder) -> Locks + Send + Sync + 'static,
    ) -> Self {
        Self { clock: time.clock(), manual: Some(time), ..Self::real(client) }
    }

    /// An arena in real time, for backends with a clock of their own.
    pub fn real(client: impl Fn(LocksBuilder) -> Locks + Send + Sync + 'static) -> Self {
        let client = Box::new(client);
        let (clock, salt) = (Clock::boot(), fastrand::u64(..));
        let spawner = Spawner::default();
        Self { client, clock, manual: None, patience: PATIENCE, spawner, salt }
    }

    /// Waits so long for each step instead of 20 s: for backends that are made slow.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// One more client, as in another process.
    pub(super) fn client(&self) -> Locks {
        (self.client)(Locks::builder().clock(self.clock.clone()).lease(LEASE).wait(self.patience))
    }

    /// The name of a case's lock.
    pub(super) fn key(&self, case: &str) -> Result<Key, Broken> {
        Ok(Key::from_parts(["conformance", &format!("{:x}", self.salt), case])?)
    }

    /// Lets time pass for everybody.
    pub(super) async fn pass(&self, duration: Duration) {
        match &self.manual {
            Some(time) => time.run_for(duration).await,
            None => self.clock.sleep(duration).await,
        }
    }

    /// Waits for `future`, letting time pass for at most the arena's patience.
    pub(super) async fn within<T>(
        &self,
        what: &str,
        future: impl IntoFuture<Output = T>,
    ) -> Result<T, Broken> {
        let future = future.into_future();
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.pass(self.patience) => Err(format!("{what}: not within {:?}", self.patience).into()),
        }
    }

    /// Waits until `count` requests wait for `key`.
    pub(super) async fn until_waiting(
        &self,
        locks: &Locks,
        key: &Key,
        count: usize,
    ) -> Result<(), Broken> {
        self.until(&format!("{count} waiters"), async || {
            Ok(locks.inspect(key).await?.waiters == count)
        })
        .await
    }

    /// Waits until nobody holds `key` or waits for it.
    pub(super) async fn until_quiet(&self, locks: &Locks, key: &Key) -> Result<(), Broken> {
        self.until("nobody holds it or waits for it", async || {
            let info = locks.inspect(key).await?;
            Ok(!info.is_held() && info.waiters == 0)
        })
        .await
    }

    async fn until(
        &self,
        what: &str,
        holds: impl AsyncFn() -> Result<bool, Broken>,
    ) -> Result<(), Broken> {
        for _ in 0..TURNS {
            if self.within(what, holds()).await?? {
                return Ok(());
            }
            self.pass(TURN).await;
        }
        Err(format!("never seen: {what}").into())
    }

    /// Runs `work` beside the case.
    pub(super) fn spawn<F>(&self, work: F) -> Result<JoinHandle<F::Output>, Broken>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.spawner.detach(work).ok_or_else(|| "cases run on a tokio runtime".into())
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Of every client, unless a case says otherwise.
pub(super) const LEASE: Duration = Duration::from_secs(2);

/// Longer than anything should take.
const PATIENCE: Duration = Duration::from_secs(20);

const TURN: Duration = Duration::from_millis(5);
const TURNS: usize = 2_000;
