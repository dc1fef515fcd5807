//! Waits for a future in this thread.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use super::wall;

/// Waits for futures, one after the other, in the thread that made it.
///
/// Cheaper than a runtime's `block_on`, so that it hides less of what is measured, and without
/// tokio's budget, which would send tokio's own primitives through an extra turn.
#[derive(Debug)]
pub struct Parker {
    woken: Arc<Woken>,
    waker: Waker,
}

#[derive(Debug)]
struct Woken {
    thread: Thread,
    is: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// How long nothing happens before we look ourselves, and say so. Seen with
/// tower-resilience's breaker and two threads; why is not known for sure.
const LOST: Duration = Duration::from_millis(100);

impl Parker {
    /// Waits in the current thread.
    #[expect(clippy::new_without_default, reason = "it belongs to the thread that made it")]
    pub fn new() -> Self {
        let woken = Arc::new(Woken { thread: thread::current(), is: AtomicBool::new(false) });
        Self { waker: Waker::from(woken.clone()), woken }
    }

    /// Waits for `future`.
    #[inline]
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut context = Context::from_waker(&self.waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => self.park(),
            }
        }
    }

    #[cold]
    fn park(&self) {
        // Parking may end early; then it is polled again.
        let before = wall();
        thread::park_timeout(LOST);
        if !self.woken.is.swap(false, Ordering::AcqRel) && wall() - before >= LOST {
            eprintln!("nobody woke a future that was not done: polled again");
        }
    }
}
