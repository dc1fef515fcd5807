use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use mainstay_lock::local::{KeyedGuard, KeyedMutex};
use mainstay_testkit::cancel::EveryAwait;
use proptest::prelude::*;

use super::poll;

enum Party {
    Waits(Pin<Box<dyn Future<Output = KeyedGuard<u8>>>>),
    Holds { _guard: KeyedGuard<u8> },
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    Try(u8),
    /// Whoever it is, waiter or holder, goes away.
    Leave(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u8).prop_map(Step::Ask),
        1 => (0..3_u8).prop_map(Step::Try),
        3 => any::<prop::sample::Index>().prop_map(Step::Leave),
    ]
}

/// Beside it a queue for each key, whose first is the holder.
#[derive(Default)]
struct Model {
    parties: BTreeMap<usize, (u8, Party)>,
    queues: BTreeMap<u8, VecDeque<usize>>,
    next: usize,
}

impl Model {
    fn enter(&mut self, key: u8, party: Party) {
        self.parties.insert(self.next, (key, party));
        self.queues.entry(key).or_default().push_back(self.next);
        self.next += 1;
    }

    fn leave(&mut self, at: &prop::sample::Index) {
        let Some(&id) = self.parties.keys().nth(at.index(self.parties.len().max(1))) else {
            return;
        };
        let (key, _party) = self.parties.remove(&id).unwrap();
        self.queues.get_mut(&key).unwrap().retain(|other| *other != id);
    }

    /// Polls everybody who waits, the last one first: who holds is not a matter of who looks first.
    fn look(&mut self) {
        for (id, (key, party)) in self.parties.iter_mut().rev() {
            let first = self.queues[key].front() == Some(id);
            if let Party::Waits(future) = party {
                match poll(future.as_mut()) {
                    Poll::Ready(guard) => {
                        assert!(first, "{id} was let in before its time");
                        assert_eq!(guard.key(), key);
                        *party = Party::Holds { _guard: guard };
                    }
                    Poll::Pending => assert!(!first, "{id} is next and was not let in"),
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_queue_for_each_key_does(steps in prop::collection::vec(step(), 1..80)) {
        let mutexes = KeyedMutex::new();
        let mut model = Model::default();
        for step in &steps {
            match step {
                Step::Ask(key) => {
                    let mut waits: Pin<Box<dyn Future<Output = _>>> = Box::pin(mutexes.lock(*key));
                    let party = match poll(waits.as_mut()) {
                        Poll::Ready(guard) => Party::Holds { _guard: guard },
                        Poll::Pending => Party::Waits(waits),
                    };
                    model.enter(*key, party);
                }
                Step::Try(key) => {
                    let free = model.queues.get(key).is_none_or(VecDeque::is_empty);
                    let tried = mutexes.try_lock(*key);
                    prop_assert_eq!(tried.is_some(), free);
                    if let Some(guard) = tried {
                        model.enter(*key, Party::Holds { _guard: guard });
                    }
                }
                Step::Leave(at) => model.leave(at),
            }
            model.look();
            let in_use = model.queues.values().filter(|queue| !queue.is_empty()).count();
            prop_assert_eq!(mutexes.len(), in_use);
        }
        drop(model);
        prop_assert!(mutexes.is_empty());
    }
}

#[test]
fn a_future_dropped_at_any_await_leaves_nothing() {
    let mutexes = KeyedMutex::new();
    let holder = RefCell::new(None);
    let done = EveryAwait::new()
        .between_polls(|| drop(holder.take()))
        .after_drop(|at| {
            holder.take();
            assert!(mutexes.is_empty(), "{at} left a key");
        })
        .run(|| {
            holder.replace(mutexes.try_lock("a"));
            mutexes.lock("a")
        });
    assert_eq!((done.polls, done.output.key()), (2, &"a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_are_alone_with_their_key_and_leave_no_trace() {
    let mutexes = KeyedMutex::new();
    let inside: Arc<Vec<AtomicUsize>> = Arc::new((0..4).map(|_| AtomicUsize::new(0)).collect());
    let tasks = (0..64_usize).map(|task| {
        let (mutexes, inside) = (mutexes.clone(), inside.clone());
        tokio::spawn(async move {
            for turn in 0..50 {
                let key = (task + turn) % 4;
                let guard = mutexes.lock(key).await;
                assert_eq!(inside[key].fetch_add(1, Ordering::SeqCst), 0, "two inside {key}");
                tokio::task::yield_now().await;
                inside[key].fetch_sub(1, Ordering::SeqCst);
                drop(guard);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(mutexes.is_empty());
}

#[tokio::test]
async fn a_holder_that_panics_unlocks() {
    let mutexes = KeyedMutex::new();
    let own = mutexes.clone();
    let panicked = tokio::spawn(async move {
        let _guard = own.lock("a").await;
        panic!("on purpose");
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert!(mutexes.try_lock("a").is_some());
}
