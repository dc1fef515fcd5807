//! The engine, as it is, under a model checker: every interleaving of a few threads.
#![expect(dead_code, reason = "the engine is included whole, and driven in part")]

mod sync {
    pub(crate) use loom::sync::{Mutex, atomic::AtomicU64, atomic::Ordering};
}

#[path = "../src/engine/mod.rs"]
mod engine;

use std::{future::poll_fn, sync::Arc, task::Poll};

use engine::{Ask, Engine, Entry, Park, Scope, ScopeList, Ticket, UNLIMITED};
use loom::{future::block_on, thread};
use mainstay_core::{Key, ManualClock, Moment};

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn engine() -> Arc<Engine> {
    Arc::new(Engine::new(ManualClock::new().clock(), 8))
}

fn scope(id: u64, limit: u32) -> Arc<Scope> {
    Arc::new(Scope::new(id, Key::new("bank").expect("a key"), limit, 8))
}

fn list(scopes: &[&Arc<Scope>]) -> ScopeList {
    scopes.iter().map(|scope| Arc::clone(scope)).collect()
}

fn try_enter(engine: &Engine, scopes: &ScopeList, weight: u32) -> bool {
    engine.admit(&Ask { scopes, weight, id: None, park: None }).is_ok()
}

/// Asks, and waits in the queue if need be.
fn ask(engine: &Arc<Engine>, scopes: &ScopeList, weight: u32, id: Option<&Key>) -> Option<Ticket> {
    let park = Some(Park { deadline: Moment::NEVER });
    match engine.admit(&Ask { scopes, weight, id, park }).expect("waiting is allowed") {
        Entry::Granted => None,
        Entry::Parked(seq) => Some(Ticket::new(engine.clone(), seq)),
    }
}

/// Blocks until it is in; a wake-up that is lost is a deadlock, which the checker reports.
fn enter(engine: &Arc<Engine>, scopes: &ScopeList, weight: u32) {
    if let Some(mut ticket) = ask(engine, scopes, weight, None) {
        block_on(poll_fn(|cx| ticket.poll(cx))).expect("nothing refuses here");
    }
}

fn used(scope: &Scope) -> u32 {
    scope.pool.read().used()
}

#[test]
fn a_release_always_wakes_the_waiter() {
    check(|| {
        let (engine, bank) = (engine(), scope(0, 1));
        let scopes = list(&[&bank]);
        assert!(try_enter(&engine, &scopes, 1));
        let releaser = {
            let (engine, scopes) = (engine.clone(), scopes.clone());
            thread::spawn(move || engine.release(&scopes, 1, None))
        };
        enter(&engine, &scopes, 1);
        releaser.join().unwrap();
        assert_eq!(used(&bank), 1);
        engine.release(&scopes, 1, None);
        assert_eq!(used(&bank), 0);
        assert!(try_enter(&engine, &scopes, 1), "the fast path is open again");
    });
}

#[test]
fn two_releases_let_a_wide_waiter_in() {
    check(|| {
        let (engine, bank) = (engine(), scope(0, 2));
        let scopes = list(&[&bank]);
        assert!(try_enter(&engine, &scopes, 1) && try_enter(&engine, &scopes, 1));
        let releasers: Vec<_> = (0..2)
            .map(|_| {
                let (engine, scopes) = (engine.clone(), scopes.clone());
                thread::spawn(move || engine.release(&scopes, 1, None))
            })
            .collect();
        enter(&engine, &scopes, 2);
        releasers.into_iter().for_each(|releaser| releaser.join().unwrap());
        assert_eq!(used(&bank), 2);
    });
}

#[test]
fn a_lowered_limit_is_paid_before_anybody_gets_in() {
    check(|| {
        let (engine, bank) = (engine(), scope(0, 2));
        let scopes = list(&[&bank]);
        assert!(try_enter(&engine, &scopes, 1) && try_enter(&engine, &scopes, 1));
        engine.set_limit(&bank, 1, 8);
        let releaser = {
            let (engine, scopes) = (engine.clone(), scopes.clone());
            thread::spawn(move || engine.release(&scopes, 1, None))
        };
        let got_in = try_enter(&engine, &scopes, 1);
        releaser.join().unwrap();
        assert!(!got_in, "the first permit that came back belongs to the debt");
        assert_eq!(used(&bank), 1);
        engine.release(&scopes, 1, None);
        assert!(try_enter(&engine, &scopes, 1));
    });
}

#[test]
fn a_limit_that_is_lowered_while_permits_move_is_not_passed() {
    check(|| {
        let (engine, bank) = (engine(), scope(0, 2));
        let scopes = list(&[&bank]);
        assert!(try_enter(&engine, &scopes, 1) && try_enter(&engine, &scopes, 1));
        let lower = {
            let (engine, bank) = (engine.clone(), bank.clone());
            thread::spawn(move || engine.set_limit(&bank, 1, 8))
        };
        engine.release(&scopes, 1, None);
        let got_in = try_enter(&engine, &scopes, 1);
        lower.join().unwrap();
        assert_eq!(used(&bank), 1 + u32::from(got_in));
        assert!(!try_enter(&engine, &scopes, 1), "one of one, or two of one, is in");
    });
}

