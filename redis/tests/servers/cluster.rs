//! Clusters whose nodes die, change roles and hand over slots.

use std::{collections::HashSet, net::SocketAddr, sync::mpsc, thread, time::Duration};

use mainstay_redis::{Push, Redis, RedisError, Script, redis::cmd};
use mainstay_testkit::{
    eventually,
    redis::{Cluster, Reply, command},
};

use crate::{APPEND, COUNT, ms};

const SOON: Duration = Duration::from_secs(60);

static BOTH: Script = Script::new("return redis.call('MGET', KEYS[1], KEYS[2])");

fn connect(cluster: &Cluster) -> Redis {
    Redis::cluster(cluster.urls()).unwrap().build().unwrap()
}

fn set(redis: &Redis, key: &str, value: &str) -> mainstay_redis::Call {
    redis.call(cmd("SET").arg(key).arg(value).take())
}

async fn get(redis: &Redis, key: &str) -> Result<Option<String>, RedisError> {
    redis.call(cmd("GET").arg(key).take()).await?.read()
}

/// The node that a listener of the Cluster is on.
async fn listener(cluster: &Cluster) -> Option<SocketAddr> {
    for node in cluster.addrs() {
        let list = command(node, &["CLIENT", "LIST", "TYPE", "pubsub"]).await;
        if list.is_ok_and(|list| list.text().is_some_and(|text| text.contains("addr="))) {
            return Some(node);
        }
    }
    None
}

#[tokio::test]
async fn each_command_goes_to_the_node_of_its_key() {
    let cluster = Cluster::start().await.unwrap();
    // One node that is not there, and one that is a replica: the others are found all the same.
    let seeds = ["redis://127.0.0.1:1/".to_owned(), cluster.urls()[5].clone()];
    let redis = Redis::cluster(seeds).unwrap().build().unwrap();
    let keys: Vec<_> = (0..300).map(|n| format!("key:{n}")).collect();
    let calls: Vec<_> = keys.iter().map(|key| set(&redis, key, key)).collect();
    let mut nodes = HashSet::new();
    for call in calls {
        let reply = call.await.unwrap();
        let primary = reply.primary();
        assert!(primary.epoch().is_some() && primary.run_id().is_some(), "{primary:?}");
        nodes.insert(primary.address().to_owned());
    }
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    for key in &keys {
        assert_eq!(get(&redis, key).await.unwrap().as_ref(), Some(key));
        let near = redis.call_near(key, cmd("WAIT").arg(1).arg(1000).take()).await.unwrap();
        let there = redis.call(cmd("EXISTS").arg(key).take()).await.unwrap();
        assert_eq!(near.primary(), there.primary());
    }
    for n in 0..50 {
        let length = redis.eval(&APPEND, [format!("list:{n}")]).arg("x").call().await.unwrap();
        assert_eq!(length.read::<u32>().unwrap(), 1);
    }
    let error = redis.call(cmd("MGET").arg("a").arg("b").take()).await.unwrap_err();
    assert!(
        matches!(&error, RedisError::Refused { code, .. } if &**code == "CROSSSLOT"),
        "{error}"
    );
    assert!(!error.is_unknown());
    redis.call(cmd("PING")).await.unwrap();
}

#[tokio::test]
async fn a_listener_hears_all_nodes_and_survives_its_own() {
    let mut cluster = Cluster::start().await.unwrap();
    let redis = connect(&cluster);
    let mut news = redis.subscribe("news");
    let mut heard = async |from: SocketAddr, word: &str| {
        command(from, &["PUBLISH", "news", word]).await.unwrap();
        loop {
            match news.recv().await.unwrap() {
                Push::Message(message) if message == word.as_bytes() => return,
                Push::MayHaveLost => {
                    command(from, &["PUBLISH", "news", word]).await.unwrap();
                }
                _ => {}
            }
        }
    };
    for node in cluster.addrs() {
        heard(node, &node.to_string()).await;
    }
    let old = listener(&cluster).await.unwrap();
    let node = cluster.nodes().iter_mut().find(|node| node.addr() == old).unwrap();
    node.kill().await.unwrap();
    let other = cluster.addrs().into_iter().find(|node| *node != old).unwrap();
    heard(other, "again").await;
    assert_ne!(listener(&cluster).await, Some(old));
}

