//! Random histories of scripts and clients together, on a real server: what must hold whatever happens.
//!
//! Pushes are lost (connections are cut) and doubled (recorded, and published again late), requests are
//! dropped at any moment, leases end or are extended, locks are forced, the server stalls, forgets its scripts,
//! has its clock set back and forward, and loses the data of a name, as a failover to an empty replica does, or has it
//! as it was some time ago and cuts everybody off, as a failover to one that lags. What is checked:
//!
//! - who believes to hold, by its own deadline, is alone, or reads beside readers;
//! - whoever asks after a fence was seen gets a higher one, and none is given twice;
//! - whoever held a name when it was forced or lost its data believes no longer than its lease: no renewal brings
//!   it back;
//! - when all is quiet, everybody who waits is served, and no key is left: nobody renews what nobody holds.
//!
//! A name that was forced, or lost data, has two believers for a while. Those who had asked by then are
//! left out of the first check from there on; and so are those who were granted it before the clock was set
//! forward. Fences of a name that nobody holds may fall where the clock is set
//! back, or where data are lost while it is behind: then they are compared with those of present holders only.

mod ops;
mod world;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::future::{join_all, try_join_all};
use mainstay_lock::{Clock, Fence, LockError, LockGuard, Moment};
use mainstay_testkit::{eventually, redis::Reply};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use tokio::task::JoinHandle;

use self::{
    ops::{Op, scene},
    world::{CLIENTS, DUMP, RESTORE, ServerClock, World},
};
use crate::{SOON, key_of, ms};

const CALLERS: usize = 7;
const LEASE: u64 = 900;

/// Histories that run side by side, each with a name of its own.
const BESIDE: usize = 6;
const CASES: u32 = 4;

/// The fences of one name.
#[derive(Default)]
struct Fences {
    /// As long as nothing happened after which they may fall.
    since: Era,
    highest: Option<Fence>,
    seen: HashSet<Fence>,
    wrong: Option<String>,
}

/// How often the clock was set back, and how often data were lost while it was behind the fences.
type Era = (i64, usize);

/// What a request's fence must be above.
struct Floor {
    since: Era,
    highest: Option<Fence>,
    /// Of those who held the name when it was asked for, in whatever era.
    beside: Vec<(Fence, Believer)>,
}

impl Fences {
    fn enter(&mut self, era: Era) {
        if self.since != era {
            *self = Self { since: era, wrong: self.wrong.take(), ..Self::default() };
        }
    }

    fn note(&mut self, fence: Fence, floor: &Floor, era: Era) {
        self.enter(era);
        let beside = floor.beside.iter().filter(|(_, other)| other.believes());
        let beside = beside.map(|(fence, _)| *fence).max();
        // Of a name that nobody has nothing is known but the time: set back, it gives lower fences.
        let before = floor.highest.filter(|_| floor.since == era);
        if before.max(beside).is_some_and(|floor| fence <= floor) {
            self.wrong = Some(format!("fence {fence} after {before:?} and beside {beside:?}"));
        }
        if floor.since == era {
            if !self.seen.insert(fence) {
                self.wrong = Some(format!("fence {fence} was given twice"));
            }
            self.highest = self.highest.max(Some(fence));
        }
    }
}

type Seen = Arc<Mutex<Option<Result<LockGuard, LockError>>>>;

/// One who may believe to hold the name.
#[derive(Clone, Default)]
struct Believer {
    seen: Seen,
    /// It asked before the name was forced or lost its data.
    left_out: Arc<AtomicBool>,
    /// It had the name then, and may believe until here.
    until: Arc<Mutex<Option<Moment>>>,
    clock: Arc<ServerClock>,
    /// How often the clock had been set forward when it asked.
    forwards: usize,
}

impl Believer {
    fn fence(&self) -> Option<Fence> {
        match &*self.seen.lock().unwrap() {
            Some(Ok(guard)) if guard.is_held() => Some(guard.fence()),
            _ => None,
        }
    }

