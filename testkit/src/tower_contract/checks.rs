use std::{
    fmt::Debug,
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, Waker},
};

use tower_layer::Layer;
use tower_service::Service;

use super::probe::Probe;

/// More idle services than any limit that a test's layer has.
const CROWD: usize = 64;

/// Runs every check of this module.
///
/// # Panics
///
/// When the layer breaks one of them.
pub async fn keeps_every_contract<L, R, E>(layer: &L, mut request: impl FnMut() -> R)
where
    L: Layer<Probe<E>>,
    L::Service: Service<R, Response = R, Error = E> + Clone,
    R: PartialEq + Debug + Unpin,
    E: Debug,
{
    asks_before_it_calls(layer, &mut request).await;
    forwards_readiness::<L, R, E>(layer);
    holds_nothing_while_idle(layer, &mut request).await;
    holds_nothing_after_drop(layer, &mut request).await;
}

/// Calls through services, clones and clones of ready services: the probe panics if one of them
/// reaches it without having been asked.
///
/// # Panics
///
/// When the layer calls a service that did not answer ready, or changes the answer.
pub async fn asks_before_it_calls<L, R, E>(layer: &L, mut request: impl FnMut() -> R)
where
    L: Layer<Probe<E>>,
    L::Service: Service<R, Response = R, Error = E> + Clone,
    R: PartialEq + Debug + Unpin,
    E: Debug,
{
    let (probe, handle) = Probe::new();
    let mut service = layer.layer(probe);
    call(&mut service, &mut request, "a first call").await;
    call(&mut service, &mut request, "a second call").await;
    call(&mut service.clone(), &mut request, "a call of a clone").await;

    ready(&mut service, "the original").await;
    call(&mut service.clone(), &mut request, "a call of a clone of a ready service").await;
    // The readiness that the original was given is still its own.
    answer(&mut service, &mut request, "a call after its clone's").await;
    assert_eq!(handle.answered(), 5, "every call reaches the service once");
}

/// Makes the probe busy: a service must either say so, or not call the probe.
///
/// # Panics
///
/// When the service answers ready although the inner one is busy.
pub fn forwards_readiness<L, R, E>(layer: &L)
where
    L: Layer<Probe<E>>,
    L::Service: Service<R, Response = R, Error = E>,
    R: Unpin,
    E: Debug,
{
    let (probe, handle) = Probe::new();
    handle.set_busy(true);
    let mut service = layer.layer(probe);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        service.poll_ready(&mut cx).is_pending(),
        "the inner service is busy, and the layer's service answered"
    );
    handle.set_busy(false);
    assert!(
        matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))),
        "the inner service is ready again, and the layer's service is not"
    );
}

/// Lets many clones become ready, keeps them idle, and calls through one more: as a buffer, a
/// balancer or a router does all day.
///
/// # Panics
///
/// When the call does not get through.
pub async fn holds_nothing_while_idle<L, R, E>(layer: &L, mut request: impl FnMut() -> R)
where
    L: Layer<Probe<E>>,
    L::Service: Service<R, Response = R, Error = E> + Clone,
    R: PartialEq + Debug + Unpin,
    E: Debug,
{
    let (probe, handle) = Probe::new();
    let service = layer.layer(probe);
    let mut idle: Vec<_> = (0..CROWD).map(|_| service.clone()).collect();
    for (index, clone) in idle.iter_mut().enumerate() {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            clone.poll_ready(&mut cx).is_ready(),
            "idle clone {index} is not ready: the {index} before it hold something"
        );
    }
    let mut late = service.clone();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        late.poll_ready(&mut cx).is_ready(),
        "{CROWD} ready clones that were never called hold something"
    );
    answer(&mut late, &mut request, "a call beside idle clones").await;
    drop(idle);
    call(&mut late, &mut request, "a call after idle clones").await;
    assert_eq!(handle.in_flight(), 0);
}

/// Drops response futures before their first poll and in the middle, one after the other, and
/// calls once more.
///
/// # Panics
///
/// When the inner call survives its drop, or a later call does not get through.
pub async fn holds_nothing_after_drop<L, R, E>(layer: &L, mut request: impl FnMut() -> R)
where
    L: Layer<Probe<E>>,
    L::Service: Service<R, Response = R, Error = E>,
    R: PartialEq + Debug + Unpin,
    E: Debug,
{
    let (probe, handle) = Probe::new();
    let mut service = layer.layer(probe);
    handle.set_holding(true);
    for round in 0..CROWD {
        ready(&mut service, "before a call that is never polled").await;
        drop(service.call(request()));

        ready(&mut service, "before a call that is dropped half-way").await;
        {
            let mut half = pin!(service.call(request()));
            let first = half.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(
                first.is_pending(),
                "round {round}: a call was refused: the calls dropped before it hold something"
            );
        }
        assert_eq!(handle.in_flight(), 0, "a dropped call goes on");
    }
    handle.set_holding(false);
    call(&mut service, &mut request, "a call after dropped ones").await;
}

async fn call<S, R>(service: &mut S, request: impl FnMut() -> R, what: &str)
where
    S: Service<R, Response = R>,
    S::Error: Debug,
    R: PartialEq + Debug,
{
    ready(service, what).await;
    answer(service, request, what).await;
}

async fn ready<S, R>(service: &mut S, what: &str)
where
    S: Service<R>,
    S::Error: Debug,
{
    if let Err(error) = poll_fn(|cx| service.poll_ready(cx)).await {
        panic!("{what}: not ready: {error:?}");
    }
}

async fn answer<S, R>(service: &mut S, mut request: impl FnMut() -> R, what: &str)
where
    S: Service<R, Response = R>,
    S::Error: Debug,
    R: PartialEq + Debug,
{
    match service.call(request()).await {
        Ok(response) => assert_eq!(response, request(), "{what}: the answer changed"),
        Err(error) => panic!("{what}: refused: {error:?}"),
    }
}
