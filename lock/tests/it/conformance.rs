//! Every backend of this crate against the suite.

use std::{sync::atomic::Ordering, time::Duration};

use mainstay_lock::{
    InProcess, LocksBuilder, ManualClock,
    conformance::{Arena, cases},
};

use crate::{faulty::Faulty, ms};

async fn every_case(mut arena: impl FnMut(ManualClock) -> Arena) {
    let mut broken = Vec::new();
    for case in cases() {
        if let Err(error) = case.run(&arena(ManualClock::new())).await {
            broken.push(format!("{}: {error}", case.name()));
        }
    }
    assert!(broken.is_empty(), "{} cases broken:\n{}", broken.len(), broken.join("\n"));
}

#[tokio::test]
async fn in_process() {
    every_case(|time| {
        let store = InProcess::new(time.clock());
        Arena::manual(time, move |builder: LocksBuilder| builder.store(store.clone()))
    })
    .await;
}

#[tokio::test]
async fn in_process_in_real_time() {
    let store = InProcess::new(mainstay_lock::Clock::boot());
    let arena = Arena::real(move |builder: LocksBuilder| builder.store(store.clone()));
    for case in cases().into_iter().filter(|case| QUICK.contains(&case.name())) {
        case.run(&arena).await.unwrap_or_else(|error| panic!("{}: {error}", case.name()));
    }
}

/// Cases that wait for nothing longer than a moment.
const QUICK: [&str; 5] = [
    "free_lock_is_granted",
    "waiters_are_served_in_order",
    "fixed_lease_ends",
    "fences_rise",
    "readers_and_writers_never_overlap",
];

#[tokio::test]
async fn behind_the_seam() {
    faulty(Duration::ZERO, false).await;
}

#[tokio::test]
async fn behind_the_seam_with_delays() {
    faulty(ms(3), false).await;
}

#[tokio::test]
async fn behind_the_seam_with_lost_pushes() {
    faulty(Duration::ZERO, true).await;
}

#[tokio::test]
async fn behind_the_seam_with_delays_and_lost_pushes() {
    faulty(ms(3), true).await;
}

async fn faulty(delay: Duration, deaf: bool) {
    every_case(|time| {
        let backend = Faulty::new(time.clock(), delay);
        backend.faults().deaf.store(deaf, Ordering::Relaxed);
        // Without pushes each turn takes until the next poll.
        Arena::manual(time, move |builder: LocksBuilder| builder.backend(backend.clone()))
            .patience(if deaf { ms(600_000) } else { ms(20_000) })
    })
    .await;
}
