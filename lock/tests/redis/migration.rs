//! Locks of a Cluster whose slot moves to another node, key by key.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use mainstay_lock::{Clock, LockError, LockGuard, Locks, Redis, Released};
use mainstay_testkit::{
    eventually,
    redis::{Cluster, Reply, command},
};
use tokio::task::JoinHandle;

use crate::{SOON, common::all_served, key_of, ms, until_waiting, within};

/// A slot on its way from one node to another, as `redis-cli` moves it.
pub(crate) struct Migration {
    slot: String,
    from: SocketAddr,
    to: SocketAddr,
}

impl Migration {
    /// Announces to both nodes that the slot of `key` moves.
    pub(crate) async fn begin(cluster: &Cluster, key: &str) -> Self {
        let slot = cluster.slot_of(key).await.unwrap();
        let from = cluster.primary_of(slot).await.unwrap();
        let to = cluster.addrs()[..3].iter().copied().find(|addr| *addr != from).unwrap();
        let migration = Self { slot: slot.to_string(), from, to };
        migration.set(to, "IMPORTING", from).await;
        migration.set(from, "MIGRATING", to).await;
        migration
    }

    async fn set(&self, at: SocketAddr, word: &str, other: SocketAddr) {
        let id = command(other, &["CLUSTER", "MYID"]).await.unwrap().to_string();
        command(at, &["CLUSTER", "SETSLOT", &self.slot, word, &id]).await.unwrap();
    }

