//! The layer, by itself and among tower's own.

use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use mainstay_lock::{InProcess, LockError, LockLayer, key};
use mainstay_testkit::tower_contract as contract;
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, balance::p2c::Balance,
    discover::ServiceList, load::Constant, service_fn,
};

use crate::{manual, ms};

#[tokio::test]
async fn the_layer_keeps_the_contract_of_the_family() {
    let (_time, builder) = manual();
    let layer = LockLayer::new(builder.in_process(), |order: &u32| key!("order:{}", order));
    contract::keeps_every_contract::<_, u32, BoxedLockError>(&layer, || 7).await;
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct BoxedLockError(#[from] LockError);

#[tokio::test]
async fn calls_of_one_name_run_one_after_the_other() {
    let (time, builder) = manual();
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (clock, peak) = (time.clock(), most.clone());
    let service = service_fn(move |order: u64| {
        let (inside, peak, clock) = (inside.clone(), peak.clone(), clock.clone());
        async move {
            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now, Ordering::SeqCst);
            clock.sleep(ms(5)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, LockError>(order)
        }
    });
    let service = LockLayer::new(builder.in_process(), |_: &u64| "one").layer(service);
    let calls: Vec<_> = (0..10).map(|order| tokio::spawn(service.clone().oneshot(order))).collect();
    time.run_for(ms(100)).await;
    for (order, call) in (0..10).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), order);
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn rejections_enter_every_kind_of_error() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let _guard = locks.lock("a").await.unwrap();
    let layer = LockLayer::new(locks, |(): &()| "a").wait(ms(0)).lease(ms(5_000));

    let boxed = layer.layer(service_fn(async |()| Ok::<_, BoxError>(())));
    let error = boxed.oneshot(()).await.unwrap_err();
    assert!(error.downcast::<LockError>().unwrap().is_contended());

    let typed = layer.layer(service_fn(async |()| Ok::<_, BoxedLockError>(())));
    assert!(typed.oneshot(()).await.unwrap_err().0.is_contended());

    let never = layer.on_reject(|error: LockError| Ok(error.is_contended()));
    let never = never.layer(service_fn(async |()| Ok::<_, Infallible>(false)));
    assert_eq!(never.oneshot(()).await, Ok(true));
}

#[tokio::test]
async fn a_bad_name_is_a_rejection() {
    let (_time, builder) = manual();
    let layer = LockLayer::new(builder.in_process(), |name: &String| key!("order:{}", name));
    let service = layer.layer(service_fn(async |_: String| Ok::<_, LockError>(())));
    let error = service.oneshot(String::new()).await.unwrap_err();
    assert!(matches!(error, LockError::InvalidKey(_)));
}

#[tokio::test]
async fn a_loss_drops_the_inner_call() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let alive = Arc::new(());
    let held = alive.clone();
    let service = service_fn(move |()| {
        let held = held.clone();
        async move {
            let _held = held;
            pending::<Result<(), LockError>>().await
        }
    });
    let service = LockLayer::new(locks.clone(), |(): &()| "a").layer(service);
    let call = tokio::spawn(service.oneshot(()));
    time.settle().await;
    assert_eq!(Arc::strong_count(&alive), 2);
    locks.force_release("a", "stuck").await.unwrap();
    assert!(call.await.unwrap().unwrap_err().is_lost());
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[tokio::test]
async fn the_layer_works_below_buffer_and_load_shed() {
    let (time, builder) = manual();
    let store = InProcess::new(time.clock());
    let layer = LockLayer::new(builder.store(store.clone()), |order: &u64| key!("order:{}", order));
    let service = ServiceBuilder::new()
        .buffer(8)
        .load_shed()
        .layer(layer)
        .service(service_fn(async |order: u64| Ok::<_, BoxError>(order)));
    let calls: Vec<_> = (0..8).map(|order| tokio::spawn(service.clone().oneshot(order))).collect();
    for (order, call) in (0..8).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), order);
    }
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_balancer_may_keep_services_ready_and_never_call_them() {
    let (time, builder) = manual();
    let store = InProcess::new(time.clock());
    let layer = LockLayer::new(builder.store(store.clone()), |(): &()| "a").wait(ms(0));
    let made = |number: u32| {
        let inner = service_fn(move |()| async move { Ok::<_, BoxError>(number) });
        Constant::new(layer.layer(inner), 1_u32)
    };
    let mut balance = Balance::new(ServiceList::new((0..5).map(made)));
    for _ in 0..20 {
        assert!(balance.ready().await.unwrap().call(()).await.unwrap() < 5);
        assert!(store.is_empty());
    }
}
