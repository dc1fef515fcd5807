//! Random histories of one name, with readers and without, against a plain model of it.

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
        shared: bool,
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

fn op(readers: f64) -> impl Strategy<Value = Op> {
    let fixed = proptest::option::of(prop_oneof![Just(100_u64), Just(250), Just(700)]);
    let wait = prop_oneof![Just(0_u64), Just(150), Just(400), Just(5_000)];
    // No two waits end in the same moment while time runs.
    let apart = |who: usize, wait: u64| if wait == 0 { 0 } else { wait + who as u64 };
    prop_oneof![
        5 => (0..CALLERS, proptest::bool::weighted(readers), wait, fixed)
            .prop_map(move |(who, shared, wait, fixed)| {
                Op::Ask { who, shared, wait: apart(who, wait), fixed }
            }),
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
    /// What each asked for: to share, and a lease that is not renewed.
    asked: [(bool, Option<u64>); CALLERS],
    /// Who has it, and when the lease ends if it is not renewed: one writer, or readers.
    holders: Vec<(usize, Option<u64>)>,
    queue: VecDeque<(usize, u64)>,
    grants: Vec<usize>,
}

impl Model {
    fn new() -> Self {
        let (sights, asked) = ([Sight::Idle; CALLERS], [(false, None); CALLERS]);
        let (holders, queue, grants) = (Vec::new(), VecDeque::new(), Vec::new());
        Self { now: 0, sights, asked, holders, queue, grants }
    }

    fn apply(&mut self, op: &Op) {
        self.grants.clear();
        match *op {
            Op::Ask { who, shared, wait, fixed } if self.sights[who] == Sight::Idle => {
                self.asked[who] = (shared, fixed);
                if self.queue.is_empty() && self.admits(who) {
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
                self.sights[who] = Sight::Idle;
                self.queue.retain(|(waiter, _)| *waiter != who);
                self.holders.retain(|(holder, _)| *holder != who);
                self.promote();
            }
            Op::Force => self.depose(|_| true),
            Op::Run(time) => self.run(self.now + time),
            Op::Jump(time) => {
                self.now += time;
                let (now, renewed_in_vain) = (self.now, time > LEASE);
                self.depose(|end| end.map_or(renewed_in_vain, |end| end <= now));
                self.time_out();
            }
        }
    }

    fn run(&mut self, until: u64) {
        loop {
            let ends = self.holders.iter().filter_map(|(_, end)| *end);
            let next = self.queue.iter().map(|(_, end)| *end).chain(ends).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = next;
            self.depose(|end| end == Some(next));
            self.time_out();
        }
        self.now = until;
    }

    fn time_out(&mut self) {
        for (who, _) in self.queue.iter().filter(|(_, end)| *end <= self.now) {
            self.sights[*who] = Sight::Refused;
        }
        self.queue.retain(|(_, end)| *end > self.now);
        self.promote();
    }

    /// Whether several run out of time in the same moment: a reader among them may get in, if it happens to be
    /// looked at after the writer before it has given up.
    fn leaves_open(&self, op: &Op) -> bool {
        let Op::Jump(time) = *op else { return false };
        let out = self.queue.iter().filter(|(_, end)| *end <= self.now + time);
        out.count() > 1 && self.queue.iter().any(|(who, _)| self.asked[*who].0)
    }

    fn depose(&mut self, over: impl Fn(Option<u64>) -> bool) {
        for (who, _) in self.holders.extract_if(.., |(_, end)| over(*end)) {
            self.sights[who] = Sight::Lost;
        }
        self.promote();
    }

    fn promote(&mut self) {
        while let Some((head, _)) = self.queue.front() {
            if !self.admits(*head) {
                return;
            }
            let (head, _) = self.queue.pop_front().expect("it is there");
            self.grant(head);
        }
    }

    fn admits(&self, who: usize) -> bool {
        let shares = |who: usize| self.asked[who].0;
        self.holders.is_empty()
            || shares(who) && self.holders.iter().all(|(holder, _)| shares(*holder))
    }

    fn grant(&mut self, who: usize) {
        self.holders.push((who, self.asked[who].1.map(|lease| self.now + lease)));
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
            Op::Ask { who, shared, wait, fixed } if self.callers[who].is_none() => {
                let name = self.locks.read_write("name");
                let request = if shared { name.read() } else { name.write() };
                let mut request = request.wait(ms(wait));
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
        if model.leaves_open(op) {
            continue;
        }
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
        let (shown, held) = (info.holder.iter().chain(&info.readers), model.holders.len());
        prop_assert_eq!(shown.count(), held);
        prop_assert_eq!(
            (info.is_held(), info.reader_count + usize::from(info.holder.is_some())),
            (held > 0, held)
        );
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
    fn every_history_is_that_of_the_model(ops in proptest::collection::vec(op(0.0), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(agree(ops))?;
    }

    #[test]
    fn every_history_of_readers_and_writers_is_that_of_the_model(
        ops in proptest::collection::vec(op(0.7), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(agree(ops))?;
    }
}
