//! Drops a future at every await that it has.
//!
//! A future that may be dropped at any await has as many ends as it has awaits. These helpers make
//! a fresh future, poll it once, drop it; make another, poll it twice, drop it; and so on until one
//! completes. They need no runtime and no clock.
//!
//! Each await is visited twice, because a waiter may be dropped in two moments:
//!
//! 1. while nothing has happened since it went to sleep, and
//! 2. after it was woken and before it looked, when what it waited for (a lock, a slot) is already
//!    its own although it does not know. This is where hand-offs leak.
//!
//! # Examples
//!
//! ```
//! use mainstay_testkit::cancel::{cancel_at_every_await, yield_once};
//!
//! let done = cancel_at_every_await(|| async {
//!     yield_once().await;
//!     yield_once().await;
//!     7
//! });
//! assert_eq!((done.output, done.polls), (7, 3));
//! ```
//!
//! With a step between two polls (advance a clock, release what the future waits for) and a check
//! after each drop:
//!
//! ```
//! use std::cell::Cell;
//! use mainstay_testkit::cancel::{EveryAwait, yield_once};
//!
//! let held = Cell::new(0);
//! EveryAwait::new()
//!     .between_polls(|| { /* clock.advance(..) */ })
//!     .after_drop(|at| assert_eq!(held.get(), 0, "left behind by {at}"))
//!     .run(|| yield_once());
//! ```

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Polls before a future counts as stuck; see [`EveryAwait::limit`].
const LIMIT: usize = 1_000;

/// Drops fresh futures of `make` at every await, until one completes.
///
/// Suits futures that make progress by being polled. For one that waits for somebody else use
/// [`EveryAwait`] with a step between polls, or [`cancel_at_every_await_async`] on a runtime.
///
/// # Panics
///
/// When a future is still pending after 1,000 polls.
pub fn cancel_at_every_await<F: Future>(make: impl FnMut() -> F) -> Done<F::Output> {
    EveryAwait::new().run(make)
}

/// As [`cancel_at_every_await`], for futures that need the runtime this one is awaited on.
///
/// A future is polled again only when it was woken, so timers, sockets and other tasks take part.
/// A future that is never woken hangs the test instead of panicking: run tests with a time limit.
///
/// # Cancel safety
///
/// Dropping this future drops the one under test at the await it is in.
///
/// # Panics
///
/// When a future is still pending after 1,000 polls.
pub async fn cancel_at_every_await_async<F: Future>(
    mut make: impl FnMut() -> F,
) -> Done<F::Output> {
    for polls in 0..=LIMIT {
        for moment in Moment::ALL {
            if let Some(output) = poll_up_to(make(), polls, moment).await {
                return Done { output, polls };
            }
        }
    }
    panic!("the future is still pending after {LIMIT} polls");
}

/// Polls `future` whenever it is woken, `polls` times at most, and then drops it.
async fn poll_up_to<F: Future>(future: F, polls: usize, moment: Moment) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 && moment == Moment::Asleep => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// What [`cancel_at_every_await`] found out about a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Done<T> {
    /// What the future that was allowed to finish returned.
    pub output: T,
    /// How many polls it took: the number of awaits that were visited, plus one.
    pub polls: usize,
}

/// Where a future was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DropPoint {
    /// Polls it had seen; 0 means it was never polled.
    pub polls: usize,
    /// Before or after what it waited for happened.
    pub moment: Moment,
}

impl fmt::Display for DropPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = match self.moment {
            Moment::Asleep => "before it was woken",
            Moment::Woken => "after it was woken",
        };
        write!(f, "a future dropped after {} polls, {moment}", self.polls)
    }
}

/// The two moments in which a waiting future may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Right after it returned pending.
    Asleep,
    /// After the step between two polls, when it may have been given what it waits for.
    Woken,
}

impl Moment {
    const ALL: [Self; 2] = [Self::Asleep, Self::Woken];
}

/// [`cancel_at_every_await`] with a step between polls and a check after each drop.
pub struct EveryAwait<'a> {
    limit: usize,
    between: Box<dyn FnMut() + 'a>,
    after_drop: Box<dyn FnMut(DropPoint) + 'a>,
}

impl<'a> EveryAwait<'a> {
    /// A run without a step and without a check.
    #[must_use]
    pub fn new() -> Self {
        Self { limit: LIMIT, between: Box::new(|| {}), after_drop: Box::new(|_| {}) }
    }

    /// Runs `step` after each pending poll: advance a clock, release what is waited for.
    #[must_use]
    pub fn between_polls(mut self, step: impl FnMut() + 'a) -> Self {
        self.between = Box::new(step);
        self
    }

