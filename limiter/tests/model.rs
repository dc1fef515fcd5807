//! Random histories against plain book-keeping.

mod support;

use std::{collections::BTreeMap, task::Poll, time::Duration};

use mainstay_limiter::{
    Acquire, Held, Limit, LimitError, Limiter, ManualClock, Moment, Permit, Reason,
};
use proptest::prelude::*;
use support::{ms, poll};

const PATHS: [&str; 4] = ["bank:pay", "bank:refund", "card:pay", "card"];
const SCOPES: [&str; 6] = ["global", "bank", "bank:pay", "bank:refund", "card", "card:pay"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire { path: usize, weight: u32, wait: u64, id: Option<u8> },
    Release(usize),
    Leave(usize),
    Set { scope: usize, limit: Option<u32> },
    Hold { permit: usize, ttl: u64 },
    EndHold(usize),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = prop_oneof![4 => Just(None), 1 => (0..2_u8).prop_map(Some)];
    let wait = prop_oneof![2 => Just(0), 3 => 1..200_u64];
    let acquire = (0..PATHS.len(), 1..4_u32, wait, id)
        .prop_map(|(path, weight, wait, id)| Step::Acquire { path, weight, wait, id });
    let limit = prop_oneof![1 => Just(None), 6 => (0..6_u32).prop_map(Some)];
    let set = (0..SCOPES.len(), limit).prop_map(|(scope, limit)| Step::Set { scope, limit });
    let hold = (any::<usize>(), 1..100_u64).prop_map(|(permit, ttl)| Step::Hold { permit, ttl });
    let step = prop_oneof![
        8 => acquire,
        6 => any::<usize>().prop_map(Step::Release),
        2 => any::<usize>().prop_map(Step::Leave),
        3 => set,
        1 => hold,
        1 => any::<usize>().prop_map(Step::EndHold),
        2 => (1..60_u64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..80)
}

/// What a call asks for.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    number: usize,
    path: usize,
    weight: u32,
    id: Option<u8>,
}

impl Call {
    fn scopes(&self) -> Vec<&'static str> {
        let path = PATHS[self.path];
        SCOPES.into_iter().filter(|s| *s == "global" || covers(s, path)).collect()
    }
}

