//! Accidents that this crate is there to prevent.

mod support;

use std::collections::VecDeque;

use mainstay_breaker::{Breaker, BreakerError, CallPermit, ManualClock, Outcome, Ratio, Reason};
use support::*;

/// A pool of ten workers; a call waits for one, then takes its time.
#[derive(Default)]
struct Pool {
    /// When each worker is free again.
    busy: Vec<u64>,
    waiting: VecDeque<Option<CallPermit>>,
    running: Vec<(u64, Option<CallPermit>)>,
    peak: usize,
}

impl Pool {
    const WORKERS: usize = 10;

    fn arrive(&mut self, permit: Option<CallPermit>) {
        self.waiting.push_back(permit);
    }

    /// Ends what is done by `now` and starts what can be started.
    fn work(&mut self, now: u64, took: u64) {
        self.busy.retain(|until| *until > now);
        let (done, running) = self.running.drain(..).partition(|(until, _)| *until <= now);
        self.running = running;
        let done: Vec<_> = done;
        for (_, permit) in done {
            if let Some(permit) = permit {
                permit.finish(Outcome::Success);
            }
        }
        while self.busy.len() < Self::WORKERS {
            let Some(permit) = self.waiting.pop_front() else { break };
            self.busy.push(now + took);
            self.running.push((now + took, permit));
        }
        self.peak = self.peak.max(self.waiting.len());
    }
}

/// A call every 10 ms for a minute; after the first second calls take 100 times as long.
fn day_of_jitter(breaker: Option<(&Breaker, &ManualClock)>) -> (Pool, Vec<BreakerError>) {
    let (mut pool, mut refused) = (Pool::default(), Vec::new());
    for tick in 0..6_000_u64 {
        match breaker {
            None => pool.arrive(None),
            Some((breaker, time)) => {
                time.advance(ms(10));
                match breaker.try_admit() {
                    Ok(permit) => pool.arrive(Some(permit)),
                    Err(error) => refused.push(error),
                }
            }
        }
        pool.work(tick * 10, if tick < 100 { 20 } else { 2_000 });
    }
    (pool, refused)
}

#[test]
fn jitter_backlog_bounded() {
    let (naive, _) = day_of_jitter(None);
    assert!(naive.peak > 5_000, "without a breaker the queue grows and grows: {}", naive.peak);

    let time = ManualClock::new();
    let breaker =
        Breaker::builder("bank").clock(time.clock()).slow(ms(500), Ratio::percent(5), 5).build();
    let (guarded, refused) = day_of_jitter(Some((&breaker, &time)));
    assert!(guarded.peak < 250, "what came before the first slow answer: {}", guarded.peak);
    assert!(refused.len() > 5_000);
    assert!(matches!(
        &refused[0],
        BreakerError::Open { reason: Reason::SlowRate { .. }, retry_after, .. }
            if !retry_after.is_zero()
    ));
    assert!(refused.iter().all(|error| error.retry_after().is_some()));
}
