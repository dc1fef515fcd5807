//! Bulkheads: nested calls, inherited slots, named holders.
#![expect(clippy::disallowed_methods, reason = "a child outside of its parent's slot is spawned")]

mod support;

use mainstay_limiter::{Bulkhead, BulkheadConfig, LimitError, ManualClock};
use support::{granted, ms, poll, refused, waiting};

fn pool(slots: u32) -> (Bulkhead, ManualClock) {
    let time = ManualClock::new();
    (Bulkhead::builder("pool").slots(slots).clock(time.clock()).build(), time)
}

fn used(pool: &Bulkhead) -> u32 {
    pool.snapshot().expect("the name is a key").used
}

async fn depth(pool: Bulkhead, levels: u32) -> Result<u32, LimitError> {
    let inner = pool.clone();
    let work = async move {
        let seen = used(&inner);
        if levels == 0 {
            return Ok(seen);
        }
        Box::pin(depth(inner, levels - 1)).await
    };
    pool.acquire().run(work).await
}

#[tokio::test]
async fn nested_calls_of_one_task_share_its_slot() {
    let (pool, _) = pool(1);
    assert_eq!(depth(pool.clone(), 5).await.unwrap(), 1);
    assert_eq!(used(&pool), 0);
}

#[tokio::test]
async fn the_slot_is_given_back_by_the_outermost() {
    let (pool, _) = pool(1);
    let inner = pool.clone();
    let outer = pool.acquire().run(async move {
        let permit = inner.try_acquire()?;
        assert!(permit.is_reentrant());
        drop(permit);
        assert_eq!(used(&inner), 1);
        Ok::<_, LimitError>(())
    });
    outer.await.unwrap();
    assert_eq!(used(&pool), 0);
}

#[tokio::test]
async fn a_heavier_nested_call_waits_like_anybody() {
    let (pool, _) = pool(2);
    let inner = pool.clone();
    let outer = pool.acquire().run(async move {
        let error = inner.acquire().permits(2).await.unwrap_err();
        assert!(error.is_rejected());
        Ok::<_, LimitError>(())
    });
    outer.await.unwrap();
}

#[tokio::test]
async fn another_bulkhead_is_not_entered_for_free() {
    let ((ours, _), (theirs, _)) = (pool(1), pool(1));
    let _taken = theirs.try_acquire().unwrap();
    let inner = theirs.clone();
    let nested = ours.acquire().run(async move { inner.try_acquire().map(drop) }).await;
    assert!(nested.unwrap_err().is_rejected());
}

#[tokio::test]
async fn both_of_two_nested_bulkheads_are_known_inside() {
    let ((outer, _), (inner, _)) = (pool(1), pool(1));
    let (again_outer, again_inner) = (outer.clone(), inner.clone());
    let work = inner.acquire().run(async move {
        assert!(again_outer.try_acquire()?.is_reentrant());
        assert!(again_inner.try_acquire()?.is_reentrant());
        Ok::<_, LimitError>(())
    });
    outer.acquire().run(work).await.unwrap();
}

#[tokio::test]
async fn a_child_started_through_the_permit_is_in_and_keeps_the_slot() {
    let (pool, _) = pool(1);
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let inner = pool.clone();
    let mut permit = pool.try_acquire().unwrap();
    let child = permit.spawn(async move {
        wait.await.unwrap();
        inner.try_acquire().map(|permit| permit.is_reentrant())
    });
    drop(permit);
    assert_eq!(used(&pool), 1, "the child still has it");
    go.send(()).unwrap();
    assert!(child.await.unwrap().unwrap());
    assert_eq!(used(&pool), 0);
}

#[tokio::test]
async fn a_child_started_through_the_handle_is_in() {
    let (pool, _) = pool(1);
    let (request, inner) = (pool.acquire(), pool.clone());
    let handle = request.handle();
    let work = async move {
        let child = handle.spawn(async move { inner.try_acquire().map(drop) });
        child.await.expect("the child does not panic")
    };
    request.run::<_, (), LimitError>(work).await.unwrap();
    assert_eq!(used(&pool), 0);
}

