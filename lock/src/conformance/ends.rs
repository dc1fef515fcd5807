//! Leases that end.

use std::time::Duration;

use super::{Arena, Broken, arena::LEASE, check};
use crate::{lost::LostReason, release::Released};

/// Short, and longer than any answer takes.
const SHORT: Duration = Duration::from_millis(400);

pub(super) async fn renewal_outlives_the_lease(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("renewed")?);
    let guard = arena.within("a free lock", one.lock(&key)).await??;
    arena.pass(LEASE * 2).await;
    check(guard.is_held(), || format!("{guard:?} was not renewed"))?;
    let tried = arena.within("an answer", two.try_lock(&key)).await??;
    check(tried.is_none(), || "a renewed lock was granted again".into())
}

pub(super) async fn fixed_lease_ends(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("fixed")?);
    let guard = arena.within("a free lock", one.lock(&key).fixed_lease(SHORT)).await??;
    let reason = arena.within("the loss", guard.lost()).await?;
    check(reason == LostReason::Expired, || format!("lost because {reason}"))?;
    check(!guard.is_held(), || "a lost lock says it is held".into())?;
    let next = arena.within("the lock after its lease", two.lock(&key)).await??;
    check(next.fence() > guard.fence(), || "the next fence is not higher".into())
}

pub(super) async fn ended_lease_goes_to_the_head(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("head")?);
    let guard = arena.within("a free lock", one.lock(&key).fixed_lease(LEASE * 5)).await??;
    let head = arena.spawn(two.lock(&key).into_future())?;
    arena.until_waiting(&one, &key, 1).await?;
    let late = arena.spawn(one.lock(&key).into_future())?;
    arena.until_waiting(&one, &key, 2).await?;
    // It ends once both wait, however long that took.
    arena.within("an answer", guard.extend(SHORT)).await??;
    let next = arena.within("the head's turn", head).await???;
    check(!guard.is_held(), || "two hold the lock".into())?;
    check(!late.is_finished(), || "two waiters were let in".into())?;
    drop(next);
    drop(arena.within("the second's turn", late).await???);
    Ok(())
}

/// Of all who look at a lock whose holder's lease has ended, one enters.
pub(super) async fn takeover_admits_one(arena: &Arena) -> Result<(), Broken> {
    let (clients, key) = ([arena.client(), arena.client()], arena.key("takeover")?);
    let request = clients[0].lock(&key).fixed_lease(SHORT);
    let _late = arena.within("a free lock", request).await??;
    arena.pass(SHORT * 2).await;
    let mut tasks = Vec::new();
    for number in 0..64 {
        tasks.push(arena.spawn(clients[number % 2].try_lock(&key))?);
    }
    let mut guards = Vec::new();
    for task in tasks {
        guards.extend(arena.within("an answer", task).await???);
    }
    check(guards.len() == 1, || format!("{} contenders entered", guards.len()))
}

/// A release that comes too late finds out, and leaves the next holder alone.
pub(super) async fn late_release_spares_successor(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("late")?);
    let late = arena.within("a free lock", one.lock(&key).fixed_lease(SHORT)).await??;
    arena.pass(SHORT * 2).await;
    let next = arena.within("the lock after its lease", two.lock(&key)).await??;
    match arena.within("the late release", late.release()).await? {
        Released::AlreadyLost { .. } => {}
        other => return Err(format!("a late release says {other:?}").into()),
    }
    drop(late);
    check(next.is_held(), || "the successor lost its lock".into())?;
    let info = arena.within("an answer", one.inspect(&key)).await??;
    let fence = info.holder.map(|holder| holder.fence);
    check(fence == Some(next.fence()), || "the successor's lock is gone".into())
}

pub(super) async fn extended_lease_lasts(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("extended")?);
    let guard = arena.within("a free lock", one.lock(&key).fixed_lease(LEASE)).await??;
    arena.within("an answer", guard.extend(LEASE * 2)).await??;
    arena.pass(LEASE + SHORT).await;
    check(guard.is_held(), || "an extended lease ended".into())?;
    let tried = arena.within("an answer", two.try_lock(&key)).await??;
    check(tried.is_none(), || "an extended lock was granted again".into())?;
    arena.within("the loss", guard.lost()).await?;
    match arena.within("an answer", guard.extend(SHORT)).await? {
        Err(error) if error.is_lost() => Ok(()),
        other => Err(format!("extending a lost lock gives {other:?}").into()),
    }
}