#[tokio::test]
async fn a_killed_primary_is_followed_by_its_replica_and_the_others_go_on() {
    let mut cluster = Cluster::start().await.unwrap();
    let redis = connect(&cluster);
    set(&redis, "a", "before").await.unwrap();
    let slot = cluster.slot_of("a").await.unwrap();
    let mut elsewhere = (0..100).map(|n| format!("b:{n}"));
    let other = loop {
        let key = elsewhere.next().unwrap();
        let there = cluster.slot_of(&key).await.unwrap();
        if cluster.primary_of(there).await.unwrap() != cluster.primary_of(slot).await.unwrap() {
            break key;
        }
    };
    set(&redis, &other, "1").await.unwrap();
    let old = cluster.kill(slot).await.unwrap();
    let error = eventually(SOON, || async { set(&redis, "a", "x").await.err().ok_or("done") });
    let error = error.await.unwrap();
    assert!(!error.is_refused(), "{error}");
    set(&redis, &other, "2").await.unwrap();
    let new = cluster.primary_after(slot, old, SOON).await.unwrap();
    let reply = eventually(SOON, || set(&redis, "a", "after")).await.unwrap();
    assert_eq!(reply.primary().address(), new.to_string());
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("after"));
}

/// Commands on their way to the old primary, and those that are called meanwhile.
#[tokio::test]
async fn the_order_of_calls_holds_when_a_node_hands_its_slots_over() {
    let cluster = Cluster::start().await.unwrap();
    let redis = connect(&cluster);
    let slot = cluster.slot_of("list").await.unwrap();
    let old = cluster.primary_of(slot).await.unwrap();
    let replica = replica_of(old).await;
    let first = redis.eval(&APPEND, ["list"]).arg(0).call().await.unwrap();
    let mut nodes = HashSet::from([first.primary().address().to_owned()]);
    let (mut calls, mut number) = (Vec::new(), 300);
    calls.extend((1..=300).map(|n| redis.eval(&APPEND, ["list"]).arg(n).call()));
    command(replica, &["CLUSTER", "FAILOVER"]).await.unwrap();
    // Goes on after the change: what is called then must not overtake what the old one refuses.
    let mut after = 0;
    while after < 300 {
        // For a moment nobody may be named.
        let named = cluster.primary_of(slot).await;
        if after > 0 || named.is_ok_and(|now| now != old) {
            after += 1;
        }
        for _ in 0..20 {
            number += 1;
            calls.push(redis.eval(&APPEND, ["list"]).arg(number).call());
        }
        tokio::task::yield_now().await;
    }
    let mut done = 1;
    for call in calls {
        match call.await {
            Ok(reply) => {
                done += 1;
                nodes.insert(reply.primary().address().to_owned());
            }
            Err(error) => assert!(!error.is_refused(), "{error}"),
        }
    }
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    let list = redis.call(cmd("LRANGE").arg("list").arg(0).arg(-1).take()).await.unwrap();
    let list: Vec<u32> = list.read().unwrap();
    assert!(list.is_sorted_by(|one, other| one < other), "{list:?}");
    assert!(list.len() >= done, "{done} answered, {} there", list.len());
}

async fn replica_of(primary: SocketAddr) -> SocketAddr {
    let Reply::List(role) = command(primary, &["ROLE"]).await.unwrap() else { panic!("a role") };
    let replica = &role[2].list()[0];
    let text = |at: usize| replica.list()[at].text().unwrap();
    format!("{}:{}", text(0), text(1)).parse().unwrap()
}

