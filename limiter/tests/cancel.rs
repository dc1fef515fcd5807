//! Futures dropped at every await leave nothing behind.

mod support;

use std::cell::RefCell;

use mainstay_limiter::{
    Bulkhead, Limit, LimitError, Limiter, ManualClock, Permit, Quota, RateLimit,
};
use mainstay_testkit::cancel::{EveryAwait, yield_once};
use support::{ms, scope, used};

/// A bank with one slot, and somebody in it.
struct Bank {
    limiter: Limiter,
    time: ManualClock,
    occupant: RefCell<Option<Permit>>,
}

impl Bank {
    fn new() -> Self {
        let time = ManualClock::new();
        let builder = Limiter::builder().clock(time.clock()).limit("global", Limit::max(1));
        let limiter = builder.limit("bank", Limit::max(1)).in_process();
        Self { limiter, time, occupant: RefCell::new(None) }
    }

    fn occupy(&self) {
        let permit = self.limiter.try_acquire("bank").expect("nobody is in");
        *self.occupant.borrow_mut() = Some(permit);
    }

    fn vacate(&self) {
        drop(self.occupant.borrow_mut().take());
    }

    fn is_empty(&self) {
        self.vacate();
        for name in ["global", "bank"] {
            assert_eq!(used(&self.limiter, name), 0, "a slot of {name} is lost");
            assert_eq!(scope(&self.limiter, name).waiting, 0, "a waiter of {name} stays");
        }
        drop(self.limiter.try_acquire("bank").expect("the slot can be taken again"));
    }

    /// Drops fresh futures at every await, with the slot freed between two polls.
    fn every_await<F: Future>(&self, make: impl Fn() -> F) -> usize {
        let run = EveryAwait::new().between_polls(|| self.vacate()).after_drop(|at| {
            eprintln!("{at}");
            self.is_empty();
        });
        let polls = run
            .run(|| {
                self.occupy();
                make()
            })
            .polls;
        self.is_empty();
        polls
    }
}

#[test]
fn a_request_that_waits() {
    let bank = Bank::new();
    let polls = bank.every_await(|| {
        let request = bank.limiter.acquire("bank").wait(ms(1000));
        async move { request.await.map(drop) }
    });
    assert_eq!(polls, 2, "it waited");
}

#[test]
fn a_request_with_an_id_that_waits() {
    let bank = Bank::new();
    bank.every_await(|| {
        let request = bank.limiter.acquire("bank").id("order-7").wait(ms(1000));
        async move { request.await.map(drop) }
    });
    let fresh = bank.limiter.acquire("bank").id("order-7").permits(1).into_future();
    drop(support::granted(&mut { fresh }));
}

#[test]
fn work_that_runs_inside_a_permit() {
    let bank = Bank::new();
    let polls = bank.every_await(|| {
        let request = bank.limiter.acquire("bank").wait(ms(1000));
        let handle = request.handle();
        request.run(async move {
            assert!(handle.is_held());
            yield_once().await;
            yield_once().await;
            Ok::<_, LimitError>(())
        })
    });
    assert_eq!(polls, 4, "one wait, two awaits, the end");
}

#[test]
fn work_that_asked_to_keep_its_slot_keeps_it() {
    let bank = Bank::new();
    let request = bank.limiter.acquire("bank");
    let handle = request.handle();
    let mut work = Box::pin(request.run(async move {
        drop(handle.hold(ms(100)));
        yield_once().await;
        Ok::<_, LimitError>(())
    }));
    assert!(support::poll(&mut work).is_pending());
    drop(work);
    assert_eq!(used(&bank.limiter, "bank"), 1, "its outcome is not known");
    bank.time.advance(ms(100));
    bank.limiter.snapshot();
    bank.is_empty();
}

#[test]
fn nested_work_in_a_bulkhead() {
    let time = ManualClock::new();
    let pool = Bulkhead::builder("pool").slots(1).clock(time.clock()).build();
    let occupant = RefCell::new(None);
    let empty = || {
        drop(occupant.borrow_mut().take());
        let seen = pool.snapshot().unwrap();
        assert_eq!((seen.used, seen.waiting), (0, 0));
    };
    let run = EveryAwait::new().between_polls(|| drop(occupant.borrow_mut().take()));
    run.after_drop(|_| empty()).run(|| {
        *occupant.borrow_mut() = Some(pool.try_acquire().unwrap());
        let nested = pool.acquire().run(async {
            yield_once().await;
            Ok::<_, LimitError>(())
        });
        pool.acquire().wait(ms(1000)).run(async move {
            yield_once().await;
            nested.await
        })
    });
    empty();
}

#[test]
fn a_wait_for_a_rate() {
    let time = ManualClock::new();
    let rate = RateLimit::with_clock("sms", Quota::per_second(10).burst(1), time.clock());
    let run = EveryAwait::new().between_polls(|| time.advance(ms(100)));
    let done = run
        .after_drop(|at| {
            time.advance(ms(1000));
            assert!(rate.check().is_ok(), "a cell is lost with {at}");
            time.advance(ms(1000));
        })
        .run(|| {
            assert!(rate.check().is_ok());
            rate.until_ready(ms(500))
        });
    assert!(done.output.is_ok() && done.polls == 2);
}
