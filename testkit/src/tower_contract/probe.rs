use std::{
    convert::Infallible,
    fmt,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tower_service::Service;

/// Inner service of a layer under test: answers each request with itself.
///
/// `call` panics unless `poll_ready` of the same value returned ready since the call before. A
/// clone starts unready, as the clone of any service does.
pub struct Probe<E = Infallible> {
    ready: bool,
    shared: Arc<Mutex<State>>,
    error: PhantomData<fn() -> E>,
}

#[derive(Default)]
struct State {
    clones: u64,
    readied: u64,
    calls: u64,
    answered: u64,
    in_flight: u64,
    busy: bool,
    holding: bool,
    wakers: Vec<Waker>,
}

impl<E> Probe<E> {
    /// A probe that is ready and answers at once, and the handle that says otherwise.
    #[must_use]
    pub fn new() -> (Self, ProbeHandle) {
        let shared = Arc::default();
        let handle = ProbeHandle { shared: Arc::clone(&shared) };
        let probe = Self { ready: false, shared, error: PhantomData };
        (probe, handle)
    }
}

impl<E> Clone for Probe<E> {
    fn clone(&self) -> Self {
        lock(&self.shared).clones += 1;
        Self { ready: false, shared: Arc::clone(&self.shared), error: PhantomData }
    }
}

impl<R: Unpin, E> Service<R> for Probe<E> {
    type Response = R;
    type Error = E;
    type Future = ProbeFuture<R, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let mut state = lock(&self.shared);
        if state.busy {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        state.readied += 1;
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        assert!(
            mem::take(&mut self.ready),
            "the layer called a service that had not answered ready: \
             either `poll_ready` was not forwarded, or the call went to a clone of the ready service"
        );
        let mut state = lock(&self.shared);
        state.calls += 1;
        state.in_flight += 1;
        drop(state);
        ProbeFuture { request: Some(request), shared: Arc::clone(&self.shared), error: PhantomData }
    }
}

impl<E> fmt::Debug for Probe<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// Future of [`Probe`]; in flight from `call` until it is dropped or has answered.
pub struct ProbeFuture<R, E> {
    request: Option<R>,
    shared: Arc<Mutex<State>>,
    error: PhantomData<fn() -> E>,
}

impl<R: Unpin, E> Future for ProbeFuture<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.shared);
        if state.holding {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        state.answered += 1;
        state.in_flight -= 1;
        drop(state);
        let request = self.request.take();
        Poll::Ready(Ok(request.expect("not polled after completion")))
    }
}

impl<R, E> Drop for ProbeFuture<R, E> {
    fn drop(&mut self) {
        if self.request.is_some() {
            lock(&self.shared).in_flight -= 1;
        }
    }
}

impl<R, E> fmt::Debug for ProbeFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeFuture").finish_non_exhaustive()
    }
}

/// Sees what happened to a [`Probe`] and its clones, and makes them busy or slow.
#[derive(Clone)]
pub struct ProbeHandle {
    shared: Arc<Mutex<State>>,
}

impl ProbeHandle {
    /// How often a probe was cloned.
    #[must_use]
    pub fn clones(&self) -> u64 {
        lock(&self.shared).clones
    }

    /// How often `poll_ready` answered ready.
    #[must_use]
    pub fn readied(&self) -> u64 {
        lock(&self.shared).readied
    }

    /// How often `call` was called.
    #[must_use]
    pub fn calls(&self) -> u64 {
        lock(&self.shared).calls
    }

    /// How many calls were answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        lock(&self.shared).answered
    }

    /// How many calls are neither answered nor dropped.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        lock(&self.shared).in_flight
    }

    /// Makes `poll_ready` pending, or ready again.
    pub fn set_busy(&self, busy: bool) {
        self.update(|state| state.busy = busy);
    }

    /// Makes calls wait, or answers all that wait.
    pub fn set_holding(&self, holding: bool) {
        self.update(|state| state.holding = holding);
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.shared);
        change(&mut state);
        let wakers = mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for ProbeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.shared);
        f.debug_struct("ProbeHandle")
            .field("readied", &state.readied)
            .field("calls", &state.calls)
            .field("in_flight", &state.in_flight)
            .finish_non_exhaustive()
    }
}

/// A test that panicked while it held the state must not hide its own message behind a second one.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
