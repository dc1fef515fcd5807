//! Locks that are taken away.

use std::{future::pending, time::Duration};

use super::{Arena, Broken, check};
use crate::lost::LostReason;

pub(super) async fn force_release_tells_the_holder(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("forced")?);
    let forced = arena.within("an answer", two.force_release(&key, "nobody")).await??;
    check(!forced, || "a free lock was taken from somebody".into())?;
    let guard = arena.within("a free lock", one.lock(&key)).await??;
    let work = guard.run(pending::<()>());
    let waiter = arena.spawn(two.lock(&key).into_future())?;
    arena.until_waiting(&one, &key, 1).await?;
    let forced = arena.within("an answer", two.force_release(&key, "stuck")).await??;
    check(forced, || "a held lock was not taken".into())?;
    let lost = arena.within("the end of the work", work).await?;
    let reason = lost.map_or_else(|lost| lost.reason, |()| LostReason::Released);
    // Where the push is lost, the next renewal tells.
    let told = matches!(reason, LostReason::ForceReleased { .. } | LostReason::TakenOver);
    check(told, || format!("the work ended because {reason}"))?;
    let next = arena.within("the waiter's turn", waiter).await???;
    check(next.is_held() && !guard.is_held(), || "the lock was not handed over".into())
}

pub(super) async fn hung_holder_is_ended(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("hung")?);
    let bound = Duration::from_secs(5);
    let hung = arena.within("a free lock", one.lock(&key).max_hold(bound)).await??;
    arena.pass(bound / 2).await;
    check(hung.is_held(), || "the lock ended before its maximum hold".into())?;
    let reason = arena.within("the loss", hung.lost()).await?;
    check(reason == LostReason::HeldTooLong, || format!("lost because {reason}"))?;
    drop(arena.within("the lock after it", two.lock(&key)).await??);
    Ok(())
}

pub(super) async fn shutdown_refuses_waiters(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("closing")?);
    let _guard = arena.within("a free lock", one.lock(&key)).await??;
    let waiter = arena.spawn(two.lock(&key).into_future())?;
    arena.until_waiting(&one, &key, 1).await?;
    let taken = arena.within("the shutdown", two.shutdown(Duration::from_secs(5))).await?;
    check(taken == 0, || format!("{taken} locks were taken from nobody"))?;
    for refused in [arena.within("an answer", waiter).await??, two.lock(&key).await] {
        let shut = refused.as_ref().is_err_and(|error| error.is_shutting_down());
        check(shut, || format!("a manager that is shut gave {refused:?}"))?;
    }
    arena.until_waiting(&one, &key, 0).await
}

pub(super) async fn shutdown_takes_what_is_left(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("taken")?);
    let kept = arena.within("a free lock", one.lock(&key)).await??;
    let waiter = arena.spawn(two.lock(&key).into_future())?;
    arena.until_waiting(&two, &key, 1).await?;
    let taken = arena.within("the shutdown", one.shutdown(Duration::from_millis(100))).await?;
    check(taken == 1, || format!("{taken} locks were taken"))?;
    let reason = arena.within("the loss", kept.lost()).await?;
    check(reason == LostReason::ShutDown, || format!("lost because {reason}"))?;
    drop(arena.within("the waiter's turn", waiter).await???);
    Ok(())
}
