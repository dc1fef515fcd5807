//! Taking, holding, giving back.

use std::time::Duration;

use super::{Arena, Broken, check};
use crate::{error::LockError, fence::Fence, release::Released};

pub(super) async fn free_lock_is_granted(arena: &Arena) -> Result<(), Broken> {
    let (locks, key) = (arena.client(), arena.key("free")?);
    let guard = arena.within("a free lock", locks.lock(&key)).await??;
    check(guard.is_held() && !guard.remaining().is_zero(), || format!("{guard:?} is not held"))?;
    check(guard.fence() > Fence::NONE, || format!("{guard:?} has no fence"))?;
    let released = arena.within("its release", guard.release()).await?;
    check(released == Released::Released, || format!("the release says {released:?}"))?;
    check(!guard.is_held(), || "a released guard says it is held".into())?;
    arena.until_quiet(&locks, &key).await
}

pub(super) async fn held_lock_is_refused(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("held")?);
    let _guard = arena.within("a free lock", one.lock(&key)).await??;
    for locks in [&one, &two] {
        let refused = arena.within("an answer", locks.lock(&key).wait(Duration::ZERO)).await?;
        match refused {
            Err(LockError::Contended { holder_remaining: Some(left), .. }) if !left.is_zero() => {}
            other => return Err(format!("a held lock gave {other:?}").into()),
        }
        let tried = arena.within("an answer", locks.try_lock(&key)).await??;
        check(tried.is_none(), || "a held lock was granted".into())?;
    }
    Ok(())
}

pub(super) async fn dropped_guard_frees(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("dropped")?);
    drop(arena.within("a free lock", one.lock(&key)).await??);
    arena.until_quiet(&two, &key).await?;
    let again = arena.within("the lock after a drop", two.try_lock(&key)).await??;
    check(again.is_some(), || "a dropped guard keeps its lock".into())
}

pub(super) async fn release_may_be_repeated(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("repeated")?);
    let guard = arena.within("a free lock", one.lock(&key)).await??;
    arena.within("a release", guard.release()).await?;
    let next = arena.within("the next lock", two.lock(&key)).await??;
    let again = arena.within("a second release", guard.release()).await?;
    check(again == Released::Released, || format!("the second release says {again:?}"))?;
    check(next.is_held(), || "a second release took the successor's lock".into())
}

pub(super) async fn fences_rise(arena: &Arena) -> Result<(), Broken> {
    let (clients, key) = ([arena.client(), arena.client()], arena.key("fences")?);
    let mut last = Fence::NONE;
    for round in 0..20 {
        let guard = arena.within("the lock", clients[round % 2].lock(&key)).await??;
        check(guard.fence() > last, || format!("fence {} after {last}", guard.fence()))?;
        last = guard.fence();
        arena.within("its release", guard.release()).await?;
    }
    Ok(())
}

pub(super) async fn names_are_independent(arena: &Arena) -> Result<(), Broken> {
    let (locks, key) = (arena.client(), arena.key("independent")?);
    let mut guards = Vec::new();
    for part in 0..10 {
        let tried = arena.within("an answer", locks.try_lock(key.child(part))).await??;
        guards.push(tried.ok_or("a name is held by another name's guard")?);
    }
    check(guards.iter().all(|guard| guard.is_held()), || "a guard lost its lock".into())
}

pub(super) async fn scope_enters_again(arena: &Arena) -> Result<(), Broken> {
    let (locks, key) = (arena.client(), arena.key("scope")?);
    let outer = arena.within("a free lock", locks.lock(&key)).await??;
    let inner = arena.within("it again", outer.scope(locks.lock(&key).into_future())).await??;
    check(inner.fence() == outer.fence(), || "a second guard has another fence".into())?;
    let released = arena.within("a release", outer.release()).await?;
    check(released == Released::Nested { guards: 1 }, || format!("it says {released:?}"))?;
    check(inner.is_held(), || "the inner guard lost the lock with the outer one".into())?;
    drop(inner);
    arena.until_quiet(&locks, &key).await
}

pub(super) async fn holder_and_waiters_are_shown(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("shown")?);
    let request = one.lock(&key).metadata("till 7");
    let guard = arena.within("a free lock", request).await??;
    let _waiter = arena.spawn(two.lock(&key).into_future())?;
    arena.until_waiting(&two, &key, 1).await?;
    let info = arena.within("an answer", two.inspect(&key)).await??;
    let holder = info.holder.ok_or("the holder is not shown")?;
    check(holder.fence == guard.fence(), || "another fence is shown".into())?;
    check(holder.metadata.as_deref() == Some("till 7"), || "no metadata is shown".into())?;
    check(!holder.remaining.is_zero(), || "no lease is shown".into())
}
