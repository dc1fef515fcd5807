//! Readers in a Cluster, where no node knows who listens.

use std::{net::SocketAddr, time::Duration};

use mainstay_lock::{LockError, Locks, Redis};
use mainstay_testkit::{
    eventually,
    redis::{Cluster, command},
};

use crate::{SOON, key_of, migration::Migration, ms, until_waiting, within};

/// Longer than any wait of a test.
const LONG: Duration = Duration::from_secs(120);

fn client(cluster: &Cluster) -> Locks {
    let redis = Redis::cluster(cluster.urls()).unwrap().build().unwrap();
    Locks::builder().wait(SOON).lease(LONG).redis(redis)
}

/// A name on a node at which nobody listens, once these clients do.
async fn far_from_listeners(cluster: &Cluster, clients: [&Locks; 2]) -> String {
    for locks in clients {
        within(locks.lock("warm")).await.unwrap().release().await;
    }
    let listened = async |node: SocketAddr| {
        let channels = command(node, &["PUBSUB", "CHANNELS"]).await.unwrap();
        !channels.list().is_empty()
    };
    for number in 0..100 {
        let name = format!("name-{number}");
        let slot = cluster.slot_of(&key_of(&name, "held")).await.unwrap();
        if !listened(cluster.primary_of(slot).await.unwrap()).await {
            return name;
        }
    }
    panic!("somebody listens at each node")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Readers whose process is gone: one at the head, which is told by whoever releases, and one behind another
/// reader, which that one lets in. Neither keeps the others out for its lease.
#[test]
fn dead_readers_in_the_queue_hold_up_nobody_for_long() {
    let (lasting, dying) = (runtime(), runtime());
    let cluster = lasting.block_on(Cluster::start()).unwrap();
    let (one, two) = (client(&cluster), client(&cluster));
    let asks = |locks: &Locks, reads: bool| {
        let lock = locks.read_write("a");
        let request = if reads { lock.read() } else { lock.write() };
        tokio::spawn(request.into_future())
    };
    let (writer, dead) = (lasting.block_on(within(one.lock("a"))).unwrap(), client(&cluster));
    dying.block_on(async {
        asks(&dead, true);
        until_waiting(&dead, "a", 1).await;
    });
    let entered = lasting.enter();
    let reader = asks(&two, true);
    lasting.block_on(until_waiting(&two, "a", 2));
    drop(entered);
    dying.block_on(async {
        asks(&dead, true);
        until_waiting(&dead, "a", 3).await;
    });
    // Its connections go; nothing is given back.
    drop((dead, dying));
    lasting.block_on(async {
        let next = asks(&one, false);
        until_waiting(&one, "a", 4).await;
        writer.release().await;
        let info = one.inspect("a").await.unwrap();
        let left = info.holder.expect("the dead one at the head").remaining;
        assert!(left <= ms(1_000), "{left:?}");
        let reader = within(reader).await.unwrap().unwrap();
        assert!(reader.remaining() > LONG / 2, "{:?}", reader.remaining());
        let info = one.inspect("a").await.unwrap();
        assert!((1..=2).contains(&info.reader_count), "{info:?}");
        reader.release().await;
        let next = within(next).await.unwrap().unwrap();
        assert!(next.fence() > reader.fence());
        next.release().await;
    });
}

/// One that is told by push has what it asked for, once it has asked again; and so have those it lets in.
#[tokio::test]
async fn readers_that_hear_of_their_turn_have_their_whole_leases() {
    let cluster = Cluster::start().await.unwrap();
    let (one, two) = (client(&cluster), client(&cluster));
    let name = &*far_from_listeners(&cluster, [&one, &two]).await;
    let writer = within(one.lock(name)).await.unwrap();
    let mut readers = Vec::new();
    for (number, locks) in [&one, &two, &one, &two].into_iter().enumerate() {
        // Shorter than the time after which a waiter asks by itself.
        let reader = locks.read_write(name).read().wait(ms(4_500));
        readers.push(tokio::spawn(reader.into_future()));
        until_waiting(&one, name, number + 1).await;
    }
    writer.release().await;
    let mut inside = Vec::new();
    for reader in readers {
        inside.push(within(reader).await.unwrap().unwrap());
    }
    let info = one.inspect(name).await.unwrap();
    let kept = |left: Duration| left > LONG / 2;
    assert_eq!(info.readers.iter().filter(|reader| kept(reader.remaining)).count(), 4, "{info:?}");
    assert!(inside.iter().all(|reader| reader.is_held() && kept(reader.remaining())));
    assert!(within(two.try_lock(name)).await.unwrap().is_none());
}

/// While its slot moves, what is known of a name is on two nodes: nobody takes a half for the whole.
#[tokio::test]
async fn readers_keep_writers_out_while_their_slot_migrates() {
    let cluster = Cluster::start().await.unwrap();
    let (one, two) = (client(&cluster), client(&cluster));
    let first = within(one.read_write("a").read()).await.unwrap();
    let migration = Migration::begin(&cluster, &key_of("a", "held")).await;
    let excluded = async || {
        let writer = within(two.try_lock("a")).await.unwrap();
        assert!(writer.is_none() && first.is_held(), "a writer beside a reader");
        within(two.read_write("a").try_read()).await.unwrap_err()
    };
    excluded().await;
    for part in ["readers", "held", "shares"] {
        migration.carry(&key_of("a", part)).await;
        let error = excluded().await;
        assert!(matches!(error, LockError::Backend { .. }), "{error:?}");
        assert!(error.to_string().contains("TRYAGAIN"), "{error}");
    }
    migration.end().await;
    let second = within(two.read_write("a").try_read()).await.unwrap().expect("beside the first");
    first.extend(LONG).await.unwrap();
    assert!(within(two.try_lock("a")).await.unwrap().is_none());
    drop((first, second));
    let writer = eventually(SOON, || two.lock("a").into_future()).await.unwrap();
    writer.release().await;
}