fn covers(scope: &str, path: &str) -> bool {
    path.strip_prefix(scope).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

struct World {
    limiter: Limiter,
    time: ManualClock,
    limits: BTreeMap<&'static str, Option<u32>>,
    permits: Vec<(Call, Permit)>,
    waiters: Vec<(Call, Moment, Acquire)>,
    holds: Vec<(Call, Moment, Held)>,
    calls: usize,
}

impl World {
    fn new() -> Self {
        let time = ManualClock::new();
        let limiter = Limiter::builder().clock(time.clock()).in_process();
        for scope in SCOPES {
            limiter.set(scope, Limit::unlimited()).expect("a key");
        }
        let limits = SCOPES.into_iter().map(|scope| (scope, None)).collect();
        let (permits, waiters, holds) = (Vec::new(), Vec::new(), Vec::new());
        Self { limiter, time, limits, permits, waiters, holds, calls: 0 }
    }

    fn now(&self) -> Moment {
        self.time.clock().now()
    }

    /// The sum of the live weights of a scope, each id once.
    fn used(&self, scope: &str) -> u32 {
        let held = self.holds.iter().filter(|(_, end, _)| *end > self.now()).map(|(call, ..)| call);
        let mut ids = Vec::new();
        let live = self.permits.iter().map(|(call, _)| call).chain(held).filter(|call| {
            call.id.is_none_or(|id| {
                let first = !ids.contains(&id);
                ids.push(id);
                first
            })
        });
        live.filter(|call| call.scopes().contains(&scope)).map(|call| call.weight).sum()
    }

    fn fits(&self, call: &Call) -> bool {
        call.scopes().iter().all(|scope| {
            self.limits[scope].is_none_or(|limit| self.used(scope) + call.weight <= limit)
        })
    }

    fn is_live(&self, id: u8) -> Option<&Call> {
        let now = self.now();
        let held = self.holds.iter().filter(|(_, end, _)| *end > now).map(|(call, ..)| call);
        let waiting = self.waiters.iter().map(|(call, ..)| call);
        let mut all = self.permits.iter().map(|(call, _)| call).chain(held).chain(waiting);
        all.find(|call| call.id == Some(id))
    }

    /// Whether an older waiter shares a scope with a newcomer.
    fn is_behind(&self, call: &Call) -> bool {
        self.waiters.iter().any(|(older, ..)| {
            older.number < call.number && older.scopes().iter().any(|s| call.scopes().contains(s))
        })
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Acquire { path, weight, wait, id } => self.acquire(path, weight, wait, id)?,
            Step::Release(at) if !self.permits.is_empty() => {
                drop(self.permits.remove(at % self.permits.len()));
            }
            Step::Leave(at) if !self.waiters.is_empty() => {
                drop(self.waiters.remove(at % self.waiters.len()));
            }
            Step::Set { scope, limit } => {
                self.limits.insert(SCOPES[scope], limit);
                let limit = limit.map_or(Limit::unlimited(), Limit::max);
                self.limiter.set(SCOPES[scope], limit).expect("a key");
            }
            Step::Hold { permit, ttl } if !self.permits.is_empty() => {
                let (call, permit) = self.permits.remove(permit % self.permits.len());
                let end = self.now() + ms(ttl);
                self.holds.push((call, end, permit.hold(ms(ttl))));
            }
            Step::EndHold(at) if !self.holds.is_empty() => {
                let (_, end, held) = self.holds.remove(at % self.holds.len());
                let _ = self.limiter.snapshot();
                prop_assert_eq!(held.release(), end > self.now());
            }
            Step::Advance(by) => {
                self.time.advance(ms(by));
                // Without a runtime nobody but the next caller notices that a hold has ended.
                self.limiter.snapshot();
            }
            _ => {}
        }
        self.settle()?;
        self.check()
    }

    fn acquire(
        &mut self,
        path: usize,
        weight: u32,
        wait: u64,
        id: Option<u8>,
    ) -> Result<(), TestCaseError> {
        let call = Call { number: self.calls, path, weight, id };
        self.calls += 1;
        let mut request = self.limiter.acquire(PATHS[path]).permits(weight).wait(ms(wait));
        if let Some(id) = id {
            request = request.id(format!("id-{id}"));
        }
        let live = id.and_then(|id| self.is_live(id)).cloned();
        let joins = live.as_ref().is_some_and(|live| live.path == path && live.weight == weight);
        let is_in = joins && !self.waiters.iter().any(|(waiter, ..)| waiter.id == id);
        let fits = self.fits(&call);
        // Whoever is parked is older than a newcomer, who may not pass at that scope.
        let before = self.limiter.snapshot();
        let parked = |scope: &&str| before.scope(scope).is_some_and(|scope| scope.waiting > 0);
        let behind = call.scopes().iter().any(parked);
        // Room may be kept for an older call that waits elsewhere.
        let shares = self.is_behind(&call);
        let hopeless = |limit: Option<u32>| limit.is_some_and(|limit| limit < weight);
        let hopeless = call.scopes().iter().any(|scope| hopeless(self.limits[scope]));

        let mut acquire = request.into_future();
        let answer = poll(&mut acquire);
        match answer {
            Poll::Ready(Ok(permit)) => {
                prop_assert!(is_in || fits, "let in without room: {call:?}");
                prop_assert!(is_in || !behind, "let in before older calls: {call:?}");
                prop_assert_eq!(permit.weight(), weight);
                self.permits.push((call, permit));
            }
            Poll::Pending => {
                prop_assert!(wait > 0 && !is_in && !hopeless, "should not wait: {call:?}");
                prop_assert!(!fits || shares, "waits although there is room: {call:?}");
                self.waiters.push((call, self.now() + ms(wait), acquire));
            }
            Poll::Ready(Err(error)) => {
                prop_assert!(!is_in, "an id that is in was refused: {error}");
                let other = live.is_some() && !joins;
                let told = matches!(error, LimitError::IdInUse { .. });
                prop_assert_eq!(told, other, "{}", error);
                if !other && !hopeless {
                    prop_assert!(!fits || shares, "refused although there is room: {error}");
                    let slow = Reason::Deadline;
                    let slow =
                        matches!(&error, LimitError::Rejected { reason, .. } if *reason == slow);
                    prop_assert!(wait == 0 || slow, "refused although it would wait: {error}");
                }
            }
        }
        Ok(())
    }

    /// Collects what became of the waiters.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        let now = self.now();
        let mut still = Vec::new();
        let mut granted: Vec<Call> = Vec::new();
        for (call, deadline, mut acquire) in std::mem::take(&mut self.waiters) {
            match poll(&mut acquire) {
                Poll::Pending => {
                    prop_assert!(deadline > now, "still waits after its deadline: {call:?}");
                    let wide = |scope: &&str| self.limits[scope].is_some_and(|l| l < call.weight);
                    prop_assert!(!call.scopes().iter().any(wide), "waits in vain: {call:?}");
                    still.push((call, deadline, acquire));
                }
                Poll::Ready(Ok(permit)) => {
                    prop_assert!(deadline > now, "let in after its deadline: {call:?}");
                    granted.push(call.clone());
                    self.permits.push((call, permit));
                }
                Poll::Ready(Err(error)) => {
                    let late = error.is_timeout() && deadline <= now;
                    let limit = |scope: &&str| self.limits[scope].is_some_and(|l| l < call.weight);
                    let hopeless = !error.is_timeout() && call.scopes().iter().any(limit);
                    prop_assert!(late || hopeless, "refused for no reason: {error}");
                }
            }
        }
        self.waiters = still;
        for call in granted {
            for scope in call.scopes() {
                let limit = self.limits[scope].unwrap_or(u32::MAX);
                prop_assert!(self.used(scope) <= limit, "{scope} passed its limit by {call:?}");
            }
            // Among equals the older is first, whatever else they wait for. An id may share a slot.
            let equal = |other: &&(Call, Moment, Acquire)| {
                other.0.path == call.path && other.0.weight == call.weight
            };
            let overtaken = self.waiters.iter().filter(equal).any(|w| w.0.number < call.number);
            prop_assert!(!overtaken || call.id.is_some(), "{call:?} overtook an older call");
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let snapshot = self.limiter.snapshot();
        for scope in SCOPES {
            let seen = snapshot.scope(scope).expect("it was set");
            prop_assert_eq!(seen.used, self.used(scope), "permits in use at {}", scope);
            prop_assert_eq!(seen.limit, self.limits[scope]);
        }
        prop_assert_eq!(snapshot.waiting, self.waiters.len());
        let parked: u32 = snapshot.scopes.values().map(|scope| scope.waiting).sum();
        prop_assert_eq!(usize::try_from(parked).ok(), Some(self.waiters.len()));
        // Nobody waits without a reason: no room, or somebody older who shares a scope.
        for (call, ..) in &self.waiters {
            prop_assert!(!self.fits(call) || self.is_behind(call), "{call:?} waits for nothing");
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), TestCaseError> {
        self.waiters.clear();
        self.permits.clear();
        self.time.advance(Duration::from_secs(1));
        let snapshot = self.limiter.snapshot();
        for (key, scope) in &snapshot.scopes {
            prop_assert_eq!((scope.used, scope.waiting), (0, 0), "left behind at {}", key);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_books(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step)?;
        }
        world.end()?;
    }
}
