//! The server, and those who talk to it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use mainstay_lock::{Fence, Locks, Redis};
use mainstay_redis::{Push, Script, redis::cmd};
use mainstay_testkit::{
    eventually,
    redis::{Reply, Single},
};

use super::LEASE;
use crate::{SOON, ms};

pub(super) const CLIENTS: usize = 3;

/// The last ones, with their channels.
type Pushes = Arc<Mutex<VecDeque<(String, Vec<u8>)>>>;

/// What a replica has got of a name: its keys, and when they end. Nothing if a lease would last too long.
pub(super) static DUMP: Script = Script::new(include_str!("dump.lua"));

pub(super) static RESTORE: Script = Script::new(include_str!("restore.lua"));

/// What is known of the server's clock.
#[derive(Default)]
pub(super) struct ServerClock {
    /// How many milliseconds it is off.
    pub(super) off: AtomicI64,
    /// How often it was set back, and how often forward.
    pub(super) backs: AtomicI64,
    pub(super) forwards: AtomicUsize,
    /// Fences from here on were granted after it was set forward last.
    pub(super) granted_since: AtomicI64,
    /// The highest fence of any name.
    pub(super) top: AtomicI64,
}

impl ServerClock {
    pub(super) fn step(&self, millis: i64, server: &Single) {
        if millis < 0 {
            self.backs.fetch_add(1, Ordering::SeqCst);
        } else {
            self.granted_since.store(i64::MAX, Ordering::SeqCst);
            self.forwards.fetch_add(1, Ordering::SeqCst);
        }
        let off = self.off.fetch_add(millis, Ordering::SeqCst) + millis;
        server.set_clock(off).unwrap();
    }

    /// Notes the server's time after a step. Fences that are ahead of the clock, and those that are on their way to
    /// whom they were granted, may be a bit higher than what was seen.
    pub(super) fn stepped(&self, now: Fence) {
        let top = self.top.load(Ordering::SeqCst) + 1_000;
        self.granted_since.store(now.get().max(top), Ordering::SeqCst);
    }
}

/// The server, its clients, and what they were told.
pub(super) struct World {
    pub(super) server: Single,
    pub(super) clients: Vec<Locks>,
    pub(super) redis: Redis,
    pub(super) pushes: Pushes,
    pub(super) clock: Arc<ServerClock>,
}

impl World {
    pub(super) async fn start() -> Self {
        let server = Single::start_with_clock().await.unwrap();
        let connect = || Redis::builder(&server.url()).unwrap().budget(ms(1_000)).build().unwrap();
        let locks = || Locks::builder().lease(ms(LEASE)).redis(connect());
        let clients: Vec<_> = (0..CLIENTS).map(|_| locks()).collect();
        for client in &clients {
            // Each listens from here on.
            client.lock("warm").await.unwrap().release().await;
        }
        let (pushes, clock) = Default::default();
        let world = Self { redis: connect(), server, clients, pushes, clock };
        world.record().await;
        world
    }

    pub(super) async fn record(&self) {
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
    pub(super) async fn run(&self, command: &[&str]) -> Reply {
        eventually(SOON, || self.server.command(command)).await.unwrap()
    }

    pub(super) async fn step_clock(&self, millis: i64) {
        self.clock.step(millis, &self.server);
        if millis > 0 {
            self.clock.stepped(self.time().await);
        }
    }

    pub(super) async fn cut_connections(&self) {
        for kind in ["normal", "pubsub"] {
            self.run(&["CLIENT", "KILL", "TYPE", kind]).await;
        }
    }

    /// The server's time, as a fence.
    pub(super) async fn time(&self) -> Fence {
        let time = self.run(&["TIME"]).await;
        let part = |index: usize| time.list()[index].text().unwrap().parse::<i64>().unwrap();
        Fence::new(part(0) * 1_000_000 + part(1))
    }

    pub(super) async fn publish_again(&self) {
        let pushes: Vec<_> = self.pushes.lock().unwrap().iter().cloned().collect();
        for (channel, message) in pushes {
            let mut publish = cmd("PUBLISH");
            // Cut off in the middle: then it was not doubled.
            _ = self.redis.call(publish.arg(channel).arg(message).clone()).await;
        }
    }
}
