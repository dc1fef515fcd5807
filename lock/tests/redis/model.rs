//! Random histories of scripts and clients together, on a real server: what must hold whatever happens.
//!
//! Pushes are lost (connections are cut) and doubled (recorded, and published again late), requests are
//! dropped at any moment, leases end or are extended, locks are forced, the server stalls, forgets its scripts,
//! has its clock set back, and loses the data of a name, as a failover to an empty replica does. What is checked:
//!
//! - who believes to hold, by its own deadline, is alone, or reads beside readers;
//! - whoever asks after a fence was seen gets a higher one, and none is given twice;
//! - when all is quiet, everybody who waits is served, and no key is left: nobody renews what nobody holds.
//!
//! A name that was forced, or lost its data, has two believers for a while. Those who had asked by then are
//! left out of the first check from there on. Fences of a name that nobody holds may fall where the clock is set
//! back, or where data are lost while it is behind: then they are compared with those of present holders only.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use futures_util::future::{join_all, try_join_all};
use mainstay_lock::{Clock, Fence, LockError, LockGuard, Locks, Redis};
use mainstay_redis::{Push, redis::cmd};
use mainstay_testkit::{
    eventually,
    redis::{Reply, Single},
};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use tokio::task::JoinHandle;

use crate::{SOON, key_of, ms};

const CLIENTS: usize = 3;
const CALLERS: usize = 7;
const LEASE: u64 = 900;

/// Histories that run side by side, each with a name of its own.
const BESIDE: usize = 6;
const CASES: u32 = 6;

#[derive(Clone, Debug)]
enum Op {
    /// Asks; with a lease that is not renewed if one is given.
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
    /// Lets a lease last for so long that what is left of it in the end is seen.
    Extend {
        who: usize,
    },
    Force,
    LoseData,
    CutConnections,
    StepBack(i64),
    Stall(u64),
    PublishAgain,
    ForgetScripts,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let wait = prop_oneof![Just(0_u64), Just(20), Just(60_000), Just(60_000)];
    let fixed = proptest::option::weighted(0.3, prop_oneof![Just(15_u64), Just(60)]);
    let asks = (0..CALLERS, proptest::bool::weighted(0.4), wait, fixed);
    prop_oneof![
        10 => asks.prop_map(|(who, shared, wait, fixed)| Op::Ask { who, shared, wait, fixed }),
        8 => (0..CALLERS).prop_map(|who| Op::Leave { who }),
        3 => (0..CALLERS).prop_map(|who| Op::Extend { who }),
        1 => Just(Op::Force),
        2 => Just(Op::LoseData),
        1 => (5_i64..150).prop_map(Op::StepBack),
        1 => Just(Op::CutConnections),
        1 => (5_u64..40).prop_map(Op::Stall),
        2 => Just(Op::PublishAgain),
        1 => Just(Op::ForgetScripts),
        6 => (0_u64..40).prop_map(Op::Pass),
    ]
}

/// The last ones, with their channels.
type Pushes = Arc<Mutex<VecDeque<(String, Vec<u8>)>>>;

/// The server, its clients, and what they were told.
struct World {
    server: Single,
    clients: Vec<Locks>,
    redis: Redis,
    pushes: Pushes,
    /// How many milliseconds the server's clock is behind.
    behind: Arc<AtomicI64>,
}

impl World {
    async fn start() -> Self {
        let server = Single::start_with_clock().await.unwrap();
        let connect = || Redis::builder(&server.url()).unwrap().budget(ms(1_000)).build().unwrap();
        let locks = || Locks::builder().lease(ms(LEASE)).redis(connect());
        let clients: Vec<_> = (0..CLIENTS).map(|_| locks()).collect();
        for client in &clients {
            // Each listens from here on.
            client.lock("warm").await.unwrap().release().await;
        }
        let (pushes, behind) = Default::default();
        let world = Self { redis: connect(), server, clients, pushes, behind };
        world.record().await;
        world
    }

    async fn record(&self) {
        let Reply::List(channels) = self.run(&["PUBSUB", "CHANNELS"]).await else {
            panic!("the channels")
        };
        assert_eq!(channels.len(), CLIENTS);
        for channel in &channels {
            let channel = channel.text().unwrap().to_owned();
            let (mut heard, pushes) = (self.redis.subscribe(channel.clone()), self.pushes.clone());
            tokio::spawn(async move {
                while let Some(push) = heard.recv().await {
                    if let Push::Message(message) = push {
                        let mut pushes = pushes.lock().unwrap();
                        pushes.push_back((channel.clone(), message));
                        while pushes.len() > 32 {
                            pushes.pop_front();
                        }
                    }
                }
            });
        }
    }

    /// Histories beside this one cut its connections too.
    async fn run(&self, command: &[&str]) -> Reply {
        eventually(SOON, || self.server.command(command)).await.unwrap()
    }

