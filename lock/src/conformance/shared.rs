//! Locks that are shared.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{Arena, Broken, arena::LEASE, check};
use crate::{fence::Fence, inspect::LockInfo, lost::LostReason, release::Released};

pub(super) async fn readers_share(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("shared")?);
    let mut readers = Vec::new();
    for locks in [&one, &two, &one] {
        readers.push(arena.within("to read", locks.read_write(&key).read()).await??);
    }
    check(readers.iter().all(|reader| reader.is_held()), || "a reader is out".into())?;
    let refused = arena.within("an answer", two.read_write(&key).try_write()).await??;
    check(refused.is_none(), || "a writer beside readers".into())?;
    for reader in &readers {
        let released = arena.within("a release", reader.release()).await?;
        check(released == Released::Released, || format!("a reader's release says {released:?}"))?;
    }
    arena.until_quiet(&one, &key).await?;
    let _writer = arena.within("to write", two.read_write(&key).write()).await??;
    for locks in [&one, &two] {
        let refused = arena.within("an answer", locks.read_write(&key).try_read()).await??;
        check(refused.is_none(), || "a reader beside the writer".into())?;
    }
    Ok(())
}

pub(super) async fn plain_locks_and_readers_exclude_each_other(
    arena: &Arena,
) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("one-name")?);
    let plain = arena.within("a free lock", one.lock(&key)).await??;
    let refused = arena.within("an answer", two.read_write(&key).try_read()).await??;
    check(refused.is_none(), || "a reader beside a plain lock".into())?;
    arena.within("a release", plain.release()).await?;
    let reader = arena.within("to read", two.read_write(&key).read()).await??;
    let refused = arena.within("an answer", one.try_lock(&key)).await??;
    check(refused.is_none(), || "a plain lock beside a reader".into())?;
    arena.within("a release", reader.release()).await?;
    drop(arena.within("the lock after it", one.lock(&key)).await??);
    Ok(())
}

pub(super) async fn fences_rise_over_readers(arena: &Arena) -> Result<(), Broken> {
    let (clients, key) = ([arena.client(), arena.client()], arena.key("fences-shared")?);
    let mut last = Fence::NONE;
    for round in 0..12 {
        let lock = clients[round % 2].read_write(&key);
        let mut guards = Vec::new();
        if round % 3 == 0 {
            guards.push(arena.within("to write", lock.write()).await??);
        } else {
            for _ in 0..3 {
                guards.push(arena.within("to read", lock.read()).await??);
            }
        }
        for guard in guards {
            check(guard.fence() > last, || format!("fence {} after {last}", guard.fence()))?;
            last = guard.fence();
            arena.within("a release", guard.release()).await?;
        }
    }
    Ok(())
}

pub(super) async fn reader_does_not_pass_a_writer(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("no-passing")?);
    let first = arena.within("to read", one.read_write(&key).read()).await??;
    // Where pushes are lost, a grant must last until the next poll, or others come first.
    let writer = two.read_write(&key).write().lease(LEASE * 4);
    let writer = arena.spawn(writer.into_future())?;
    arena.until_waiting(&one, &key, 1).await?;
    let refused = arena.within("an answer", one.read_write(&key).try_read()).await??;
    check(refused.is_none(), || "a reader passed a writer".into())?;
    let behind = arena.spawn(one.read_write(&key).read().into_future())?;
    arena.until_waiting(&one, &key, 2).await?;
    drop(first);
    let writer = arena.within("the writer's turn", writer).await???;
    check(!behind.is_finished(), || "a reader beside the writer".into())?;
    let fence = writer.fence();
    drop(writer);
    let reader = arena.within("the reader's turn", behind).await???;
    check(reader.fence() > fence, || "the reader's fence is not above the writer's".into())
}

pub(super) async fn readers_at_the_head_get_in_together(arena: &Arena) -> Result<(), Broken> {
    let (clients, key) = ([arena.client(), arena.client()], arena.key("together")?);
    let first = arena.within("to write", clients[0].read_write(&key).write()).await??;
    let mut readers = Vec::new();
    for number in 0..5 {
        let request = clients[number % 2].read_write(&key).read();
        readers.push(arena.spawn(request.into_future())?);
        arena.until_waiting(&clients[0], &key, number + 1).await?;
    }
    let last = arena.spawn(clients[0].read_write(&key).write().into_future())?;
    arena.until_waiting(&clients[0], &key, 6).await?;
    drop(first);
    let mut inside = Vec::new();
    for reader in readers {
        inside.push(arena.within("a reader's turn", reader).await???);
    }
    check(inside.iter().all(|reader| reader.is_held()), || "a reader is out".into())?;
    check(!last.is_finished(), || "a writer beside readers".into())?;
    drop(inside);
    drop(arena.within("the last writer's turn", last).await???);
    Ok(())
}