    /// Runs `check` after each future that was dropped unfinished.
    #[must_use]
    pub fn after_drop(mut self, check: impl FnMut(DropPoint) + 'a) -> Self {
        self.after_drop = Box::new(check);
        self
    }

    /// Sets how many polls a future may take before it counts as stuck (1,000 unless told).
    #[must_use]
    pub fn limit(mut self, polls: usize) -> Self {
        self.limit = polls;
        self
    }

    /// Drops fresh futures of `make` at every await, until one completes.
    ///
    /// # Panics
    ///
    /// When a future is still pending after [`limit`](Self::limit) polls.
    pub fn run<F: Future>(mut self, mut make: impl FnMut() -> F) -> Done<F::Output> {
        let mut woken = true;
        for polls in 0..=self.limit {
            for moment in Moment::ALL {
                let at = DropPoint { polls, moment };
                if let Some(output) = self.visit(make(), at, &mut woken) {
                    return Done { output, polls };
                }
                (self.after_drop)(at);
            }
        }
        let hint = if woken {
            "it kept being woken"
        } else {
            "nobody woke it: does it need a step between polls, or a runtime?"
        };
        panic!("the future is still pending after {} polls; {hint}", self.limit);
    }

    /// Polls `future` as often as `at` says and drops it there, unless it completes.
    fn visit<F: Future>(
        &mut self,
        future: F,
        at: DropPoint,
        woken: &mut bool,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        for poll in 1..=at.polls {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
            if poll < at.polls || at.moment == Moment::Woken {
                (self.between)();
            }
            *woken = flag.woken.swap(false, Ordering::Relaxed);
        }
        None
    }
}

impl Default for EveryAwait<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EveryAwait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EveryAwait").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Remembers that the future under test was woken.
#[derive(Default)]
struct Flag {
    woken: AtomicBool,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
    }
}

/// Returns pending once and wakes itself: one await, on any runtime.
#[must_use = "futures do nothing unless polled"]
pub fn yield_once() -> YieldOnce {
    YieldOnce { yielded: false }
}

/// Future of [`yield_once`].
#[derive(Debug)]
pub struct YieldOnce {
    yielded: bool,
}

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// Three awaits, counting how many futures are alive past the first.
    async fn work(held: &Cell<u32>) -> &'static str {
        struct Held<'a>(&'a Cell<u32>);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        yield_once().await;
        held.set(held.get() + 1);
        let _held = Held(held);
        yield_once().await;
        yield_once().await;
        "done"
    }

    #[test]
    fn every_await_is_visited_in_both_moments() {
        let held = Cell::new(0);
        let dropped = RefCell::new(Vec::new());
        let done = EveryAwait::new()
            .after_drop(|at| {
                assert_eq!(held.get(), 0, "left behind by {at}");
                dropped.borrow_mut().push((at.polls, at.moment));
            })
            .run(|| work(&held));
        assert_eq!(done.output, "done");
        assert_eq!(done.polls, 4);
        let expected: Vec<_> =
            (0..4).flat_map(|polls| Moment::ALL.map(|moment| (polls, moment))).collect();
        assert_eq!(dropped.into_inner(), expected);
    }

    #[test]
    fn the_step_runs_before_a_woken_drop_and_not_before_a_sleeping_one() {
        let steps = Cell::new(0);
        let seen = RefCell::new(Vec::new());
        EveryAwait::new()
            .between_polls(|| steps.set(steps.get() + 1))
            .after_drop(|at| {
                if at.polls == 1 {
                    seen.borrow_mut().push((at.moment, steps.get()));
                }
            })
            .run(yield_once);
        assert_eq!(seen.into_inner(), [(Moment::Asleep, 0), (Moment::Woken, 1)]);
    }

    #[test]
    #[should_panic(expected = "left behind")]
    fn a_leak_is_found() {
        let held = Cell::new(0);
        EveryAwait::new().after_drop(|at| assert_eq!(held.get(), 0, "left behind by {at}")).run(
            || async {
                held.set(held.get() + 1);
                yield_once().await;
                held.set(held.get() - 1);
            },
        );
    }

    #[test]
    #[should_panic(expected = "nobody woke it")]
    fn a_future_that_nobody_wakes_is_named() {
        EveryAwait::new().limit(10).run(std::future::pending::<()>);
    }

    #[tokio::test]
    async fn on_a_runtime_the_future_is_polled_when_woken() {
        let held = Cell::new(0);
        let done = cancel_at_every_await_async(|| work(&held)).await;
        assert_eq!((done.output, done.polls, held.get()), ("done", 4, 0));
    }
}
