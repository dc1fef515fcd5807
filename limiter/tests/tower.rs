//! The layer, and what it promises to those who stack it.

mod support;

use std::convert::Infallible;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use mainstay_limiter::{
    Bulkhead, ByRequest, Limit, LimitError, LimitLayer, Limiter, ManualClock, ResolvedScopes,
};
use mainstay_testkit::tower_contract::{self, Probe};
use support::{ms, scope, used, waiting};
use tower::{
    BoxError, Layer, Service, ServiceExt,
    balance::p2c::Balance,
    buffer::Buffer,
    discover::ServiceList,
    load::{CompleteOnResponse, PendingRequestsDiscover},
    load_shed::LoadShed,
    service_fn,
};

fn bank(slots: u32) -> (Limiter, ManualClock) {
    let time = ManualClock::new();
    let builder = Limiter::builder().clock(time.clock()).limit("bank", Limit::max(slots));
    (builder.in_process(), time)
}

type Pick = fn(&u32) -> &'static str;

fn layer(limiter: &Limiter) -> LimitLayer<ByRequest<Pick>> {
    LimitLayer::new(limiter.clone(), |_: &u32| "bank")
}

#[tokio::test]
async fn every_contract_of_the_family_is_kept() {
    let (limiter, _) = bank(1);
    let refusing = layer(&limiter);
    tower_contract::keeps_every_contract::<_, u32, LimitError>(&refusing, || 7).await;
    let patient = layer(&limiter).wait(ms(100));
    tower_contract::keeps_every_contract::<_, u32, LimitError>(&patient, || 7).await;
    let pool = LimitLayer::bulkhead(Bulkhead::new("pool", 1));
    tower_contract::keeps_every_contract::<_, u32, LimitError>(&pool, || 7).await;
    assert_eq!(used(&limiter, "bank"), 0);
}

#[tokio::test]
async fn ready_clones_that_are_never_called_hold_nothing() {
    let (limiter, _) = bank(1);
    let service = layer(&limiter).layer(service_fn(|n: u32| async move { Ok::<_, LimitError>(n) }));
    let mut clones: Vec<_> = (0..8).map(|_| service.clone()).collect();
    for clone in &mut clones {
        clone.ready().await.unwrap();
    }
    assert_eq!(used(&limiter, "bank"), 0);
    assert_eq!(clones[3].call(7).await.unwrap(), 7);
}

#[tokio::test]
async fn a_call_counts_while_it_runs_and_not_after_it_is_dropped() {
    let (limiter, _) = bank(1);
    let (probe, handle) = Probe::<LimitError>::new();
    handle.set_holding(true);
    let mut service = layer(&limiter).layer(probe);
    let call = Service::<u32>::call(ServiceExt::<u32>::ready(&mut service).await.unwrap(), 1);
    assert_eq!(used(&limiter, "bank"), 1);
    let second = Service::<u32>::call(ServiceExt::<u32>::ready(&mut service).await.unwrap(), 2);
    assert!(second.await.unwrap_err().is_rejected());
    drop(call);
    assert_eq!((used(&limiter, "bank"), handle.in_flight()), (0, 0));
}