    fn believes(&self) -> bool {
        !self.left_out.load(Ordering::SeqCst) && self.fence().is_some_and(|fence| self.lasts(fence))
    }

    /// Whether no step of the clock has shortened its lease.
    fn lasts(&self, fence: Fence) -> bool {
        self.clock.forwards.load(Ordering::SeqCst) == self.forwards
            || fence.get() >= self.clock.granted_since.load(Ordering::SeqCst)
    }

    /// Until when it believes by now.
    fn deadline(&self) -> Option<Moment> {
        match &*self.seen.lock().unwrap() {
            Some(Ok(guard)) if guard.is_held() => Some(Clock::boot().now() + guard.remaining()),
            _ => None,
        }
    }

    /// The name was taken from it, whether it knows or not.
    fn has_lost(&self) {
        let mut until = self.until.lock().unwrap();
        if let (None, Some(deadline)) = (&*until, self.deadline()) {
            // The answer to a renewal from before may be on its way.
            *until = Some(deadline.max(Clock::boot().now() + ms(LEASE)) + ms(5));
        }
    }

    fn believes_too_long(&self) -> bool {
        let until = *self.until.lock().unwrap();
        until.zip(self.deadline()).is_some_and(|(until, deadline)| deadline > until)
    }
}

struct Caller {
    task: JoinHandle<()>,
    who: Believer,
    shared: bool,
    renewed: bool,
}

/// One name and those who ask for it.
struct History<'a> {
    world: &'a World,
    name: String,
    callers: Vec<Option<Caller>>,
    /// How often data were lost while the clock was behind the fences.
    losses: Arc<AtomicUsize>,
    fences: Arc<Mutex<Fences>>,
    /// What the replica has, unless a lease in it would outlast the test.
    replica: Option<Vec<Vec<u8>>>,
    fell_back: bool,
}

impl<'a> History<'a> {
    fn new(world: &'a World) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("model-{:04}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let callers = (0..CALLERS).map(|_| None).collect();
        let (losses, fences, replica) = Default::default();
        Self { world, name, callers, losses, fences, replica, fell_back: false }
    }

    async fn apply(&mut self, op: &Op) {
        match *op {
            Op::Ask { who, .. } if self.callers[who].is_some() => {}
            Op::Ask { who, shared, wait, fixed } => self.ask(who, shared, wait, fixed),
            Op::Leave { who } => {
                if let Some(caller) = self.callers[who].take() {
                    caller.task.abort();
                    drop(caller.who.seen.lock().unwrap().take());
                }
            }
            Op::Extend { who } => self.extend(who).await,
            Op::StepClock(millis) => self.world.step_clock(millis).await,
            Op::Force => {
                let had = self.leave_out();
                let forced = self.world.clients[0].force_release(&*self.name, "model").await;
                if forced.is_ok_and(|any| any) {
                    had.iter().for_each(Believer::has_lost);
                }
            }
            Op::LoseData => {
                let (had, keys) = (self.leave_out(), self.keys());
                let mut command = vec!["DEL"];
                command.extend(keys.iter().map(String::as_str));
                self.world.run(&command).await;
                had.iter().for_each(Believer::has_lost);
                self.data_are_lost().await;
            }
            Op::Replicate => {
                let dump = || self.world.redis.eval(&DUMP, self.keys()).arg(2 * LEASE).call();
                let dump: Vec<_> = eventually(SOON, dump).await.unwrap().read().unwrap();
                self.replica = Some(dump).filter(|dump| !dump.is_empty());
            }
            Op::FallBack => self.fall_back().await,
            Op::CutConnections => self.world.cut_connections().await,
            Op::Stall(millis) => {
                _ = self.world.run(&["CLIENT", "PAUSE", &millis.to_string(), "ALL"]).await;
            }
            Op::PublishAgain => self.world.publish_again().await,
            Op::ForgetScripts => _ = self.world.run(&["SCRIPT", "FLUSH"]).await,
            Op::Pass(millis) => Clock::boot().sleep(ms(millis)).await,
        }
    }