    fn step_back(&self, millis: i64) {
        let behind = self.behind.fetch_add(millis, Ordering::SeqCst) + millis;
        self.server.set_clock(-behind).unwrap();
    }

    /// The server's time, as a fence.
    async fn time(&self) -> Fence {
        let time = self.run(&["TIME"]).await;
        let part = |index: usize| time.list()[index].text().unwrap().parse::<i64>().unwrap();
        Fence::new(part(0) * 1_000_000 + part(1))
    }

    async fn publish_again(&self) {
        let pushes: Vec<_> = self.pushes.lock().unwrap().iter().cloned().collect();
        for (channel, message) in pushes {
            let mut publish = cmd("PUBLISH");
            // Cut off in the middle: then it was not doubled.
            _ = self.redis.call(publish.arg(channel).arg(message).clone()).await;
        }
    }
}

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
}

impl Believer {
    fn fence(&self) -> Option<Fence> {
        match &*self.seen.lock().unwrap() {
            Some(Ok(guard)) if guard.is_held() => Some(guard.fence()),
            _ => None,
        }
    }

    fn believes(&self) -> bool {
        !self.left_out.load(Ordering::SeqCst) && self.fence().is_some()
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
}

impl<'a> History<'a> {
    fn new(world: &'a World) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("model-{:04}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let callers = (0..CALLERS).map(|_| None).collect();
        Self { world, name, callers, losses: Arc::default(), fences: Arc::default() }
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
            Op::StepBack(millis) => self.world.step_back(millis),
            Op::Force => {
                self.leave_out();
                _ = self.world.clients[0].force_release(&*self.name, "model").await;
            }
            Op::LoseData => {
                self.leave_out();
                let parts = ["held", "queue", "asked", "readers", "shares"];
                let keys = parts.map(|part| key_of(&self.name, part));
                let mut command = vec!["DEL"];
                command.extend(keys.iter().map(String::as_str));
                self.world.run(&command).await;
                let now = self.world.time().await;
                if self.fences.lock().unwrap().highest.is_some_and(|highest| highest >= now) {
                    self.losses.fetch_add(1, Ordering::SeqCst);
                }
            }
            Op::CutConnections => {
                for kind in ["normal", "pubsub"] {
                    self.world.run(&["CLIENT", "KILL", "TYPE", kind]).await;
                }
            }
            Op::Stall(millis) => {
                _ = self.world.run(&["CLIENT", "PAUSE", &millis.to_string(), "ALL"]).await;
            }
            Op::PublishAgain => self.world.publish_again().await,
            Op::ForgetScripts => _ = self.world.run(&["SCRIPT", "FLUSH"]).await,
            Op::Pass(millis) => Clock::boot().sleep(ms(millis)).await,
        }
    }

    fn ask(&mut self, who: usize, shared: bool, wait: u64, fixed: Option<u64>) {
        let name = self.world.clients[who % CLIENTS].read_write(&*self.name);
        let request = if shared { name.read() } else { name.write() };
        let mut request = request.wait(ms(wait));
        if let Some(lease) = fixed {
            request = request.fixed_lease(ms(lease));
        }
        let (who_asks, fences) = (Believer::default(), self.fences.clone());
        let (tell, floor) = (who_asks.seen.clone(), self.floor());
        let (behind, losses) = (self.world.behind.clone(), self.losses.clone());
        let task = tokio::spawn(async move {
            let result = request.await;
            if let Ok(guard) = &result {
                let era = (behind.load(Ordering::SeqCst), losses.load(Ordering::SeqCst));
                fences.lock().unwrap().note(guard.fence(), &floor, era);
            }
            *tell.lock().unwrap() = Some(result);
        });
        self.callers[who] = Some(Caller { task, who: who_asks, shared, renewed: fixed.is_none() });
    }

    fn floor(&self) -> Floor {
        let since = (self.world.behind.load(Ordering::SeqCst), self.losses.load(Ordering::SeqCst));
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

    fn leave_out(&mut self) {
        for caller in self.callers.iter().flatten() {
            caller.who.left_out.store(true, Ordering::SeqCst);
        }
    }

    /// Without an await in it: whoever believes at the end believed at its beginning.
    fn check(&self) -> Result<(), String> {
        let believes = |caller: &&Caller| caller.who.believes();
        let believers: Vec<_> = self.callers.iter().flatten().filter(believes).collect();
        let writers = believers.iter().filter(|caller| !caller.shared).count();
        if writers > 0 && believers.len() > 1 {
            return Err(format!("{} believe to hold it, {writers} alone", believers.len()));
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
            if left == Reply::List(Vec::new()) { Ok(()) } else { Err(format!("{left:?} are left")) }
        });
        gone.await.map_err(|error| error.to_string())
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
    let histories = proptest::collection::vec(proptest::collection::vec(op(), 10..40), BESIDE);
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
