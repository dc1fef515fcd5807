//! Random histories of one name against a plain model of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use mainstay_lock::{Fence, InProcess, LockError, LockGuard, Locks, ManualClock};
use proptest::prelude::*;
use tokio::task::JoinHandle;

use crate::ms;

const CALLERS: usize = 6;
const LEASE: u64 = 1_000;

#[derive(Clone, Debug)]
enum Op {
    /// Asks with a wait budget, and a lease that is not renewed if one is given.
    Ask {
        who: usize,
        wait: u64,
        fixed: Option<u64>,
    },
    /// Releases, cancels, or forgets a refusal.
    Leave {
        who: usize,
    },
    Force,
    /// Time passes and everybody is awake.
    Run(u64),
    /// The machine sleeps: shorter than what a renewed lease always has left, or longer than any lease.
    Jump(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let fixed = proptest::option::of(prop_oneof![Just(100_u64), Just(250), Just(700)]);
    let wait = prop_oneof![Just(0_u64), Just(150), Just(400), Just(5_000)];
    prop_oneof![
        5 => (0..CALLERS, wait, fixed).prop_map(|(who, wait, fixed)| Op::Ask { who, wait, fixed }),
        4 => (0..CALLERS).prop_map(|who| Op::Leave { who }),
        1 => Just(Op::Force),
        3 => prop_oneof![Just(50_u64), Just(250), Just(900)].prop_map(Op::Run),
        1 => prop_oneof![Just(100_u64), Just(300), Just(6_000)].prop_map(Op::Jump),
    ]
}

/// What a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Idle,
    Waits,
    Holds,
    Lost,
    Refused,
}

/// The name as a page of paper would keep it.
struct Model {
    now: u64,
    sights: [Sight; CALLERS],
    fixed: [Option<u64>; CALLERS],
    holder: Option<(usize, Option<u64>)>,
    queue: VecDeque<(usize, u64)>,
    grants: Vec<usize>,
}

impl Model {
    fn new() -> Self {
        let (sights, fixed) = ([Sight::Idle; CALLERS], [None; CALLERS]);
        Self { now: 0, sights, fixed, holder: None, queue: VecDeque::new(), grants: Vec::new() }
    }

    fn apply(&mut self, op: &Op) {
        self.grants.clear();
        match *op {
            Op::Ask { who, wait, fixed } if self.sights[who] == Sight::Idle => {
                self.fixed[who] = fixed;
                if self.holder.is_none() {
                    self.grant(who);
                } else if wait == 0 {
                    self.sights[who] = Sight::Refused;
                } else {
                    self.sights[who] = Sight::Waits;
                    self.queue.push_back((who, self.now + wait));
                }
            }
            Op::Ask { .. } => {}
            Op::Leave { who } => {
                self.queue.retain(|(waiter, _)| *waiter != who);
                if self.sights[who] == Sight::Holds {
                    self.holder = None;
                    self.promote();
                }
                self.sights[who] = Sight::Idle;
            }
            Op::Force => self.depose(),
            Op::Run(time) => self.run(self.now + time),
            Op::Jump(time) => {
                self.now += time;
                let renewed_in_vain = time > LEASE;
                let ends = |end: Option<u64>| end.map_or(renewed_in_vain, |end| end <= self.now);
                if self.holder.is_some_and(|(_, end)| ends(end)) {
                    self.depose();
                }
                self.time_out();
            }
        }
    }

    fn run(&mut self, until: u64) {
        loop {
            let end = self.holder.and_then(|(_, end)| end);
            let next = self.queue.iter().map(|(_, end)| *end).chain(end).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = next;
            if end == Some(next) {
                self.depose();
            }
            self.time_out();
        }
        self.now = until;
    }

    fn time_out(&mut self) {
        for (who, _) in self.queue.iter().filter(|(_, end)| *end <= self.now) {
            self.sights[*who] = Sight::Refused;
        }
        self.queue.retain(|(_, end)| *end > self.now);
    }

