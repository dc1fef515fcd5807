//! The layer: the contract of tower, and of this family.

mod support;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use mainstay_breaker::{
    Breaker, BreakerError, BreakerLayer, ManualClock, Outcome, ResponseFuture, State,
};
use mainstay_testkit::tower_contract::{Probe, keeps_every_contract};
use support::*;
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt,
    balance::p2c::Balance,
    buffer::Buffer,
    discover::ServiceList,
    load::Constant,
    load_shed::{LoadShed, error::Overloaded},
    service_fn,
};

type Answer = Result<(), CallError>;

fn guarded(
    breaker: &Breaker,
) -> impl Service<Answer, Response = (), Error = CallError> + Clone + use<> {
    let inner = service_fn(|answer: Answer| async move { answer });
    BreakerLayer::new(breaker.clone()).classify(judge).layer(inner)
}

#[tokio::test]
async fn the_layer_keeps_every_contract() {
    let time = ManualClock::new();
    let layer = BreakerLayer::new(builder(&time).build());
    keeps_every_contract::<_, u32, CallError>(&layer, || 7).await;
}

#[tokio::test]
async fn half_open_idle_services_hold_no_trial_permit() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    time.advance(secs(10));
    let (probe, _) = Probe::<CallError>::new();
    let service = BreakerLayer::new(breaker.clone()).layer(probe);
    let mut idle: Vec<_> = (0..64).map(|_| service.clone()).collect();
    for service in &mut idle {
        assert!(
            Service::<u32>::poll_ready(service, &mut Context::from_waker(Waker::noop())).is_ready()
        );
    }
    goods(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Closed);
    // Asked when half-open, called when closed: it was ready.
    assert_eq!(idle.pop().unwrap().call(7).await, Ok(7));
}

#[tokio::test]
async fn a_trial_call_is_made_through_the_layer_and_its_dropped_future_gives_it_back() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    time.advance(secs(10));
    let mut service = guarded(&breaker);
    for _ in 0..9 {
        drop(service.ready().await.unwrap().call(Ok(())));
    }
    for _ in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(Ok(())).await, Ok(()));
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn while_open_it_is_ready_without_asking_and_refuses() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    let (probe, handle) = Probe::<CallError>::new();
    handle.set_busy(true);
    let mut service = BreakerLayer::new(breaker.clone()).layer(probe);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(Service::<u32>::poll_ready(&mut service, &mut cx), Poll::Ready(Ok(()))));
    let refused = service.call(7).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused(error) if error.is_open()));
    assert_eq!((handle.readied(), handle.calls()), (0, 0));
}

#[tokio::test]
async fn a_breaker_that_closed_since_it_was_asked_still_refuses() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    let (probe, handle) = Probe::<CallError>::new();
    handle.set_busy(true);
    let mut service = BreakerLayer::new(breaker.clone()).layer(probe);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Service::<u32>::poll_ready(&mut service, &mut cx).is_ready());
    breaker.reset();
    let refused = service.call(7).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused(BreakerError::Open { retry_after, .. })
        if retry_after.is_zero()));
    assert_eq!(handle.calls(), 0);
    // The refusal used the readiness up.
    assert!(Service::<u32>::poll_ready(&mut service, &mut cx).is_pending());
}

#[tokio::test]
async fn a_clone_of_a_ready_service_has_not_been_asked() {
    let time = ManualClock::new();
    let (probe, handle) = Probe::<CallError>::new();
    let mut service = BreakerLayer::new(builder(&time).build()).layer(probe);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Service::<u32>::poll_ready(&mut service, &mut cx).is_ready());
    let unasked = service.clone().call(7).await;
    assert!(matches!(unasked, Err(CallError::Refused(_))), "it does not reach the inner service");
    assert_eq!((service.call(7).await, handle.calls()), (Ok(7), 1));
}

#[tokio::test]
async fn failures_of_the_service_open_it_for_every_clone() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let mut service = guarded(&breaker);
    for _ in 0..10 {
        let answer = service.ready().await.unwrap().call(Err(CallError::Bad)).await;
        assert_eq!(answer, Err(CallError::Bad));
    }
    let refused = service.clone().oneshot(Ok(())).await;
    assert!(refusal(refused).is_open());
}