    /// Moves a key, if it is there. A key of that name at the other node would be a second one.
    pub(crate) async fn carry(&self, key: &str) {
        // Two nodes that send to each other would wait for each other.
        static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _turn = ONE_AT_A_TIME.lock().await;
        let port = self.to.port().to_string();
        command(self.from, &["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await.unwrap();
    }

    /// Moves what is there.
    async fn carry_some(&self) {
        for key in self.keys(self.from).await {
            self.carry(&key).await;
        }
    }

    /// Moves what is left, until nothing is.
    pub(crate) async fn carry_all(&self) {
        while !self.keys(self.from).await.is_empty() {
            self.carry_some().await;
        }
    }

    async fn keys(&self, node: SocketAddr) -> Vec<String> {
        let keys = command(node, &["CLUSTER", "GETKEYSINSLOT", &self.slot, "100"]).await.unwrap();
        keys.list().iter().filter_map(|key| key.text().map(str::to_owned)).collect()
    }

    pub(crate) async fn end(&self) {
        self.set(self.to, "NODE", self.to).await;
        self.set(self.from, "NODE", self.to).await;
    }
}

/// Longer than any wait of a test.
const LONG: Duration = Duration::from_secs(120);

fn client(cluster: &Cluster, lease: Duration) -> Locks {
    let redis = Redis::cluster(cluster.urls()).unwrap().budget(ms(1_000)).build().unwrap();
    Locks::builder().wait(LONG).lease(lease).redis(redis)
}

async fn until_gone(migration: &Migration) {
    let empty = || async {
        let left = migration.keys(migration.to).await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left")) }
    };
    eventually(SOON, empty).await.unwrap();
}

/// Refused before anything was done, because parts of the name may be on two nodes; or its node was too busy.
fn is_torn(error: &LockError) -> bool {
    let text = error.to_string();
    if error.is_unknown() { text.contains("no answer") } else { text.contains("TRYAGAIN") }
}

/// One held lock for which two wait, whose parts move in some order.
struct Scene {
    name: String,
    order: Vec<&'static str>,
    /// After how many parts have moved the holder lets go.
    release_at: usize,
}

impl Scene {
    /// In a slot that none of the others has. All go to the first node: two that take slots at the same time may
    /// never agree who has them.
    async fn new(
        cluster: &Cluster,
        order: &[&'static str],
        release_at: usize,
        slots: &mut HashSet<u16>,
    ) -> Self {
        for number in 0.. {
            let name = format!("{}:{release_at}:{number}", order.join("-"));
            let slot = cluster.slot_of(&key_of(&name, "held")).await.unwrap();
            let elsewhere = cluster.primary_of(slot).await.unwrap() != cluster.addrs()[0];
            if elsewhere && slots.insert(slot) {
                return Self { name, order: order.to_vec(), release_at };
            }
        }
        unreachable!("there are enough slots")
    }

    async fn play(&self, cluster: &Cluster, [one, two, three, other]: &[Locks; 4]) {
        let mut holder = Some(within(one.lock(&*self.name).lease(LONG)).await.unwrap());
        let mut waiters = Vec::new();
        for locks in [two, three] {
            waiters.push(tokio::spawn(locks.lock(&*self.name).into_future()));
            until_waiting(one, &self.name, waiters.len()).await;
        }
        if self.order.contains(&"asked") {
            self.until_both_have_asked_again(cluster).await;
        }
        let migration = Migration::begin(cluster, &key_of(&self.name, "held")).await;
        for moved in 0..=self.order.len() {
            self.nobody_passes(other, moved).await;
            match holder.take_if(|_| moved == self.release_at) {
                Some(holder) => _ = holder.release().await,
                None => self.is_kept(holder.as_ref()).await,
            }
            if let Some(part) = self.order.get(moved) {
                migration.carry(&key_of(&self.name, part)).await;
            }
        }
        self.nobody_passes(other, usize::MAX).await;
        migration.carry_all().await;
        migration.end().await;
        self.are_served(waiters).await;
        until_gone(&migration).await;
    }

    async fn until_both_have_asked_again(&self, cluster: &Cluster) {
        let asked = key_of(&self.name, "asked");
        let node = cluster.primary_of(cluster.slot_of(&asked).await.unwrap()).await.unwrap();
        let both = || async { command(node, &["HLEN", &asked]).await.unwrap() == Reply::Int(2) };
        eventually(SOON, both).await.unwrap();
    }

    async fn nobody_passes(&self, other: &Locks, moved: usize) {
        match within(other.try_lock(&*self.name)).await {
            Ok(None) => {}
            Err(error) => assert!(is_torn(&error), "{}, {moved} moved: {error:?}", self.name),
            Ok(Some(_)) => panic!("{}, {moved} moved: passed those who wait", self.name),
        }
        match within(other.inspect(&*self.name)).await {
            Ok(info) => assert!(info.holder.is_some(), "{}, {moved} moved: {info:?}", self.name),
            Err(error) => assert!(is_torn(&error), "{}, {moved} moved: {error:?}", self.name),
        }
    }

    /// Whoever holds it needs no more than the one key.
    async fn is_kept(&self, holder: Option<&LockGuard>) {
        if let Some(holder) = holder {
            eventually(SOON, || holder.extend(LONG)).await.unwrap();
        }
    }

    async fn are_served(&self, waiters: Vec<JoinHandle<Result<LockGuard, LockError>>>) {
        let mut last = None;
        for waiter in waiters {
            let guard = within(waiter).await.unwrap();
            let guard = guard.unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
            assert!(last.is_none_or(|last| guard.fence() > last), "{}: out of order", self.name);
            last = Some(guard.fence());
            guard.release().await;
        }
    }
}

#[tokio::test]
async fn those_who_wait_are_served_in_their_order_after_their_slot_has_moved() {
    let cluster = Cluster::start().await.unwrap();
    let orders: [&[_]; 8] = [
        &["held", "queue", "asked"],
        &["held", "asked", "queue"],
        &["queue", "held", "asked"],
        &["queue", "asked", "held"],
        &["asked", "held", "queue"],
        &["asked", "queue", "held"],
        &["held", "queue"],
        &["queue", "held"],
    ];
    let (mut scenes, mut slots) = (Vec::new(), HashSet::new());
    for order in orders {
        for release_at in 0..=order.len() {
            scenes.push(Scene::new(&cluster, order, release_at, &mut slots).await);
        }
    }
    // Who waits asks after half of its lease.
    let clients = std::array::from_fn(|_| client(&cluster, ms(2_000)));
    join_all(scenes.iter().map(|scene| scene.play(&cluster, &clients))).await;
}

/// Names of one bucket.
fn neighbours(count: usize) -> Vec<String> {
    let bucket = |name: &str| key_of(name, "held").split('}').next().unwrap().to_owned();
    let names = (0..).map(|number| format!("name-{number}"));
    names.filter(|name| bucket(name) == bucket("name-0")).take(count).collect()
}

#[tokio::test]
async fn locks_that_nobody_waits_for_go_on_while_their_slot_moves() {
    let cluster = Cluster::start().await.unwrap();
    let (one, two) = (client(&cluster, LONG), client(&cluster, LONG));
    let names = neighbours(6);
    let mut kept = Vec::new();
    for name in &names[..3] {
        kept.push(within(one.lock(&**name)).await.unwrap());
    }
    let others = &names[3..];
    let are_used = async || {
        // What one client asks at once goes out as one script, of keys that may be on two nodes.
        let taken = join_all(others.iter().map(|name| one.lock(&**name).into_future())).await;
        let taken: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
        let refused = join_all(names.iter().map(|name| two.try_lock(&**name))).await;
        assert!(refused.into_iter().all(|tried| tried.unwrap().is_none()));
        let released = join_all(taken.into_iter().map(|guard| guard.release())).await;
        assert!(released.iter().all(|released| *released == Released::Released), "{released:?}");
        let extended = join_all(kept.iter().map(|guard| guard.extend(LONG))).await;
        assert!(extended.into_iter().all(|extended| extended.is_ok()));
    };
    are_used().await;
    let migration = Migration::begin(&cluster, &key_of(&names[0], "held")).await;
    for name in &names[..3] {
        are_used().await;
        migration.carry(&key_of(name, "held")).await;
    }
    are_used().await;
    migration.end().await;
    are_used().await;
    drop(kept);
    until_gone(&migration).await;
}

/// Renewals of one client go out as one script, too.
#[tokio::test]
async fn leases_are_renewed_while_their_slot_is_on_two_nodes() {
    let cluster = Cluster::start().await.unwrap();
    let redis = Redis::cluster(cluster.urls()).unwrap().budget(ms(300)).build().unwrap();
    let lease = ms(3_000);
    let one = Locks::builder().wait(LONG).lease(lease).redis(redis);
    let mut guards = Vec::new();
    for name in neighbours(4) {
        guards.push(within(one.lock(name.as_str())).await.unwrap());
    }
    let migration = Migration::begin(&cluster, &key_of(guards[0].key().as_str(), "held")).await;
    migration.carry(&key_of(guards[0].key().as_str(), "held")).await;
    Clock::boot().sleep(lease + lease / 2).await;
    assert!(guards.iter().all(LockGuard::is_held), "{guards:?}");
    migration.carry_all().await;
    migration.end().await;
    drop(guards);
    until_gone(&migration).await;
}

/// Takes and gives back the lock, alone, until it had so many turns and is told to stop.
async fn contend(
    locks: Locks,
    name: String,
    inside: Arc<AtomicUsize>,
    turns: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) {
    let mut before = None;
    while turns.load(Ordering::SeqCst) < 20 || !stop.load(Ordering::SeqCst) {
        let guard = match locks.lock(&*name).await {
            Ok(guard) => guard,
            Err(LockError::Backend { .. } | LockError::Unknown { .. }) => {
                // Not held, so asked again.
                Clock::boot().sleep(ms(5)).await;
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside of {name}");
        assert!(before.is_none_or(|before| guard.fence() > before));
        before = Some(guard.fence());
        Clock::boot().sleep(ms(2)).await;
        inside.fetch_sub(1, Ordering::SeqCst);
        guard.release().await;
        turns.fetch_add(1, Ordering::SeqCst);
    }
}

/// A slot that is moved again and again while its locks are in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contenders_whose_slot_moves_never_overlap_and_are_all_served() {
    let cluster = Cluster::start().await.unwrap();
    let clients: [_; 3] = std::array::from_fn(|_| client(&cluster, ms(5_000)));
    let (stop, names) = (Arc::new(AtomicBool::new(false)), neighbours(3));
    let mut tasks = Vec::new();
    for name in &names {
        let inside = Arc::new(AtomicUsize::new(0));
        for locks in &clients {
            let (inside, turns, stop) = (inside.clone(), Arc::default(), stop.clone());
            let contender = contend(locks.clone(), name.clone(), inside, turns, stop);
            tasks.push(tokio::spawn(contender));
        }
    }
    let key = key_of(&names[0], "held");
    let mut last = None;
    for _ in 0..6 {
        let migration = Migration::begin(&cluster, &key).await;
        for _ in 0..15 {
            migration.carry_some().await;
            Clock::boot().sleep(ms(10)).await;
        }
        migration.carry_all().await;
        migration.end().await;
        last = Some(migration);
    }
    stop.store(true, Ordering::SeqCst);
    all_served(tasks).await;
    until_gone(&last.unwrap()).await;
}
