//! What a call costs in memory.

mod support;

use std::task::{Context, Waker};

use mainstay_breaker::{
    Breaker, CallRequest, Clock, ErrIsFailure, IntoError, ManualClock, Outcome, Run,
};
use support::*;

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

fn run(breaker: &Breaker) -> Result<u64, CallError> {
    let mut call = std::pin::pin!(breaker.call().run(async { Ok::<u64, CallError>(7) }));
    let mut cx = Context::from_waker(Waker::noop());
    match call.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("the work is done at once"),
    }
}

#[test]
fn a_call_allocates_nothing() {
    let breaker = Breaker::builder("bank").clock(Clock::boot()).build();
    run(&breaker).unwrap();
    assert_eq!(allocations(|| assert!((0..1_000).all(|_| run(&breaker) == Ok(7)))), 0);
    let slow = Breaker::builder("bank")
        .slow(secs(1), mainstay_breaker::Ratio::percent(50), 10)
        .consecutive(9)
        .build();
    run(&slow).unwrap();
    assert_eq!(allocations(|| assert!((0..1_000).all(|_| run(&slow) == Ok(7)))), 0);
}

#[test]
fn a_refusal_allocates_nothing() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    for _ in 0..10 {
        breaker.try_admit().unwrap().finish(Outcome::Failure);
    }
    assert!(run(&breaker).is_err());
    assert_eq!(allocations(|| assert!((0..1_000).all(|_| run(&breaker).is_err()))), 0);
    assert_eq!(breaker.snapshot().refused, 1_001);
}

#[test]
fn memory_does_not_grow_with_calls() {
    let time = ManualClock::new();
    let breaker = Breaker::builder("bank").clock(time.clock()).build();
    run(&breaker).unwrap();
    let grown = allocations(|| {
        for _ in 0..100_000 {
            time.advance(ms(1));
            breaker.try_admit().unwrap().finish(Outcome::Success);
        }
    });
    assert_eq!(grown, 0);
}

#[test]
fn the_work_is_stored_once() {
    fn size_of_run<F: Future<Output = Result<[u8; 1], CallError>>>(
        request: CallRequest,
        work: F,
    ) -> (usize, usize) {
        let bare = size_of::<F>();
        drop(request.run(work));
        (bare, size_of::<Run<F, ErrIsFailure, IntoError>>())
    }
    let breaker = Breaker::new("bank");
    let body = [7_u8; 1024];
    let work = async move {
        std::future::ready(()).await;
        Ok([body[0]])
    };
    let (bare, wrapped) = size_of_run(breaker.call(), work);
    assert!(bare >= 1024 && wrapped <= bare + 96, "{bare} bytes became {wrapped}");
}