#[tokio::test]
async fn a_call_that_waits_goes_on_with_the_service_that_was_ready() {
    let (limiter, _) = bank(1);
    let (probe, handle) = Probe::<LimitError>::new();
    let mut service = layer(&limiter).wait(ms(1000)).layer(probe);
    let permit = limiter.try_acquire("bank").unwrap();
    let mut calls = Vec::new();
    for n in 0..3_u32 {
        calls.push(Box::pin(service.ready().await.unwrap().call(n)));
    }
    assert_eq!((scope(&limiter, "bank").waiting, handle.calls()), (3, 0));
    assert!(support::poll(&mut calls[0]).is_pending());
    drop(permit);
    // In the order they were called, not in the order they are polled.
    assert!(support::poll(&mut calls[2]).is_pending());
    assert_eq!(
        join_all(calls).await.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(used(&limiter, "bank"), 0);
}

#[tokio::test]
async fn a_call_that_waits_in_vain_never_reaches_the_service() {
    let (limiter, time) = bank(1);
    let (probe, handle) = Probe::<LimitError>::new();
    let mut service = layer(&limiter).wait(ms(100)).layer(probe);
    let _in = limiter.try_acquire("bank").unwrap();
    let call = service.ready().await.unwrap().call(7_u32);
    let (answer, ()) = tokio::join!(call, time.run_for(ms(100)));
    assert!(answer.unwrap_err().is_timeout());
    assert_eq!(handle.calls(), 0);
}

#[tokio::test]
async fn the_layer_and_the_handle_stand_in_one_queue() {
    let (limiter, _) = bank(1);
    let service = service_fn(|n: u32| async move { Ok::<_, LimitError>(n) });
    let mut service = layer(&limiter).wait(ms(1000)).layer(service);
    let permit = limiter.try_acquire("bank").unwrap();
    let mut by_layer = Box::pin(service.ready().await.unwrap().call(7));
    let mut by_handle = waiting(limiter.acquire("bank").wait(ms(1000)));
    drop(permit);
    assert!(support::poll(&mut by_handle).is_pending());
    assert_eq!(by_layer.as_mut().await.unwrap(), 7);
    drop(support::granted(&mut by_handle));
}

#[tokio::test]
async fn a_heavy_layer_counts_its_weight() {
    let (limiter, _) = bank(4);
    let (probe, handle) = Probe::<LimitError>::new();
    handle.set_holding(true);
    let mut service = layer(&limiter).permits(3).layer(probe);
    let _call = Service::<u32>::call(ServiceExt::<u32>::ready(&mut service).await.unwrap(), 1);
    assert_eq!(used(&limiter, "bank"), 3);
}

#[tokio::test]
async fn resolved_scopes_save_the_look_up() {
    let (limiter, _) = bank(1);
    let resolved = limiter.scopes("bank:pay").unwrap();
    let pick = move |_: &u32| -> ResolvedScopes { resolved.clone() };
    let service = service_fn(|n: u32| async move { Ok::<_, LimitError>(n) });
    let service = LimitLayer::new(limiter.clone(), pick).layer(service);
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
    assert_eq!(scope(&limiter, "bank:pay").admitted, 1);
}

#[tokio::test]
async fn a_boxed_error_can_be_taken_out_again() {
    let (limiter, _) = bank(1);
    let _in = limiter.try_acquire("bank").unwrap();
    let service = service_fn(|n: u32| async move { Ok::<_, BoxError>(n) });
    let error = layer(&limiter).layer(service).oneshot(7).await.unwrap_err();
    assert!(error.downcast_ref::<LimitError>().unwrap().is_rejected());
}

#[tokio::test]
async fn a_service_that_never_fails_answers_refusals_itself() {
    let (limiter, _) = bank(1);
    let _in = limiter.try_acquire("bank").unwrap();
    let service = service_fn(|_: u32| async { Ok::<_, Infallible>("paid".to_owned()) });
    let layer = layer(&limiter).on_reject(|error: LimitError| Ok(format!("429: {error}")));
    let answer = layer.layer(service).oneshot(7).await.unwrap();
    assert!(answer.starts_with("429: limit `bank`"), "{answer}");
}

#[tokio::test]
async fn work_in_a_bulkhead_layer_may_enter_again() {
    let pool = Bulkhead::new("pool", 1);
    let inner = pool.clone();
    let service = service_fn(move |_: u32| {
        let inner = inner.clone();
        async move { inner.acquire().run(async { Ok::<_, LimitError>("in") }).await }
    });
    let service = LimitLayer::bulkhead(pool.clone()).layer(service);
    assert_eq!(service.oneshot(7).await.unwrap(), "in");
    assert_eq!(pool.snapshot().unwrap().used, 0);
}

#[tokio::test]
async fn behind_a_buffer_idle_workers_hold_nothing() {
    let (limiter, _) = bank(1);
    let service = || {
        let service = service_fn(|n: u32| async move { Ok::<_, BoxError>(n) });
        Buffer::new(layer(&limiter).wait(ms(1000)).layer(service), 4)
    };
    let mut buffers: Vec<_> = (0..4).map(|_| service()).collect();
    for round in 0..3 {
        for buffer in &mut buffers {
            assert_eq!(buffer.ready().await.unwrap().call(round).await.unwrap(), round);
        }
    }
    assert_eq!(used(&limiter, "bank"), 0);
}

#[tokio::test]
async fn behind_a_balancer_ready_endpoints_hold_nothing() {
    let (limiter, _) = bank(1);
    let endpoint = || -> tower::util::BoxCloneService<u32, u32, BoxError> {
        let service = service_fn(|n: u32| async move { Ok::<_, BoxError>(n) });
        layer(&limiter).layer(service).boxed_clone()
    };
    let endpoints = ServiceList::new((0..5).map(|_| endpoint()).collect::<Vec<_>>());
    let loaded = PendingRequestsDiscover::new(endpoints, CompleteOnResponse::default());
    let mut balance = Balance::new(loaded);
    for n in 0..20 {
        assert_eq!(balance.ready().await.unwrap().call(n).await.unwrap(), n);
    }
    assert_eq!(scope(&limiter, "bank").admitted, 20);
}

#[tokio::test]
async fn under_load_shedding_a_busy_service_is_shed_and_a_full_limit_is_ours() {
    let (limiter, _) = bank(1);
    let (probe, handle) = Probe::<BoxError>::new();
    let mut service = LoadShed::new(layer(&limiter).layer(probe));
    handle.set_busy(true);
    let shed = service.ready().await.unwrap().call(7_u32).await.unwrap_err();
    assert!(shed.is::<tower::load_shed::error::Overloaded>());
    assert_eq!(scope(&limiter, "bank").admitted, 0, "a shed call takes nothing");
    handle.set_busy(false);
    let _in = limiter.try_acquire("bank").unwrap();
    let full = service.ready().await.unwrap().call(7_u32).await.unwrap_err();
    assert!(full.downcast_ref::<LimitError>().unwrap().is_rejected(), "{full}");
}

#[test]
fn a_future_stores_the_inner_one_once() {
    type Inner = BoxFuture<'static, Result<u32, LimitError>>;
    let (limiter, _) = bank(1);
    let fat = |n: u32| async move {
        let body = [n; 256];
        tokio::task::yield_now().await;
        Ok::<_, LimitError>(body[0])
    };
    let bare = size_of_val(&fat(1));
    let mut service = layer(&limiter).layer(service_fn(fat));
    let call = Service::<u32>::call(&mut service, 1);
    let more = size_of_val(&call) - bare;
    assert!(more <= 96, "the layer adds {more} bytes to a future of {bare}");
    let boxed: Inner = call.boxed();
    assert!(matches!(boxed.now_or_never(), None | Some(Ok(1))));
}
