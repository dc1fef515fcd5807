//! Names that are locked inside each other in two orders.

use std::sync::{Arc, Mutex};

use mainstay_lock::{LockError, LockEvent, LockOrder, Locks, LocksConfig, key};

use crate::{manual, ms};

async fn nested(locks: &Locks, outer: &str, inner: &str) -> Result<(), LockError> {
    let guard = locks.lock(outer).await?;
    guard.scope(locks.lock(inner).into_future()).await.map(drop)
}

type Seen = Arc<Mutex<Vec<(String, String)>>>;

fn watched(order: LockOrder) -> (Locks, Seen) {
    let (_time, builder) = manual();
    let seen = Seen::default();
    let log = seen.clone();
    let observer = move |event: &LockEvent<'_>| {
        if let LockEvent::OutOfOrder { key, held } = event {
            log.lock().unwrap().push((key.to_string(), held.to_string()));
        }
    };
    (builder.lock_order(order).observer(observer).in_process(), seen)
}

#[tokio::test]
async fn two_orders_are_reported_once_a_pair() {
    let (locks, seen) = watched(LockOrder::Warn);
    for _ in 0..3 {
        nested(&locks, "a", "b").await.unwrap();
    }
    assert!(seen.lock().unwrap().is_empty());
    for _ in 0..3 {
        nested(&locks, "b", "a").await.unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), [("a".to_owned(), "b".to_owned())]);
}

#[tokio::test]
async fn two_orders_are_refused_every_time_and_the_first_one_stays_allowed() {
    let (locks, seen) = watched(LockOrder::Deny);
    nested(&locks, "a", "b").await.unwrap();
    for round in 1..3 {
        let refused = nested(&locks, "b", "a").await.unwrap_err();
        assert!(refused.is_misuse() && matches!(refused, LockError::OutOfOrder { .. }));
        let said = refused.to_string();
        assert!(
            said.starts_with("lock `a` was asked for inside lock `b`, and elsewhere"),
            "{said}"
        );
        assert_eq!(seen.lock().unwrap().len(), round);
        nested(&locks, "a", "b").await.unwrap();
    }
    assert!(locks.try_lock("a").await.unwrap().is_some(), "the refused one holds nothing");
}

#[tokio::test]
async fn a_circle_of_three_is_found() {
    let (locks, seen) = watched(LockOrder::Warn);
    nested(&locks, "a", "b").await.unwrap();
    nested(&locks, "b", "c").await.unwrap();
    assert!(seen.lock().unwrap().is_empty());
    nested(&locks, "c", "a").await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [("a".to_owned(), "c".to_owned())]);
}

#[tokio::test]
async fn every_lock_that_the_scope_is_inside_of_counts() {
    let (locks, _) = watched(LockOrder::Deny);
    let (outer, inner) = (locks.lock("a").await.unwrap(), locks.lock("b").await.unwrap());
    let innermost = outer.scope(async { inner.scope(locks.lock("c").into_future()).await });
    drop(innermost.await.unwrap());
    drop((inner, outer));
    assert!(nested(&locks, "c", "b").await.is_err());
    assert!(nested(&locks, "c", "a").await.is_err());
}

#[tokio::test]
async fn what_cannot_wait_for_each_other_is_no_circle() {
    let (locks, seen) = watched(LockOrder::Deny);
    nested(&locks, "a", "b").await.unwrap();
    // A request that does not wait.
    let guard = locks.lock("b").await.unwrap();
    assert!(guard.scope(locks.try_lock("a")).await.unwrap().is_some());
    // A guard outside of whose scope it is asked, one that was released, and re-entry.
    drop(locks.lock("a").await.unwrap());
    let scope = guard.scope(locks.lock("a").into_future());
    drop(guard);
    drop(scope.await.unwrap());
    nested(&locks, "a", "a").await.unwrap();
    drop(locks.lock_all(["b", "a"]).await.unwrap());
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn off_is_off() {
    let (locks, seen) = watched(LockOrder::Off);
    nested(&locks, "a", "b").await.unwrap();
    nested(&locks, "b", "a").await.unwrap();
    assert!(seen.lock().unwrap().is_empty());
    let config: LocksConfig = serde_json::from_str(r#"{"lock_order": "off"}"#).unwrap();
    assert_eq!(config.lock_order, LockOrder::Off);
    // Tests are built with debug assertions.
    assert_eq!(LocksConfig::default().lock_order, LockOrder::Warn);
}

/// Old pairs are forgotten, so that names without end do not take memory without end.
#[tokio::test]
async fn only_the_last_few_thousand_pairs_are_kept() {
    let (locks, seen) = watched(LockOrder::Warn);
    nested(&locks, "a", "b").await.unwrap();
    let outer = locks.lock("outer").await.unwrap();
    for number in 0..4_200 {
        let inner = locks.lock(key!("order:{}", number)).wait(ms(10));
        drop(outer.scope(inner.into_future()).await.unwrap());
    }
    drop(outer);
    nested(&locks, "b", "a").await.unwrap();
    assert!(seen.lock().unwrap().is_empty(), "the first pair was not forgotten");
    nested(&locks, "order:4199", "outer").await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1, "the last pair was forgotten");
}