    fn keys(&self) -> [String; 5] {
        ["held", "queue", "asked", "readers", "shares"].map(|part| key_of(&self.name, part))
    }

    async fn fall_back(&mut self) {
        let Some(replica) = self.replica.take() else { return };
        self.leave_out();
        let restore = || {
            let call = self.world.redis.eval(&RESTORE, self.keys());
            replica.iter().fold(call, |call, part| call.arg(&part[..])).call()
        };
        eventually(SOON, restore).await.unwrap();
        // What they had lost may be their own again.
        for caller in self.callers.iter().flatten() {
            *caller.who.until.lock().unwrap() = None;
        }
        self.fell_back = true;
        self.data_are_lost().await;
        self.world.cut_connections().await;
    }

    /// What was given out ahead of the clock may be given out again.
    async fn data_are_lost(&self) {
        let now = self.world.time().await;
        if self.fences.lock().unwrap().highest.is_some_and(|highest| highest >= now) {
            self.losses.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn era(&self) -> Era {
        (self.world.clock.backs.load(Ordering::SeqCst), self.losses.load(Ordering::SeqCst))
    }

    fn ask(&mut self, who: usize, shared: bool, wait: u64, fixed: Option<u64>) {
        let name = self.world.clients[who % CLIENTS].read_write(&*self.name);
        let request = if shared { name.read() } else { name.write() };
        let mut request = request.wait(ms(wait));
        if let Some(lease) = fixed {
            request = request.fixed_lease(ms(lease));
        }
        let (clock, losses) = (self.world.clock.clone(), self.losses.clone());
        let forwards = clock.forwards.load(Ordering::SeqCst);
        let who_asks = Believer { clock: clock.clone(), forwards, ..Believer::default() };
        let (tell, floor, fences) = (who_asks.seen.clone(), self.floor(), self.fences.clone());
        let task = tokio::spawn(async move {
            let result = request.await;
            if let Ok(guard) = &result {
                clock.top.fetch_max(guard.fence().get(), Ordering::SeqCst);
                let era = (clock.backs.load(Ordering::SeqCst), losses.load(Ordering::SeqCst));
                fences.lock().unwrap().note(guard.fence(), &floor, era);
            }
            *tell.lock().unwrap() = Some(result);
        });
        self.callers[who] = Some(Caller { task, who: who_asks, shared, renewed: fixed.is_none() });
    }

    fn floor(&self) -> Floor {
        let since = self.era();
        let mut fences = self.fences.lock().unwrap();
        fences.enter(since);
        let holds = |caller: &Caller| Some((caller.who.fence()?, caller.who.clone()));
        let beside = self.callers.iter().flatten().filter_map(holds).collect();
        Floor { since, highest: fences.highest, beside }
    }

    async fn extend(&self, who: usize) {
        // One that is not renewed may be over before it is known that it was extended.
        let Some(caller) = self.callers[who].as_ref().filter(|caller| caller.renewed) else {
            return;
        };
        let mut seen = caller.who.seen.lock().unwrap().take();
        if let Some(Ok(guard)) = &mut seen {
            _ = guard.extend(SOON * 4).await;
        }
        // Where nothing was there yet, it may be by now.
        let mut place = caller.who.seen.lock().unwrap();
        *place = seen.or(place.take());
    }

    /// Those who asked by now are not to be alone. Returns those who have the name.
    fn leave_out(&self) -> Vec<Believer> {
        let asked = self.callers.iter().flatten().map(|caller| &caller.who);
        asked.clone().for_each(|who| who.left_out.store(true, Ordering::SeqCst));
        asked.filter(|who| who.fence().is_some()).cloned().collect()
    }

    /// Without an await in it: whoever believes at the end believed at its beginning.
    fn check(&self) -> Result<(), String> {
        let believes = |caller: &&Caller| caller.who.believes();
        let believers: Vec<_> = self.callers.iter().flatten().filter(believes).collect();
        let writers = believers.iter().filter(|caller| !caller.shared).count();
        if writers > 0 && believers.len() > 1 {
            return Err(format!("{} believe to hold it, {writers} alone", believers.len()));
        }
        if self.callers.iter().flatten().any(|caller| caller.who.believes_too_long()) {
            return Err("one believes on although it was taken from it".into());
        }
        self.fences.lock().unwrap().wrong.clone().map_or(Ok(()), Err)
    }

    async fn settle(&self) -> Result<(), String> {
        for _ in 0..4 {
            Clock::boot().sleep(ms(1)).await;
            self.check()?;
        }
        Ok(())
    }

    /// Drops what callers have; an error while some of them wait.
    fn let_go(&mut self) -> Result<(), String> {
        self.check()?;
        // What it has goes here: others that asked later look at it still.
        let answered = |caller: &mut Caller| caller.who.seen.lock().unwrap().take().is_some();
        for caller in &mut self.callers {
            caller.take_if(answered);
        }
        match self.callers.iter().flatten().count() {
            0 => Ok(()),
            waits => Err(format!("{waits} wait for ever")),
        }
    }

    /// Lets go of what is held, until nobody waits and nothing is left on the server.
    async fn drain(mut self) -> Result<(), String> {
        let served = eventually(SOON, || {
            let served = self.let_go();
            async move { served }
        });
        served.await.map_err(|error| error.to_string())?;
        let gone = eventually(SOON, async || {
            let left = self.world.run(&["KEYS", &format!("*:{}:*", self.name)]).await;
            if left == Reply::List(Vec::new()) || (self.fell_back && self.ends_by_itself().await) {
                return Ok(());
            }
            Err(format!("{left:?} are left"))
        });
        gone.await.map_err(|error| error.to_string())
    }
}

impl History<'_> {
    /// Those who had gone stand in the queue again, for as long as nobody who lives does.
    async fn ends_by_itself(&self) -> bool {
        let (before, keys) = (self.time_left().await, self.keys());
        Clock::boot().sleep(ms(LEASE)).await;
        let after = self.time_left().await;
        // Renewed, it would have as much left as before, or half.
        let passed = i64::try_from(LEASE * 3 / 4).unwrap();
        let ends = |at: usize| after[at] == -2 || (0..before[at] - passed).contains(&after[at]);
        (0..keys.len()).all(ends)
    }

    async fn time_left(&self) -> Vec<i64> {
        let mut left = Vec::new();
        for key in self.keys() {
            let Reply::Int(time) = self.world.run(&["PTTL", &key]).await else { panic!("a time") };
            left.push(time);
        }
        left
    }
}

async fn play(world: &World, ops: &[Op]) -> Result<(), String> {
    let mut history = History::new(world);
    for (step, op) in ops.iter().enumerate() {
        history.apply(op).await;
        history.settle().await.map_err(|wrong| format!("step {step}, {op:?}: {wrong}"))?;
    }
    history.drain().await.map_err(|wrong| format!("in the end: {wrong}"))
}

#[test]
fn whatever_happens_holders_are_alone_fences_rise_and_nothing_is_left() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::start());
    let history = proptest::collection::vec(scene(), 8..30).prop_map(|scenes| scenes.concat());
    let histories = proptest::collection::vec(history, BESIDE);
    let config = ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        // In real time: a failing history is not made small for minutes.
        max_shrink_iters: 12,
        ..ProptestConfig::default()
    };
    let checked = TestRunner::new(config).run(&histories, |histories| {
        let played = histories.iter().map(|ops| play(&world, ops));
        runtime.block_on(try_join_all(played)).map(drop).map_err(TestCaseError::fail)
    });
    runtime.block_on(join_all(world.clients.iter().map(|locks| locks.shutdown(SOON))));
    if let Err(error) = checked {
        panic!("{error}");
    }
}
