//! One leader at a time, on a clock that the test moves.

use std::{
    cell::RefCell,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use mainstay_lock::{
    Fence, InProcess, LockError, LockHandle, Locks, LostReason, ManualClock,
    election::{Election, Leadership},
};
use mainstay_testkit::cancel::{EveryAwait, yield_once};

use crate::{faulty::Faulty, manual, ms};

const LEASE: u64 = 10_000;

struct Scene {
    time: ManualClock,
    store: InProcess,
}

impl Scene {
    fn new() -> Self {
        let time = ManualClock::new();
        Self { store: InProcess::new(time.clock()), time }
    }

    /// A client of its own, as in another process.
    fn locks(&self) -> Locks {
        let builder =
            Locks::builder().clock(self.time.clock()).lease(ms(LEASE)).max_hold(ms(60_000));
        builder.store(self.store.clone())
    }

    fn candidate(&self, id: &'static str) -> Election {
        Election::new(&self.locks(), "job").candidate_id(id)
    }

    async fn campaign(&self, candidate: &Election) -> tokio::task::JoinHandle<Leadership> {
        let candidate = candidate.clone();
        let campaign = tokio::spawn(async move { candidate.campaign().await.unwrap() });
        self.time.settle().await;
        campaign
    }
}

#[tokio::test]
async fn who_resigns_hands_over_at_once_and_in_order() {
    let scene = Scene::new();
    let [one, two, three] = ["one", "two", "three"].map(|id| scene.candidate(id));
    let first = one.campaign().await.unwrap();
    let (second, third) = (scene.campaign(&two).await, scene.campaign(&three).await);
    assert!(!second.is_finished() && !two.leading().is_leading());
    let leader = three.leader().await.unwrap().unwrap();
    assert_eq!((leader.candidate.as_deref(), leader.term), (Some("one"), first.term()));
    let (term, mut leading) = (first.term(), one.leading());
    first.resign().await;
    assert_eq!(leading.changed().await, None);
    let second = second.await.unwrap();
    assert!(second.term() > term && two.leading().is_leading() && !third.is_finished());
    drop(second);
    assert!(third.await.unwrap().is_leading());
}

/// It leads for longer than any hold of a lock may last, and loses it within a lease once it is suspended.
#[tokio::test]
async fn hand_over_is_bounded_by_the_lease_and_the_old_leader_knows_first() {
    let scene = Scene::new();
    let (one, two) = (scene.candidate("one"), scene.candidate("two"));
    let first = one.campaign().await.unwrap();
    let second = scene.campaign(&two).await;
    scene.time.run_for(ms(300_000)).await;
    assert!(first.is_leading() && !second.is_finished(), "renewed for as long as it lives");
    let mut lost = Box::pin(first.lost());
    // A machine that sleeps renews nothing.
    scene.time.advance(ms(LEASE));
    assert!(!first.is_leading(), "on the first call");
    assert_eq!(one.leading().term(), None);
    assert_eq!((&mut lost).await, LostReason::Expired);
    scene.time.settle().await;
    let second = second.await.unwrap();
    assert!(second.term() > first.term());
    // What it does now is refused wherever terms are checked, and resigning ends nobody's term.
    first.resign().await;
    assert!(second.is_leading());
}

#[tokio::test]
async fn a_candidate_sees_itself_change() {
    let scene = Scene::new();
    let one = scene.candidate("one");
    let mut leading = one.leading();
    let first = one.campaign().await.unwrap();
    assert_eq!(leading.changed().await, Some(first.term()));
    // A change that nobody looked at in between is one all the same.
    drop(first);
    let second = one.campaign().await.unwrap();
    assert_eq!(leading.changed().await, Some(second.term()));
    let watcher = tokio::spawn(async move { leading.changed().await });
    scene.time.settle().await;
    assert!(!watcher.is_finished());
    scene.time.advance(ms(LEASE));
    assert_eq!(watcher.await.unwrap(), None);
}

type Terms = Mutex<Vec<(&'static str, LockHandle)>>;

fn begin(terms: &Terms, id: &'static str, term: LockHandle) {
    let mut terms = terms.lock().unwrap();
    assert!(terms.iter().all(|(_, old)| !old.is_held()), "two lead at once");
    terms.push((id, term));
}

/// Three candidates run a job, and their leaders are shot down again and again. A new term begins only once the
/// old leader knows that its own is over, and its work is dropped when it is next looked at.
#[tokio::test]
async fn one_leads_at_a_time_and_the_work_of_a_lost_term_is_dropped() {
    struct Inside(Arc<AtomicUsize>);
    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let scene = Scene::new();
    let (inside, terms) = (Arc::new(AtomicUsize::new(0)), Arc::new(Terms::default()));
    let admin = scene.locks();
    let tasks = ["one", "two", "three"].map(|id| {
        let (candidate, inside, terms) = (scene.candidate(id), inside.clone(), terms.clone());
        tokio::spawn(async move {
            let work = |term: LockHandle| {
                let (inside, terms) = (inside.clone(), terms.clone());
                async move {
                    inside.fetch_add(1, Ordering::SeqCst);
                    let _inside = Inside(inside);
                    begin(&terms, id, term);
                    pending::<()>().await;
                }
            };
            candidate.run(work).await
        })
    });
    for round in 0..9 {
        scene.time.settle().await;
        assert_eq!(terms.lock().unwrap().len(), round + 1);
        assert_eq!(inside.load(Ordering::SeqCst), 1, "the old one's work is gone");
        match round % 3 {
            0 => assert!(admin.force_release("job", "it is stuck").await.unwrap()),
            1 => scene.time.advance(ms(LEASE)),
            _ => scene.time.run_for(ms(LEASE * 3)).await,
        }
        if round % 3 == 2 {
            // Renewed meanwhile.
            assert_eq!(terms.lock().unwrap().len(), round + 1);
            assert!(admin.force_release("job", "enough").await.unwrap());
        }
    }
    scene.time.settle().await;
    let terms = terms.lock().unwrap().clone();
    assert!(terms.windows(2).all(|pair| pair[0].1.fence() < pair[1].1.fence()), "{terms:?}");
    assert!(["one", "two", "three"].iter().all(|id| terms.iter().any(|(other, _)| id == other)));
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    for task in tasks {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    assert!(scene.store.is_empty());
}

#[tokio::test]
async fn work_that_ends_ends_the_run_and_resigns() {
    let scene = Scene::new();
    let one = scene.candidate("one");
    let term = one.run(|term| async move { term.fence() }).await.unwrap();
    assert!(term > Fence::NONE && scene.store.is_empty());
    let lazy = one.run_until(yield_once(), |_| pending::<()>()).await.unwrap();
    assert_eq!(lazy, None);
    assert!(scene.store.is_empty(), "stopped means resigned");
    // Also one that never got to lead.
    let other = scene.candidate("two").campaign().await.unwrap();
    assert_eq!(one.run_until(yield_once(), |_| async { 7 }).await.unwrap(), None);
    drop(other);
    assert_eq!(one.run_until(pending(), |_| async { 7 }).await.unwrap(), Some(7));
}

#[tokio::test]
async fn a_shutdown_ends_campaigns_and_terms() {
    let scene = Scene::new();
    let locks = scene.locks();
    let [one, two] = ["one", "two"].map(|id| Election::new(&locks, "job").candidate_id(id));
    let runs = [one, two]
        .map(|candidate| tokio::spawn(async move { candidate.run(|_| pending::<()>()).await }));
    scene.time.settle().await;
    assert_eq!(locks.shutdown(ms(0)).await, 1);
    for run in runs {
        let error = run.await.unwrap().unwrap_err();
        assert!(error.is_shutting_down(), "{error}");
    }
}

#[tokio::test]
async fn what_no_attempt_mends_is_an_error_at_once() {
    let scene = Scene::new();
    let one = scene.candidate("one");
    let leadership = one.campaign().await.unwrap();
    let error = leadership.run(one.campaign()).await.unwrap().unwrap_err();
    assert!(matches!(error, LockError::WouldDeadlock { .. }), "{error}");
    let nameless = Election::new(&scene.locks(), "a::b");
    let error = nameless.run(|_| pending::<()>()).await.unwrap_err();
    assert!(matches!(error, LockError::InvalidKey(_)), "{error}");
}

/// A backend that is down, or whose answers are lost, is asked again.
#[tokio::test]
async fn a_run_outlasts_an_outage() {
    for mute in [false, true] {
        let (time, builder) = manual();
        let backend = Faulty::new(time.clock(), ms(2));
        let candidate = Election::new(&builder.lease(ms(LEASE)).backend(backend.clone()), "job");
        let fault = |on| {
            let faults = backend.faults();
            let switch = if mute { &faults.mute } else { &faults.down };
            switch.store(on, Ordering::Relaxed);
        };
        fault(true);
        let store = backend.store().clone();
        let run = tokio::spawn(async move {
            let led = candidate.run(|term| async move { term.is_held() }).await;
            assert!(store.is_empty(), "it has resigned, and waited for the word on it");
            led
        });
        time.run_for(ms(60_000)).await;
        assert!(!run.is_finished(), "it does not give up");
        fault(false);
        time.run_for(ms(30_000)).await;
        assert!(run.is_finished(), "it is elected once there are answers");
        assert!(run.await.unwrap().unwrap());
    }
}

#[test]
fn futures_dropped_at_any_await_leave_nobody_in_office() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _context = runtime.enter();
    let scene = Scene::new();
    let (one, two) = (scene.candidate("one"), scene.candidate("two"));
    let holder = RefCell::new(None);
    let call = || async {
        let output = one.run(|_| async {
            yield_once().await;
            7
        });
        output.await.unwrap();
        let leadership = one.campaign().await.unwrap();
        leadership.run(yield_once()).await.unwrap();
        leadership.resign().await
    };
    let done = EveryAwait::new()
        .between_polls(|| drop(holder.take()))
        .after_drop(|at| {
            holder.take();
            assert!(scene.store.is_empty(), "{at} left {:?}", scene.store);
            assert!(!one.leading().is_leading());
        })
        .run(|| {
            holder.replace(Some(runtime.block_on(two.campaign()).unwrap()));
            call()
        });
    assert!(done.polls > 2, "it never waited");
}
