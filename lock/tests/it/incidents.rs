//! Accidents that happened elsewhere, the naive way beside ours.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use mainstay_lock::{Clock, LostReason, Moment, Released};

use crate::{manual, ms};

/// "Set if absent" with a time stamp; whoever finds the stamp too old enters, and a release deletes.
#[derive(Clone)]
struct StampLock {
    stamps: Arc<Mutex<HashMap<&'static str, Moment>>>,
    clock: Clock,
    limit: Duration,
}

impl StampLock {
    fn try_enter(&self, name: &'static str) -> bool {
        let now = self.clock.now();
        let mut stamps = self.stamps.lock().unwrap();
        let stamp = *stamps.entry(name).or_insert(now);
        stamp == now || now.saturating_since(stamp) > self.limit
    }

    fn release(&self, name: &'static str) {
        self.stamps.lock().unwrap().remove(name);
    }
}

/// A stamp that nobody rewrites lets in everybody who looks after the limit.
#[tokio::test]
async fn takeover_admits_one() {
    let (time, builder) = manual();
    let naive = StampLock { stamps: Arc::default(), clock: time.clock(), limit: ms(45_000) };
    assert!(naive.try_enter("refund"));
    time.advance(ms(46_000));
    let entered = (0..64).filter(|_| naive.try_enter("refund")).count();
    assert_eq!(entered, 64, "the naive lock was to fail");

    let locks = builder.lease(ms(45_000)).wait(ms(10)).in_process();
    let stuck = locks.lock("refund").await.unwrap();
    time.advance(ms(46_000));
    let contenders: Vec<_> = (0..64).map(|_| tokio::spawn(locks.try_lock("refund"))).collect();
    let mut guards = Vec::new();
    for contender in contenders {
        guards.extend(contender.await.unwrap().unwrap());
    }
    assert_eq!(guards.len(), 1);
    assert!(!stuck.is_held() && guards[0].is_held());
}

/// A late delete removes whatever is there, the successor's key for one.
#[tokio::test]
async fn late_release_spares_successor() {
    let (time, builder) = manual();
    let naive = StampLock { stamps: Arc::default(), clock: time.clock(), limit: ms(1_000) };
    assert!(naive.try_enter("refund"));
    time.advance(ms(2_000));
    assert!(naive.try_enter("refund"), "the successor takes over");
    naive.release("refund");
    time.advance(ms(1));
    assert!(naive.try_enter("refund"), "the naive lock was to let a third one in");

    let locks = builder.lease(ms(1_000)).in_process();
    let late = locks.lock("refund").await.unwrap();
    time.advance(ms(2_000));
    let successor = locks.lock("refund").await.unwrap();
    let reason = LostReason::Expired;
    assert_eq!(late.release().await, Released::AlreadyLost { reason });
    drop(late);
    assert!(successor.is_held());
    assert!(locks.try_lock("refund").await.unwrap().is_none());
}
