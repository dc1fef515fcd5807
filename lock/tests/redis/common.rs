//! What several files look for on a server, or do to it from outside.

use std::sync::Arc;

use mainstay_lock::{Clock, LockGuard};
use mainstay_testkit::{
    eventually,
    redis::{Reply, Single},
};
use tokio::task::JoinHandle;

use crate::{SOON, key_of, ms};

/// How often the server ran `command`, by itself or in a script.
pub(crate) async fn calls_of(server: &Single, command: &str) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]).await.unwrap();
    let calls = stats.field(&format!("cmdstat_{command}")).unwrap_or("calls=0,");
    calls.split(['=', ',']).nth(1).unwrap().parse().unwrap()
}

pub(crate) async fn scripts_run(server: &Single) -> u64 {
    calls_of(server, "evalsha").await
}

/// Waits until one waits for `name`, without a script: only the locks' own are counted.
pub(crate) async fn until_one_queued(server: &Single, name: &str) {
    let queue = key_of(name, "queue");
    let queued = || async { server.command(&["ZCARD", &queue]).await.unwrap() == Reply::Int(1) };
    eventually(SOON, queued).await.unwrap();
}

pub(crate) async fn all_have_an_end(server: &Single, keys: Vec<String>) {
    for key in keys {
        let left = server.command(&["PTTL", &key]).await.unwrap();
        assert!(matches!(left, Reply::Int(left) if left != -1), "{key} lives for ever");
    }
}

/// The channel of a process that listens.
pub(crate) async fn some_channel(server: &Single) -> String {
    let channels = server.command(&["PUBSUB", "CHANNELS"]).await.unwrap();
    let channel = channels.list()[0].text().unwrap();
    channel.rsplit(':').next().unwrap().to_owned()
}

/// Seen by the server's clock just now, or later.
pub(crate) const JUST_NOW: &str = "9000000000000000";
pub(crate) const LONG_AGO: &str = "1000000";

/// A waiter whose process is gone, in front of all others, as it is on the server.
pub(crate) async fn dead_waiter(server: &Single, owner: &str, seen: &str) {
    let waiter = format!("{owner} 30000 ");
    server.command(&["ZADD", &key_of("a", "queue"), "1", &waiter]).await.unwrap();
    server.command(&["HSET", &key_of("a", "asked"), owner, seen]).await.unwrap();
}

/// Gives "a" to the head of its queue as a release does, but for the push.
pub(crate) async fn grant_unheard(server: &Single, guard: &LockGuard) {
    let head = server.command(&["ZPOPMIN", &key_of("a", "queue")]).await.unwrap();
    let owner = head.list()[0].text().unwrap().split(' ').next().unwrap();
    let record = format!("{owner} {} ", guard.fence().get() + 1_000);
    server.command(&["SET", &key_of("a", "held"), &record, "PX", "30000"]).await.unwrap();
}

/// Cuts off everybody, and those who listen.
pub(crate) async fn cut_connections(server: &Single) {
    for kind in ["normal", "pubsub"] {
        server.command(&["CLIENT", "KILL", "TYPE", kind]).await.unwrap();
    }
}

/// Cuts connections while the contenders go on, until each of them has had its turns.
pub(crate) async fn while_connections_are_cut(
    server: &Arc<Single>,
    times: usize,
    contenders: Vec<JoinHandle<()>>,
) {
    let server = server.clone();
    let cuts = tokio::spawn(async move {
        for _ in 0..times {
            cut_connections(&server).await;
            Clock::boot().sleep(ms(30)).await;
        }
    });
    all_served(contenders).await;
    cuts.await.unwrap();
}

pub(crate) async fn all_served(contenders: Vec<JoinHandle<()>>) {
    for contender in contenders {
        Clock::boot().timeout(SOON * 2, contender).await.expect("everybody is served").unwrap();
    }
}

/// Nothing that was asked of the server was beyond the user's permissions.
pub(crate) async fn nothing_was_denied(server: &Single) {
    let denied = server.command(&["ACL", "LOG"]).await.unwrap();
    assert!(denied.list().is_empty(), "{denied:?}");
}