/// Parents fill the pool and wait for children that queue behind them.
#[tokio::test]
async fn parent_child_pool() {
    let (pool, time) = pool(2);
    // The naive way: nothing bounds the wait, and everybody waits for somebody for good.
    let naive = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
    let parent = naive.clone().acquire_owned().await.unwrap();
    let child = tokio::spawn({
        let naive = naive.clone();
        async move { naive.acquire_owned().await.map(drop) }
    });
    time.run_for(ms(60_000)).await;
    assert!(!child.is_finished(), "the child waits for its parent, which waits for the child");
    child.abort();
    drop(parent);

    // Nested in the same task: let in.
    let nested = pool.clone();
    let work = async move { nested.acquire().run(async { Ok::<_, LimitError>(()) }).await };
    pool.acquire().run(work).await.unwrap();

    // Spawned by hand: a bounded wait, and a refusal that names who is in the way.
    let parents: Vec<_> = ["settle", "report"]
        .into_iter()
        .map(|name| {
            let inner = pool.clone();
            let work = async move {
                let child = async move { inner.acquire().wait(ms(200)).await.map(drop) };
                tokio::spawn(child).await.expect("the child does not panic")
            };
            tokio::spawn(pool.acquire().label(name).run::<_, (), LimitError>(work))
        })
        .collect();
    time.run_for(ms(200)).await;
    for parent in parents {
        let error = parent.await.unwrap().unwrap_err();
        let LimitError::Timeout { waited, holders, .. } = &error else { panic!("{error}") };
        assert_eq!(*waited, ms(200));
        let names: Vec<_> = holders.iter().map(|holder| holder.name.as_str()).collect();
        assert!(names.contains(&"settle") || names.contains(&"report"), "{error}");
    }
    assert_eq!(used(&pool), 0);

    // Spawned through the permit: in.
    let parents: Vec<_> = (0..2)
        .map(|_| {
            let (request, inner) = (pool.acquire(), pool.clone());
            let handle = request.handle();
            let work = async move {
                let child = handle.spawn(async move { inner.acquire().await.map(drop) });
                child.await.expect("the child does not panic")
            };
            tokio::spawn(request.run::<_, (), LimitError>(work))
        })
        .collect();
    for parent in parents {
        parent.await.unwrap().unwrap();
    }
    assert_eq!(used(&pool), 0);
}

#[test]
fn a_refusal_names_the_holders_by_label_or_place() {
    let (pool, time) = pool(3);
    let _labelled = granted(&mut pool.acquire().label("nightly settlement").into_future());
    time.advance(ms(2000));
    let _placed = [pool.acquire(), pool.acquire()].map(|r| granted(&mut r.into_future()));
    let error = refused(&mut pool.acquire().into_future());
    let LimitError::Rejected { holders, .. } = &error else { panic!("{error}") };
    let first = holders.iter().next().unwrap();
    assert_eq!((first.name.as_str(), first.oldest), ("nightly settlement", ms(2000)));
    let places = holders.iter().filter(|holder| holder.name.contains("bulkhead.rs")).count();
    assert_eq!(places, 2, "{error}");
    assert!(error.to_string().contains("held by nightly settlement for 2s"), "{error}");
}

#[test]
fn holders_that_are_gone_are_not_named() {
    let (pool, _) = pool(1);
    drop(granted(&mut pool.acquire().label("gone").into_future()));
    let _in = granted(&mut pool.acquire().label("here").into_future());
    let text = refused(&mut pool.acquire().into_future()).to_string();
    assert!(text.contains("here") && !text.contains("gone"), "{text}");
}

#[test]
fn resizing_does_not_wait_and_pays_first() {
    let (pool, _) = pool(2);
    let mut permits = vec![pool.try_acquire().unwrap(), pool.try_acquire().unwrap()];
    let mut waiter = waiting(pool.acquire().wait(ms(1000)));
    pool.resize(1);
    permits.pop();
    assert!(poll(&mut waiter).is_pending());
    pool.resize(2);
    let _in = granted(&mut waiter);
    assert_eq!(used(&pool), 2);
}

#[test]
fn a_name_that_is_no_key_is_reported_by_the_call() {
    let pool = Bulkhead::new("", 1);
    assert!(matches!(pool.try_acquire(), Err(LimitError::InvalidKey(_))));
    assert!(pool.snapshot().is_none());
    pool.resize(2);
}

#[test]
fn configuration_reads_back_as_it_was_written() {
    let config: BulkheadConfig = serde_json::from_str(r#"{"slots": 8, "wait": "1s"}"#).unwrap();
    assert_eq!((config.slots, config.wait), (8, ms(1000)));
    let again = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<BulkheadConfig>(&again).unwrap(), config);
    assert!(serde_json::from_str::<BulkheadConfig>(r#"{"slot": 8}"#).is_err());
}
