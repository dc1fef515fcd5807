//! Random histories of scripts and clients together, on a real server: what must hold whatever happens.
//!
//! Pushes are lost (connections are cut) and doubled (recorded, and published again late), requests are
//! dropped at any moment, leases end, locks are forced, the server stalls, forgets its scripts, and loses
//! the data of a name, as a failover to an empty replica does. What is checked:
//!
//! - who believes to hold, by its own deadline, is alone, or reads beside readers;
//! - whoever asks after a fence was seen gets a higher one, and none is given twice;
//! - when all is quiet, everybody who waits is served, and no key is left: nobody renews what nobody holds.
//!
//! A name that was forced, or lost its data, has two believers for a while. Those who had asked by then are
//! left out of the first check from there on, not of the others. Steps of the server's clock are in `fences.rs`.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
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
    Force,
    LoseData,
    CutConnections,
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
        1 => Just(Op::Force),
        1 => Just(Op::LoseData),
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
}

impl World {
    async fn start() -> Self {
        let server = Single::start().await.unwrap();
        let connect = || Redis::builder(&server.url()).unwrap().budget(ms(1_000)).build().unwrap();
        let locks = || Locks::builder().lease(ms(LEASE)).redis(connect());
        let clients: Vec<_> = (0..CLIENTS).map(|_| locks()).collect();
        for client in &clients {
            // Each listens from here on.
            client.lock("warm").await.unwrap().release().await;
        }
        let world = Self { redis: connect(), server, clients, pushes: Arc::default() };
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
    highest: Option<Fence>,
    seen: HashSet<Fence>,
    wrong: Option<String>,
}

impl Fences {
    fn note(&mut self, fence: Fence, floor: Option<Fence>) {
        if !self.seen.insert(fence) {
            self.wrong = Some(format!("fence {fence} was given twice"));
        }
        if floor.is_some_and(|floor| fence <= floor) {
            self.wrong = Some(format!("fence {fence} for one who asked after {floor:?}"));
        }
        self.highest = self.highest.max(Some(fence));
    }
}

type Seen = Arc<Mutex<Option<Result<LockGuard, LockError>>>>;

struct Caller {
    task: JoinHandle<()>,
    seen: Seen,
    shared: bool,
    /// It asked before the name was forced or lost its data.
    left_out: bool,
}

impl Caller {
    fn believes(&self) -> bool {
        matches!(&*self.seen.lock().unwrap(), Some(Ok(guard)) if guard.is_held())
    }
}

/// One name and those who ask for it.
struct History<'a> {
    world: &'a World,
    name: String,
    callers: Vec<Option<Caller>>,
    fences: Arc<Mutex<Fences>>,
}

impl<'a> History<'a> {
    fn new(world: &'a World) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("model-{:04}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let callers = (0..CALLERS).map(|_| None).collect();
        Self { world, name, callers, fences: Arc::default() }
    }

    async fn apply(&mut self, op: &Op) {
        match *op {
            Op::Ask { who, .. } if self.callers[who].is_some() => {}
            Op::Ask { who, shared, wait, fixed } => self.ask(who, shared, wait, fixed),
            Op::Leave { who } => {
                if let Some(caller) = self.callers[who].take() {
                    caller.task.abort();
                    drop(caller.seen.lock().unwrap().take());
                }
            }
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
        let (seen, fences) = (Seen::default(), self.fences.clone());
        let (tell, floor) = (seen.clone(), fences.lock().unwrap().highest);
        let task = tokio::spawn(async move {
            let result = request.await;
            if let Ok(guard) = &result {
                fences.lock().unwrap().note(guard.fence(), floor);
            }
            *tell.lock().unwrap() = Some(result);
        });
        self.callers[who] = Some(Caller { task, seen, shared, left_out: false });
    }

    fn leave_out(&mut self) {
        for caller in self.callers.iter_mut().flatten() {
            caller.left_out = true;
        }
    }

    /// Without an await in it: whoever believes at the end believed at its beginning.
    fn check(&self) -> Result<(), String> {
        let believes = |caller: &&Caller| !caller.left_out && caller.believes();
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
        let answered = |caller: &mut Caller| caller.seen.lock().unwrap().is_some();
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
