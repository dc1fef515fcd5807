//! A transaction under a lock, dropped at every await that it has.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
};

use mainstay_lock::{Locks, Tx};
use mainstay_testkit::cancel::{Moment, yield_once};
use sqlx::MySql;

use crate::{
    Broken,
    databases::{Db, Kit, on_every_database, read, write},
    within,
};

on_every_database!(dropped_anywhere_it_is_whole_and_over_when_the_lock_is_free);

/// Whoever has the lock next sees all of it or nothing, and nothing comes after.
async fn dropped_anywhere_it_is_whole_and_over_when_the_lock_is_free<DB: Kit>() {
    let (db, locks) = (Db::<DB>::fresh().await, Locks::in_process());
    let mut total = 0;
    // Counted from the first poll, and from the end of the body: how many polls come before it depends on the pool,
    // and an answer may be there before the poll that waits for it.
    for (behind_the_body, most) in [(false, 100), (true, 8)] {
        let (mut dropped, mut committed, mut finished) = (0, 0, 0);
        let moments = (1..=most)
            .flat_map(|polls| [Moment::Asleep, Moment::Woken].map(|moment| (polls, moment)));
        // On a busy machine all answers may be there before they are polled for: then once more.
        for (polls, moment) in (0..5).flat_map(|_| moments.clone()) {
            if polls == 1 && dropped > 0 && finished > 0 {
                break;
            }
            let guard = within(locks.lock("order:1")).await.unwrap();
            let ended = AtomicBool::new(!behind_the_body);
            let run = guard.transaction(&db.pool, |tx| both(tx, total, &ended));
            let done = poll_up_to(run, polls, moment, &ended).await;
            let guard = within(locks.lock("order:1")).await.unwrap();
            let (one, two) = (db.total().await, db.number(TWO).await);
            assert_eq!(one, two, "half of it, after {polls} polls");
            (committed, total) = (committed + one - total, one);
            match done {
                Some(done) => {
                    done.unwrap();
                    finished += 1;
                }
                None => dropped += 1,
            }
            guard.release().await;
            if finished > 0 && !behind_the_body {
                break;
            }
        }
        assert!(dropped > 0 && finished > 0, "{dropped} dropped, {finished} finished");
        if behind_the_body {
            assert_eq!(committed, dropped + finished, "what has begun to commit goes on");
        }
    }
}

/// A driver that is interrupted while it begins may not know that it did; whoever has the connection next would
/// be in a transaction without knowing it.
#[tokio::test]
async fn a_begin_that_is_dropped_leaves_no_connection_in_a_transaction() {
    let (db, locks) = (Db::<MySql>::fresh().await, Locks::in_process());
    for polls in (1..8).flat_map(|polls| [polls; 4]) {
        let guard = within(locks.lock("order:1")).await.unwrap();
        let run = guard.transaction(&db.pool, async |_tx| Ok::<_, Broken>(()));
        _ = poll_up_to(run, polls, Moment::Asleep, &AtomicBool::new(true)).await;
        let mut connections = Vec::new();
        // Not as many as there are: one that is dropped in the middle of preparing a statement does not come back.
        for _ in 0..2 {
            connections.push(within(db.pool.acquire()).await.unwrap());
        }
        for connection in &mut connections {
            let open = MySql::number(&mut *connection, "SELECT CAST(@@in_transaction AS SIGNED)")
                .await
                .unwrap();
            assert_eq!(open, 0, "in a transaction, after {polls} polls");
        }
    }
}

const TWO: &str = "SELECT total FROM account WHERE id = 2";

/// Adds one to both accounts, and finds what was there when the lock was taken.
async fn both<DB: Kit>(mut tx: Tx<DB>, expected: i64, ended: &AtomicBool) -> Result<(), Broken> {
    assert_eq!(
        read::<DB>(&mut tx).await?,
        expected,
        "something was committed after its lock was free"
    );
    write::<DB>(&mut tx, expected + 1).await?;
    yield_once().await;
    DB::run(&mut tx, "UPDATE account SET total = total + 1 WHERE id = 2").await?;
    ended.store(true, Ordering::Relaxed);
    Ok(())
}

/// Polls `future` whenever it is woken, `polls` times at most once `counts` is set, and then drops it.
async fn poll_up_to<F: Future>(
    future: F,
    polls: usize,
    moment: Moment,
    counts: &AtomicBool,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    let polled = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        let polled = future.as_mut().poll(cx);
        left -= usize::from(counts.load(Ordering::Relaxed));
        match polled {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 && moment == Moment::Asleep => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    within(polled).await
}