/// More of them than a backend may let in at once.
pub(super) async fn many_readers_get_in_together(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("many")?);
    let first = arena.within("to write", one.read_write(&key).write()).await??;
    let mut readers = Vec::new();
    for _ in 0..300 {
        readers.push(arena.spawn(two.read_write(&key).read().into_future())?);
    }
    arena.until_waiting(&one, &key, 300).await?;
    drop(first);
    let mut inside = Vec::new();
    for reader in readers {
        inside.push(arena.within("a reader's turn", reader).await???);
    }
    check(inside.iter().all(|reader| reader.is_held()), || "a reader is out".into())?;
    let info = arena.within("an answer", one.inspect(&key)).await??;
    check(info.reader_count == 300, || format!("{} readers are counted", info.reader_count))?;
    check(info.readers.len() == LockInfo::SHOWN, || format!("{} are shown", info.readers.len()))?;
    check(arena.within("an answer", one.force_release(&key, "all")).await??, || {
        "nobody held it".into()
    })?;
    for reader in &inside {
        let reason = arena.within("the loss", reader.lost()).await?;
        check(is_told(&reason), || format!("lost because {reason}"))?;
    }
    drop(arena.within("the lock after them", one.lock(&key)).await??);
    Ok(())
}

pub(super) async fn writer_that_gives_up_lets_readers_in(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("gives-up")?);
    let first = arena.within("to read", one.read_write(&key).read()).await??;
    let writer = arena.spawn(two.read_write(&key).write().into_future())?;
    arena.until_waiting(&one, &key, 1).await?;
    let behind = arena.spawn(one.read_write(&key).read().into_future())?;
    arena.until_waiting(&one, &key, 2).await?;
    writer.abort();
    let reader = arena.within("the reader's turn", behind).await???;
    check(first.is_held() && reader.is_held(), || "a reader is out".into())
}

pub(super) async fn reader_is_renewed(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("read-on")?);
    let readers = [
        arena.within("to read", one.read_write(&key).read()).await??,
        arena.within("to read", two.read_write(&key).read()).await??,
    ];
    arena.pass(LEASE * 2).await;
    check(readers.iter().all(|reader| reader.is_held()), || "a reader was not renewed".into())?;
    let refused = arena.within("an answer", two.read_write(&key).try_write()).await??;
    check(refused.is_none(), || "a writer beside renewed readers".into())
}

pub(super) async fn reader_ends_alone(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("ends-alone")?);
    let kept = arena.within("to read", one.read_write(&key).read()).await??;
    let ends = two.read_write(&key).read().fixed_lease(SHORT);
    let ends = arena.within("to read", ends).await??;
    let reason = arena.within("the loss", ends.lost()).await?;
    check(reason == LostReason::Expired, || format!("lost because {reason}"))?;
    arena.pass(SHORT).await;
    check(kept.is_held(), || "the other reader ended as well".into())?;
    match arena.within("the late release", ends.release()).await? {
        Released::AlreadyLost { .. } => {}
        other => return Err(format!("a late release says {other:?}").into()),
    }
    let refused = arena.within("an answer", two.read_write(&key).try_write()).await??;
    check(refused.is_none(), || "a writer beside a reader".into())?;
    arena.within("a release", kept.release()).await?;
    drop(arena.within("to write", two.read_write(&key).write()).await??);
    Ok(())
}

pub(super) async fn dead_readers_let_the_writer_in(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("dead")?);
    let mut dead = Vec::new();
    for locks in [&one, &two, &one] {
        let request = locks.read_write(&key).read().fixed_lease(SHORT);
        dead.push(arena.within("to read", request).await??);
    }
    let writer = arena.within("the writer's turn", two.read_write(&key).write()).await??;
    check(dead.iter().all(|reader| !reader.is_held()), || "a writer beside readers".into())?;
    let below = dead.iter().all(|reader| reader.fence() < writer.fence());
    check(below, || "the writer's fence is not above the readers'".into())
}

