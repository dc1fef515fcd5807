//! A network that splits behind Sentinels, who promote the replica on their side by themselves.

use std::{net::SocketAddr, time::Duration};

use mainstay_lock::{LockError, LockGuard, Locks, Redis, RedisLocks, Released, key};
use mainstay_testkit::{
    eventually,
    proxy::{Direction, Proxy},
    redis::{Sentinel, command},
};

use crate::{
    by_its_own_clock, ms,
    replicated::{doubled, take_many},
    within,
};

/// Longer than a failover takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A primary, its replicas and Sentinels, and clients that hear of the Sentinels through proxies.
struct Split {
    fleet: Sentinel,
    cables: Vec<Proxy>,
}

impl Split {
    async fn start() -> Self {
        let fleet = Sentinel::start().await.unwrap();
        let mut cables = Vec::new();
        for sentinel in fleet.addrs() {
            cables.push(Proxy::to(sentinel).await.unwrap());
        }
        Self { fleet, cables }
    }

    /// A client that is going to be on the side of the old primary and one of its replicas.
    fn few(&self, replicas: u32, lease: Duration) -> Locks {
        let urls = self.cables.iter().map(|cable| format!("redis://{}/", cable.addr()));
        let redis = Redis::sentinel(urls, self.fleet.name()).unwrap().build().unwrap();
        let kept = RedisLocks::new(redis).replicated(replicas, ms(600)).unwrap();
        Locks::builder().wait(SOON).lease(lease).backend(kept)
    }

    /// A client on the side of the Sentinels. One that was there before the split may be told by the old primary still.
    fn many(&self) -> Locks {
        let redis = Redis::sentinel(self.fleet.urls(), self.fleet.name()).unwrap();
        Locks::builder().wait(SOON).redis(redis.build().unwrap())
    }

    /// Returns the old primary and the replica that stays with it.
    async fn strike(&self) -> [SocketAddr; 2] {
        for cable in &self.cables {
            cable.black_hole(Direction::ToServer);
            cable.black_hole(Direction::ToClient);
        }
        self.fleet.split().await.unwrap()
    }

    async fn mend(&self, old: [SocketAddr; 2], new: SocketAddr) {
        self.fleet.join().await.unwrap();
        // The Sentinels tell them ten seconds later.
        for addr in old {
            let port = new.port().to_string();
            command(addr, &["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
        }
        for cable in &self.cables {
            cable.clear().await;
        }
    }
}

/// Takes locks to read under until one fails.
async fn read_many(locks: &Locks) -> Vec<LockGuard> {
    let mut readers = Vec::new();
    for number in 0..100_000 {
        match locks.read_write(key!("read{}", number)).read().wait(ms(500)).await {
            Ok(reader) => readers.push(reader),
            Err(_) => break,
        }
    }
    readers
}

/// Of the locks that are read under, how many another client writes under.
async fn written(readers: &[LockGuard], rival: &Locks) -> usize {
    let mut written = 0;
    for reader in readers {
        let lock = rival.read_write(reader.key());
        let write = eventually(SOON, || lock.try_write()).await.unwrap();
        written += usize::from(write.is_some() && reader.is_held());
    }
    written
}

async fn believes_to_be_primary(addr: SocketAddr) -> bool {
    command(addr, &["ROLE"]).await.unwrap().list()[0].text() == Some("master")
}

/// Everything that is believed in on one side is there on the other, until its lease is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicated_grants_outlive_a_split_in_which_sentinels_promote() {
    let split = Split::start().await;
    let few = split.few(2, ms(30_000));
    let (taking, reading) = (few.clone(), few.clone());
    let taken = tokio::spawn(async move { take_many(&taking, "split", 100_000).await });
    let read = tokio::spawn(async move { read_many(&reading).await });
    for name in ["split100", "read100"] {
        let begun = || async { few.inspect(name).await.is_ok_and(|info| info.is_held()) };
        eventually(SOON, begun).await.unwrap();
    }
    let old = split.strike().await;
    let (guards, readers) = tokio::join!(within(taken), within(read));
    let (guards, readers) = (guards.unwrap(), readers.unwrap());
    let new = split.fleet.primary_after(old[0], SOON).await.unwrap();
    assert!(believes_to_be_primary(old[0]).await, "nobody told the old primary");
    let many = split.many();
    assert!(guards.len() > 100 && guards.iter().any(LockGuard::is_held), "{}", guards.len());
    assert_eq!(doubled(&guards, &many).await, 0, "of {} grants", guards.len());
    assert!(readers.len() > 100 && readers.iter().any(LockGuard::is_held), "{}", readers.len());
    assert_eq!(written(&readers, &many).await, 0, "of {} readers", readers.len());
    // On its side, the old primary has one replica of two.
    for name in ["new", "newer"] {
        let error = few.lock(name).wait(ms(2_000)).await.unwrap_err();
        assert!(error.to_string().contains("1 of 2 replicas"), "{error}");
        assert!(eventually(SOON, || many.try_lock(name)).await.unwrap().is_some());
    }
    split.mend(old, new).await;
}

/// One holder after the other, on one side and then on the other, and back again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicated_client_on_the_minority_side_while_sentinels_promote() {
    let split = Split::start().await;
    let few = split.few(2, ms(6_000));
    let guard = within(few.lock("a")).await.unwrap();
    let reader = within(few.read_write("read").read()).await.unwrap();
    let old = split.strike().await;
    let new = split.fleet.primary_after(old[0], SOON).await.unwrap();
    let many = split.many();
    let rival = tokio::spawn(many.lock("a").into_future());
    let write = tokio::spawn(many.read_write("read").write().into_future());
    let lost = tokio::join!(within(guard.lost()), within(reader.lost()));
    assert!(by_its_own_clock(&lost.0) && by_its_own_clock(&lost.1), "{lost:?}");
    let (next, write) = (rival.await.unwrap().unwrap(), write.await.unwrap().unwrap());
    assert!(!guard.is_held() && next.is_held() && next.fence() > guard.fence());
    assert!(!reader.is_held() && write.is_held() && write.fence() > reader.fence());
    assert!(believes_to_be_primary(old[0]).await, "nobody told the old primary");
    let error = few.lock("a").wait(ms(2_000)).await.unwrap_err();
    assert!(!matches!(error, LockError::Lost(_)), "{error}");
    split.mend(old, new).await;
    assert!(next.is_held() && write.is_held(), "the old primary is not asked again");
    let back = tokio::spawn(async move { eventually(SOON, || few.lock("a").into_future()).await });
    assert_eq!(within(next.release()).await, Released::Released);
    let back = back.await.unwrap().unwrap();
    assert!(back.fence() > next.fence(), "{} after {}", back.fence(), next.fence());
}