#[test]
fn a_waiter_that_leaves_takes_no_permit_with_it() {
    check(|| {
        let (engine, bank) = (engine(), scope(0, 1));
        let scopes = list(&[&bank]);
        assert!(try_enter(&engine, &scopes, 1));
        let first = ask(&engine, &scopes, 1, None).expect("full");
        let mut second = ask(&engine, &scopes, 1, None).expect("full");
        let releaser = {
            let (engine, scopes) = (engine.clone(), scopes.clone());
            thread::spawn(move || engine.release(&scopes, 1, None))
        };
        let leaver = thread::spawn(move || drop(first));
        block_on(poll_fn(|cx| second.poll(cx))).expect("nothing refuses here");
        releaser.join().unwrap();
        leaver.join().unwrap();
        assert_eq!(used(&bank), 1, "only the second is in");
    });
}

#[test]
fn a_waiter_that_gives_up_is_in_or_out_never_both() {
    check(|| {
        let (engine, bank) = (engine(), scope(0, 1));
        let scopes = list(&[&bank]);
        assert!(try_enter(&engine, &scopes, 1));
        let mut ticket = ask(&engine, &scopes, 1, None).expect("full");
        let releaser = {
            let (engine, scopes) = (engine.clone(), scopes.clone());
            thread::spawn(move || engine.release(&scopes, 1, None))
        };
        let is_in = ticket.give_up().is_ok();
        releaser.join().unwrap();
        assert_eq!(used(&bank), u32::from(is_in));
    });
}

#[test]
fn two_limits_are_taken_together_or_not_at_all() {
    check(|| {
        let (engine, channel, other) = (engine(), scope(0, 1), scope(1, 1));
        let (both, one) = (list(&[&channel, &other]), list(&[&other]));
        let rival = {
            let (engine, both) = (engine.clone(), both.clone());
            thread::spawn(move || try_enter(&engine, &both, 1))
        };
        let mine = try_enter(&engine, &one, 1);
        let theirs = rival.join().unwrap();
        assert!(mine ^ theirs, "one of the two is in, whoever came first");
        assert_eq!((used(&channel), used(&other)), (u32::from(theirs), 1));
    });
}

#[test]
fn a_call_that_is_refused_takes_nothing_not_even_for_a_moment() {
    check(|| {
        let (engine, channel, other) = (engine(), scope(0, 1), scope(1, 1));
        let (both, one) = (list(&[&channel, &other]), list(&[&other]));
        assert!(try_enter(&engine, &list(&[&channel]), 1));
        let refused = {
            let (engine, both) = (engine.clone(), both.clone());
            thread::spawn(move || try_enter(&engine, &both, 1))
        };
        assert!(try_enter(&engine, &one, 1), "the other scope was never full");
        assert!(!refused.join().unwrap());
        assert_eq!((used(&channel), used(&other)), (1, 1));
    });
}

#[test]
fn a_limit_that_appears_under_a_fast_call_strands_nobody() {
    check(|| {
        let (engine, global, bank) = (engine(), scope(0, UNLIMITED), scope(1, UNLIMITED));
        let (path, alone) = (list(&[&global, &bank]), list(&[&global]));
        let fast = {
            let (engine, path) = (engine.clone(), path.clone());
            thread::spawn(move || {
                if try_enter(&engine, &path, 1) {
                    engine.release(&path, 1, None);
                }
            })
        };
        engine.set_limit(&bank, 0, 8);
        engine.set_limit(&global, 1, 8);
        enter(&engine, &alone, 1);
        fast.join().unwrap();
        assert_eq!((used(&global), used(&bank)), (1, 0));
    });
}

#[test]
fn calls_of_one_id_are_counted_once() {
    check(|| {
        let (engine, bank) = (engine(), scope(0, 1));
        let scopes = list(&[&bank]);
        let twin = {
            let (engine, scopes) = (engine.clone(), scopes.clone());
            thread::spawn(move || {
                let id = Key::new("pay").unwrap();
                assert!(ask(&engine, &scopes, 1, Some(&id)).is_none(), "it shares the slot");
                engine.release(&scopes, 1, Some(&id));
            })
        };
        let id = Key::new("pay").unwrap();
        assert!(ask(&engine, &scopes, 1, Some(&id)).is_none(), "it shares the slot");
        assert_eq!(used(&bank), 1);
        engine.release(&scopes, 1, Some(&id));
        twin.join().unwrap();
        assert_eq!(used(&bank), 0);
    });
}

#[test]
fn a_ticket_that_is_polled_late_still_hears_of_its_grant() {
    check(|| {
        let (engine, bank) = (engine(), scope(0, 1));
        let scopes = list(&[&bank]);
        assert!(try_enter(&engine, &scopes, 1));
        let mut ticket = ask(&engine, &scopes, 1, None).expect("full");
        engine.release(&scopes, 1, None);
        let outcome = block_on(poll_fn(|cx| match ticket.poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => panic!("granted before it was polled"),
        }));
        assert!(outcome.is_ok());
        assert_eq!(engine.waiting(), 0);
        assert_eq!(bank.waiting(), 0);
    });
}