pub(super) async fn force_release_tells_all_readers(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("forced-shared")?);
    let readers = [
        arena.within("to read", one.read_write(&key).read()).await??,
        arena.within("to read", two.read_write(&key).read()).await??,
    ];
    let waiter = arena.spawn(two.read_write(&key).write().into_future())?;
    arena.until_waiting(&one, &key, 1).await?;
    let forced = arena.within("an answer", one.force_release(&key, "stuck")).await??;
    check(forced, || "nobody held it".into())?;
    for reader in &readers {
        let reason = arena.within("the loss", reader.lost()).await?;
        check(is_told(&reason), || format!("lost because {reason}"))?;
    }
    drop(arena.within("the writer's turn", waiter).await???);
    Ok(())
}

pub(super) async fn readers_are_shown(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("shown-shared")?);
    let request = one.read_write(&key).read().metadata("first");
    let first = arena.within("to read", request).await??;
    let second = arena.within("to read", two.read_write(&key).read()).await??;
    let info = arena.within("an answer", two.inspect(&key)).await??;
    check(info.holder.is_none() && info.is_held(), || format!("{info:?}"))?;
    check(info.reader_count == 2, || format!("{} readers are shown", info.reader_count))?;
    for (guard, metadata) in [(&first, Some("first")), (&second, None)] {
        let shown = info.readers.iter().find(|reader| reader.fence == guard.fence());
        let shown = shown.ok_or("a reader is not shown")?;
        check(shown.metadata.as_deref() == metadata, || format!("{shown:?}"))?;
        check(!shown.remaining.is_zero(), || "no lease is shown".into())?;
    }
    Ok(())
}

pub(super) async fn dropped_readers_leave_nothing(arena: &Arena) -> Result<(), Broken> {
    let (one, two, key) = (arena.client(), arena.client(), arena.key("leftovers-shared")?);
    for round in 0..16 {
        let lock = one.read_write(&key);
        let holder = match round % 3 {
            0 => arena.within("an answer", lock.try_read()).await??,
            1 => arena.within("an answer", lock.try_write()).await??,
            _ => None,
        };
        let writer = arena.spawn(one.read_write(&key).write().into_future())?;
        let reader = arena.spawn(two.read_write(&key).read().into_future())?;
        arena.pass(Duration::from_millis(round)).await;
        drop(holder);
        arena.pass(Duration::from_millis(round % 4)).await;
        reader.abort();
        writer.abort();
        // They may have been through: their guards are in the handles then.
        drop((reader, writer));
        arena.until_quiet(&one, &key).await?;
    }
    Ok(())
}

/// Counts who is inside: readers one each, a writer more than all readers there are.
pub(super) async fn readers_and_writers_never_overlap(arena: &Arena) -> Result<(), Broken> {
    const WRITER: usize = 1_000;
    let (clients, key) = ([arena.client(), arena.client()], arena.key("overlap-shared")?);
    let (inside, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for number in 0..16 {
        let (locks, key) = (clients[number % 2].clone(), key.clone());
        let (inside, together) = (inside.clone(), together.clone());
        let (writes, weight) = (number % 4 == 0, if number % 4 == 0 { WRITER } else { 1 });
        tasks.push(arena.spawn(async move {
            for _ in 0..3 {
                let lock = locks.read_write(&key);
                let guard = if writes { lock.write() } else { lock.read() }.await?;
                let before = inside.fetch_add(weight, Ordering::SeqCst);
                together.fetch_max(before + weight, Ordering::SeqCst);
                locks.clock().sleep(Duration::from_millis(2)).await;
                inside.fetch_sub(weight, Ordering::SeqCst);
                let allowed = if writes { before == 0 } else { before < WRITER };
                check(allowed, || format!("{before} were inside"))?;
                guard.release().await;
            }
            Ok::<_, Broken>(())
        })?);
    }
    for task in tasks {
        arena.within("a contender's turns", task).await???;
    }
    check(inside.load(Ordering::SeqCst) == 0, || "somebody was left out".into())
}

/// Where the push is lost, the next renewal tells.
fn is_told(reason: &LostReason) -> bool {
    matches!(reason, LostReason::ForceReleased { .. } | LostReason::TakenOver)
}

/// Short, and longer than any answer takes.
const SHORT: Duration = Duration::from_millis(400);