#[tokio::test]
async fn a_panic_in_call_is_a_failure() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let inner = service_fn(|()| -> std::future::Ready<Answer> { panic!("in call") });
    let mut service = BreakerLayer::new(breaker.clone()).layer(inner);
    service.ready().await.unwrap();
    assert!(std::panic::catch_unwind(AssertUnwindSafe(|| drop(service.call(())))).is_err());
    assert_eq!(breaker.snapshot().tally.failure, 1);
}

#[tokio::test]
async fn a_boxed_error_holds_the_refusal() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    let inner = service_fn(|()| async { Ok::<(), BoxError>(()) });
    let error = BreakerLayer::new(breaker).layer(inner).oneshot(()).await.unwrap_err();
    assert!(error.downcast_ref::<BreakerError>().is_some_and(BreakerError::is_open));
}

#[tokio::test]
async fn a_service_that_cannot_fail_says_what_a_refused_call_returns() {
    let time = ManualClock::new();
    let breaker = builder(&time).consecutive(1).build();
    let status = |result: Result<&u16, &Infallible>| match result {
        Ok(500..) => Outcome::Failure,
        _ => Outcome::Success,
    };
    let mut service = ServiceBuilder::new()
        .layer(BreakerLayer::new(breaker).classify(status).on_reject(|refused| {
            assert!(refused.is_open());
            Ok::<u16, Infallible>(503)
        }))
        .service(service_fn(|status: u16| async move { Ok::<u16, Infallible>(status) }));
    assert_eq!(service.ready().await.unwrap().call(500).await, Ok(500));
    assert_eq!(service.ready().await.unwrap().call(200).await, Ok(503));
}

#[tokio::test]
async fn a_buffer_in_front_survives_an_outage() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let inner = service_fn(|()| async { Ok::<(), BoxError>(()) });
    let mut service = Buffer::new(BreakerLayer::new(breaker.clone()).layer(inner), 4);
    open(&breaker).await;
    for _ in 0..20 {
        let error = service.ready().await.unwrap().call(()).await.unwrap_err();
        assert!(error.is::<BreakerError>(), "the buffer lives on: {error}");
    }
    time.advance(secs(10));
    for _ in 0..20 {
        service.ready().await.unwrap().call(()).await.unwrap();
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn load_shed_in_front_sheds_nothing_of_an_open_breaker() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    let (probe, handle) = Probe::<BoxError>::new();
    handle.set_busy(true);
    let mut service = LoadShed::new(BreakerLayer::new(breaker.clone()).layer(probe));
    let error = ServiceExt::<u32>::ready(&mut service).await.unwrap().call(7).await.unwrap_err();
    assert!(error.is::<BreakerError>(), "{error}");
    breaker.reset();
    let error = ServiceExt::<u32>::ready(&mut service).await.unwrap().call(7).await.unwrap_err();
    assert!(error.is::<Overloaded>(), "{error}");
}

#[tokio::test]
async fn a_balancer_goes_on_with_the_others() {
    let time = ManualClock::new();
    let called = Arc::new(AtomicUsize::new(0));
    let breakers = [builder(&time).build(), builder(&time).build()];
    let services = breakers.clone().map(|breaker| {
        let called = called.clone();
        let inner = service_fn(move |()| {
            called.fetch_add(1, Ordering::Relaxed);
            async { Ok::<(), BoxError>(()) }
        });
        Constant::new(BreakerLayer::new(breaker).layer(inner), 1)
    });
    let mut balance = Balance::new(ServiceList::new::<()>(services));
    open(&breakers[0]).await;
    let mut answered = 0;
    for _ in 0..100 {
        answered += usize::from(balance.ready().await.unwrap().call(()).await.is_ok());
    }
    assert_eq!(answered, called.load(Ordering::Relaxed));
    assert!(answered > 0, "an open breaker fails no `poll_ready`, so its endpoint stays");
}

#[test]
fn the_future_is_named_and_small() {
    type Bare = std::future::Ready<Answer>;
    type Guarded =
        ResponseFuture<Bare, mainstay_breaker::ErrIsFailure, mainstay_breaker::IntoError>;
    assert!(size_of::<Guarded>() <= size_of::<Bare>() + 64, "{}", size_of::<Guarded>());
}
