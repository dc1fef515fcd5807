//! A clock that tests move.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use super::{Clock, Moment, Source};

/// A clock that stands still until a test moves it.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use std::time::Duration;
/// use mainstay_core::ManualClock;
///
/// let time = ManualClock::new();
/// let (clock, hour) = (time.clock(), Duration::from_secs(3600));
/// let (_, ()) = tokio::join!(clock.sleep(hour), time.run_for(hour));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<State>);

impl ManualClock {
    /// How often [`run_for`](Self::run_for) lets other tasks run at each stop.
    const TURNS: usize = 64;

    /// A clock that shows the same time in every test run.
    pub fn new() -> Self {
        let now = Moment::from_nanos(0) + Duration::from_secs(1 << 20);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let inner = Inner { now, wall, next_id: 0, sleepers: BTreeMap::new() };
        Self(Arc::new(State(Mutex::new(inner))))
    }

    /// The clock to hand to the code under test.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.0.clone()))
    }

    /// Jumps ahead, as a suspended machine does, and wakes whoever slept until then.
    pub fn advance(&self, duration: Duration) {
        self.0.advance_to(self.0.now() + duration);
    }

    /// Moves ahead from one sleeper's deadline to the next and lets other tasks run at each stop.
    ///
    /// Meant for a current-thread runtime, where yielding lets every ready task run.
    pub async fn run_for(&self, duration: Duration) {
        let end = self.0.now() + duration;
        self.settle().await;
        while let Some(next) = self.0.next_deadline().filter(|next| *next <= end) {
            self.0.advance_to(next);
            self.settle().await;
        }
        self.0.advance_to(end);
        self.settle().await;
    }

    /// Lets other tasks of a current-thread runtime run, without moving the clock.
    pub async fn settle(&self) {
        for _ in 0..Self::TURNS {
            tokio::task::yield_now().await;
        }
    }

    /// How many sleeps are waiting: an event to wait for before moving the clock.
    pub fn sleepers(&self) -> usize {
        self.0.lock().sleepers.len()
    }

    /// Moves the calendar time only, in either direction.
    pub fn set_wall(&self, wall: SystemTime) {
        self.0.lock().wall = wall;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
pub(super) struct State(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    now: Moment,
    wall: SystemTime,
    next_id: u64,
    sleepers: BTreeMap<(Moment, u64), Waker>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Moment {
        self.lock().now
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.lock().wall
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.lock().sleepers.keys().next().map(|(deadline, _)| *deadline)
    }

    fn advance_to(&self, target: Moment) {
        let mut inner = self.lock();
        let now = inner.now.max(target);
        let passed = now.saturating_since(inner.now);
        inner.wall += passed;
        inner.now = now;
        let later = inner.sleepers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut inner.sleepers, later);
        // Wakers run foreign code: never under the lock.
        drop(inner);
        due.into_values().for_each(Waker::wake);
    }
}

/// One sleep on a manual clock.
#[derive(Debug)]
pub(super) struct Waiter {
    state: Arc<State>,
    deadline: Moment,
    id: Option<u64>,
}

impl Waiter {
    pub(super) fn new(state: Arc<State>, deadline: Moment) -> Self {
        Self { state, deadline, id: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.state.lock();
        if inner.now >= self.deadline {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert(inner.next_id);
        inner.next_id = inner.next_id.max(id + 1);
        inner.sleepers.insert((self.deadline, id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.state.lock().sleepers.remove(&(self.deadline, id));
        }
    }
}