    fn depose(&mut self) {
        if let Some((who, _)) = self.holder.take() {
            self.sights[who] = Sight::Lost;
            self.promote();
        }
    }

    fn promote(&mut self) {
        if let Some((who, _)) = self.queue.pop_front() {
            self.grant(who);
        }
    }

    fn grant(&mut self, who: usize) {
        self.holder = Some((who, self.fixed[who].map(|lease| self.now + lease)));
        self.sights[who] = Sight::Holds;
        self.grants.push(who);
    }
}

type Seen = Arc<Mutex<Option<Result<LockGuard, LockError>>>>;

/// The same callers with real locks.
struct Real {
    time: ManualClock,
    store: InProcess,
    locks: Locks,
    callers: Vec<Option<(JoinHandle<()>, Seen)>>,
}

impl Real {
    fn new() -> Self {
        let time = ManualClock::new();
        let store = InProcess::new(time.clock());
        let builder = Locks::builder().clock(time.clock()).lease(ms(LEASE));
        let locks = builder.store(store.clone());
        Self { time, store, locks, callers: (0..CALLERS).map(|_| None).collect() }
    }

    async fn apply(&mut self, op: &Op) {
        match *op {
            Op::Ask { who, wait, fixed } if self.callers[who].is_none() => {
                let mut request = self.locks.lock("name").wait(ms(wait));
                if let Some(lease) = fixed {
                    request = request.fixed_lease(ms(lease));
                }
                let seen = Seen::default();
                let tell = seen.clone();
                let task = tokio::spawn(async move {
                    let result = request.await;
                    *tell.lock().unwrap() = Some(result);
                });
                self.callers[who] = Some((task, seen));
            }
            Op::Ask { .. } => {}
            Op::Leave { who } => {
                if let Some((task, seen)) = self.callers[who].take() {
                    task.abort();
                    drop(seen.lock().unwrap().take());
                }
            }
            Op::Force => _ = self.locks.force_release("name", "model").await.unwrap(),
            Op::Run(time) => self.time.run_for(ms(time)).await,
            Op::Jump(time) => self.time.advance(ms(time)),
        }
        self.time.settle().await;
    }

    fn sight(&self, who: usize) -> Sight {
        let Some((_, seen)) = &self.callers[who] else { return Sight::Idle };
        match &*seen.lock().unwrap() {
            None => Sight::Waits,
            Some(Ok(guard)) if guard.is_held() => Sight::Holds,
            Some(Ok(_)) => Sight::Lost,
            Some(Err(_)) => Sight::Refused,
        }
    }

    fn fence(&self, who: usize) -> Option<Fence> {
        let (_, seen) = self.callers[who].as_ref()?;
        match &*seen.lock().unwrap() {
            Some(Ok(guard)) => Some(guard.fence()),
            _ => None,
        }
    }
}

async fn agree(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let (mut model, mut real) = (Model::new(), Real::new());
    let mut last = Fence::NONE;
    for (step, op) in ops.iter().enumerate() {
        model.apply(op);
        real.apply(op).await;
        let seen: Vec<_> = (0..CALLERS).map(|who| real.sight(who)).collect();
        prop_assert_eq!(&seen[..], &model.sights[..], "after step {}: {:?}", step, op);
        for who in &model.grants {
            let fence = real.fence(*who).expect("the model's holder has a guard");
            prop_assert!(fence > last, "step {}: fence {} after {}", step, fence, last);
            last = fence;
        }
        let info = real.locks.inspect("name").await.expect("the store answers");
        prop_assert_eq!(info.waiters, model.queue.len());
        prop_assert_eq!(info.is_held(), model.holder.is_some());
    }
    for who in 0..CALLERS {
        real.apply(&Op::Leave { who }).await;
    }
    real.time.run_for(Duration::from_secs(60)).await;
    prop_assert!(real.store.is_empty(), "an orphan: {:?}", real.store);
    prop_assert!(real.time.sleepers() <= 1, "somebody but the scheduler sleeps");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_is_that_of_the_model(ops in proptest::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(agree(ops))?;
    }
}
