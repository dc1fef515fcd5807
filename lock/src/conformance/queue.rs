//! Waiting.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{Arena, Broken, check};
use crate::{error::LockError, release::Released};

pub(super) async fn waiters_are_served_in_order(arena: &Arena) -> Result<(), Broken> {
    let (clients, key) = ([arena.client(), arena.client()], arena.key("order")?);
    let first = arena.within("a free lock", clients[0].lock(&key)).await??;
    let (served, mut tasks) = (Arc::new(Mutex::new(Vec::new())), Vec::new());
    for number in 0..6 {
        // One after the other over all clients is what only `strict_fifo` promises.
        let request = clients[number % 2].lock(&key).strict_fifo();
        let (request, served) = (request.into_future(), served.clone());
        tasks.push(arena.spawn(async move {
            let guard = request.await?;
            served.lock().unwrap_or_else(PoisonError::into_inner).push(number);
            Ok::<_, LockError>(guard.release().await)
        })?);
        arena.until_waiting(&clients[0], &key, number + 1).await?;
    }
    drop(first);
    for task in tasks {
        let released = arena.within("a waiter's turn", task).await???;
        check(released == Released::Released, || format!("a waiter's release says {released:?}"))?;
    }
    let served = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
    check(served.is_sorted(), || format!("served in the order {served:?}"))
}

/// Those of one client may have the lock in turn, and the others have it, too.
pub(super) async fn waiters_of_one_client_take_turns(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("turns")?);
    let first = arena.within("a free lock", one.lock(&key)).await??;
    let (served, mut tasks) = (Arc::new(Mutex::new(vec![first.fence()])), Vec::new());
    for number in 0..30 {
        let locks = if number < 27 { &one } else { &two };
        if number == 27 {
            arena.until_waiting(&one, &key, 27).await?;
        }
        let (request, served, looks) = (locks.lock(&key), served.clone(), two.clone());
        tasks.push(arena.spawn(async move {
            let guard = request.await?;
            served.lock().unwrap_or_else(PoisonError::into_inner).push(guard.fence());
            let tried = looks.try_lock(guard.key()).await?;
            check(tried.is_none() && guard.is_held(), || {
                "a lock that was handed on is free".into()
            })?;
            match number % 3 {
                0 => drop(guard),
                _ => check(guard.release().await == Released::Released, || "not released".into())?,
            }
            Ok::<_, Broken>(())
        })?);
    }
    drop(first);
    for task in tasks {
        arena.within("a waiter's turn", task).await???;
    }
    let served = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let rises = served.windows(2).all(|pair| pair[0] < pair[1]);
    check(served.len() == 31 && rises, || format!("the fences do not rise: {served:?}"))?;
    let next = arena.within("the lock after all of them", two.lock(&key)).await??;
    check(served.iter().all(|fence| *fence < next.fence()), || "an old fence again".into())?;
    drop(next);
    arena.until_quiet(&one, &key).await
}

/// One who leaves the queue gives back its place, and nothing of the holder's.
pub(super) async fn leaving_the_queue_spares_the_holder(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("spared")?);
    let guard = arena.within("a free lock", one.lock(&key)).await??;
    let waiter = arena.spawn(two.lock(&key).into_future())?;
    arena.until_waiting(&two, &key, 1).await?;
    waiter.abort();
    arena.until_waiting(&two, &key, 0).await?;
    let info = arena.within("an answer", one.inspect(&key)).await??;
    let fence = info.holder.map(|holder| holder.fence);
    check(fence == Some(guard.fence()), || "the holder's lock is gone".into())?;
    let tried = arena.within("an answer", two.try_lock(&key)).await??;
    check(tried.is_none() && guard.is_held(), || "a held lock was granted".into())
}

pub(super) async fn wait_budget_ends(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("budget")?);
    let guard = arena.within("a free lock", one.lock(&key)).await??;
    let budget = Duration::from_millis(300);
    match arena.within("a time-out", two.lock(&key).wait(budget)).await? {
        Err(LockError::Timeout { waited, position: Some(1), .. }) if waited >= budget => {}
        other => return Err(format!("a waiter out of time got {other:?}").into()),
    }
    arena.until_waiting(&one, &key, 0).await?;
    check(guard.is_held(), || "a waiter out of time took the lock".into())
}

pub(super) async fn dropped_waiter_is_skipped(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("skipped")?);
    let guard = arena.within("a free lock", one.lock(&key)).await??;
    let gone = arena.spawn(two.lock(&key).into_future())?;
    arena.until_waiting(&one, &key, 1).await?;
    let next = arena.spawn(two.lock(&key).into_future())?;
    arena.until_waiting(&two, &key, 2).await?;
    gone.abort();
    arena.until_waiting(&two, &key, 1).await?;
    drop(guard);
    let guard = arena.within("the next waiter's turn", next).await???;
    check(guard.is_held(), || "the next waiter does not hold it".into())
}

pub(super) async fn dropped_requests_leave_nothing(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("leftovers")?);
    for round in 0..24 {
        let holder = match round % 2 {
            0 => arena.within("an answer", one.try_lock(&key)).await??,
            _ => None,
        };
        let request = arena.spawn(two.lock(&key).into_future())?;
        arena.pass(Duration::from_millis(round)).await;
        drop(holder);
        arena.pass(Duration::from_millis(round % 3)).await;
        request.abort();
        // It may have been through: its guard is in the handle then.
        drop(request);
        arena.until_quiet(&one, &key).await?;
    }
    Ok(())
}

pub(super) async fn contenders_never_overlap(arena: &Arena) -> Result<(), Broken> {
    let (clients, key) = ([arena.client(), arena.client()], arena.key("overlap")?);
    let (inside, entered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for number in 0..16 {
        let (locks, key, clock) = (clients[number % 2].clone(), key.clone(), arena.client());
        let (inside, entered) = (inside.clone(), entered.clone());
        tasks.push(arena.spawn(async move {
            for _ in 0..3 {
                let guard = locks.lock(&key).await?;
                let overlaps = inside.swap(true, Ordering::SeqCst);
                entered.fetch_add(1, Ordering::SeqCst);
                clock.clock().sleep(Duration::from_millis(2)).await;
                inside.store(false, Ordering::SeqCst);
                check(!overlaps, || "two were inside".into())?;
                guard.release().await;
            }
            Ok::<_, Broken>(())
        })?);
    }
    for task in tasks {
        arena.within("a contender's turns", task).await???;
    }
    check(entered.load(Ordering::SeqCst) == 48, || "somebody was left out".into())
}