#[tokio::test]
async fn a_slot_that_is_on_its_way_is_served_by_both_nodes() {
    let cluster = Cluster::start().await.unwrap();
    let redis = Redis::cluster(cluster.urls()).unwrap().budget(ms(700)).build().unwrap();
    set(&redis, "{t}stays", "1").await.unwrap();
    set(&redis, "{t}goes", "2").await.unwrap();
    let slot = cluster.slot_of("{t}").await.unwrap();
    let from = cluster.primary_of(slot).await.unwrap();
    let to = cluster.primary_of((slot + 8_000) % 16_384).await.unwrap();
    let id = async |node| command(node, &["CLUSTER", "MYID"]).await.unwrap().to_string();
    let (from_id, to_id, number) = (id(from).await, id(to).await, slot.to_string());
    let set_slot = async |node, how: &str, id: &str| {
        command(node, &["CLUSTER", "SETSLOT", &number, how, id]).await.unwrap();
    };
    set_slot(to, "IMPORTING", &from_id).await;
    set_slot(from, "MIGRATING", &to_id).await;
    let port = to.port().to_string();
    let migrate = async |key: &str| {
        command(from, &["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await.unwrap();
    };
    migrate("{t}goes").await;
    for _ in 0..3 {
        assert_eq!(get(&redis, "{t}stays").await.unwrap().as_deref(), Some("1"));
        assert_eq!(get(&redis, "{t}goes").await.unwrap().as_deref(), Some("2"), "over there");
    }
    // Neither node has both keys. It was not done, and nobody waits longer than the budget.
    let error = redis.eval(&BOTH, ["{t}stays", "{t}goes"]).call().await.unwrap_err();
    assert!(
        matches!(&error, RedisError::Refused { code, .. } if &**code == "TRYAGAIN"),
        "{error:?}"
    );
    assert!(!error.is_unknown() && error.retry_after().is_some(), "{error}");
    let waits = redis.eval(&BOTH, ["{t}stays", "{t}goes"]).call();
    migrate("{t}stays").await;
    set_slot(to, "NODE", &to_id).await;
    set_slot(from, "NODE", &to_id).await;
    let both = waits.await.unwrap();
    assert_eq!(both.primary().address(), to.to_string());
    assert_eq!(both.read::<Vec<String>>().unwrap(), ["1", "2"]);
    assert_eq!(get(&redis, "{t}goes").await.unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn a_node_that_hangs_holds_up_its_own_slots_only_and_every_call_ends() {
    let mut cluster = Cluster::start().await.unwrap();
    let redis = Redis::cluster(cluster.urls()).unwrap().budget(ms(300)).build().unwrap();
    let keys: Vec<_> = (0..60).map(|n| format!("key:{n}")).collect();
    for key in &keys {
        set(&redis, key, "1").await.unwrap();
    }
    cluster.pause(cluster.slot_of("key:0").await.unwrap()).await.unwrap();
    let calls: Vec<_> = keys.iter().map(|key| set(&redis, key, "2")).collect();
    let (mut done, mut unknown) = (0, 0);
    for call in calls {
        match call.await {
            Ok(_) => done += 1,
            Err(error) if error.is_unknown() => unknown += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(done > 20 && unknown > 5, "{done} done, {unknown} unknown");
    cluster.resume().unwrap();
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_a_failure() {
    let redis = Redis::cluster(["redis://127.0.0.1:1/"]).unwrap().budget(ms(200)).build().unwrap();
    let error = set(&redis, "a", "1").await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(Redis::cluster(Vec::<String>::new()).is_err());
    let single = mainstay_testkit::redis::Single::start().await.unwrap();
    let redis = Redis::cluster([single.url()]).unwrap().budget(ms(200)).build().unwrap();
    let error = set(&redis, "a", "1").await.unwrap_err();
    assert!(error.to_string().contains("cluster support disabled"), "{error}");
}

#[test]
fn whoever_hears_that_a_call_failed_may_call_again() {
    let (sender, heard) = mpsc::channel();
    // On a thread of its own: one that waits for itself would never let this one look.
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let nobody = Redis::cluster(["redis://127.0.0.1:1/"]).unwrap();
            let redis = nobody.budget(ms(50)).build().unwrap();
            let again = redis.clone();
            redis.eval(&COUNT, ["a"]).call_with(move |first| {
                let tell = move |second| sender.send((first, second)).unwrap();
                again.eval(&COUNT, ["a"]).call_with(tell);
            });
            std::future::pending::<()>().await;
        });
    });
    let (first, second) = heard.recv_timeout(SOON).expect("an answer to both");
    assert!(matches!(first, Err(RedisError::Failed { .. })), "{first:?}");
    assert!(matches!(second, Err(RedisError::Failed { .. })), "{second:?}");
}
