//! Sentinels and Clusters over mutual TLS, with users and passwords: what is found on the way there is trusted no
//! more than what was named.

use std::{net::SocketAddr, time::Duration};

use mainstay_redis::{Redis, RedisBuilder, RedisError, Tls, redis::cmd};
use mainstay_testkit::{
    eventually,
    redis::{Cluster, Sentinel, TlsFiles, command},
};

use crate::{
    certificates::{Authority, Signed, authority, presenting, sign, trusting},
    ms,
};

const SOON: Duration = Duration::from_secs(60);

/// Who may use the servers.
const APP: (&str, &str) = ("app", "geheim");

/// An authority, its certificate for the servers, and a client's trust.
struct Trust {
    authority: Authority,
    servers: Signed,
    tls: Tls,
}

impl Trust {
    fn new() -> Self {
        let authority = authority("ours");
        let servers = sign(&authority, "127.0.0.1", |_| {});
        let tls = presenting(&trusting(&authority), &authority);
        Self { authority, servers, tls }
    }

    async fn fleet<T>(&self, start: impl AsyncFnOnce(&TlsFiles<'_>) -> T) -> T {
        start(&self.servers.files(&self.authority.pem())).await
    }
}

/// Only the user may count.
async fn let_in(servers: impl IntoIterator<Item = SocketAddr>) {
    for server in servers {
        let password = format!(">{}", APP.1);
        let user = ["ACL", "SETUSER", APP.0, "reset", "on", &password, "~*", "&*", "+@all"];
        command(server, &user).await.unwrap();
        command(server, &["ACL", "SETUSER", "default", "-incr"]).await.unwrap();
    }
}

/// Counts, and says who took it; only over TLS, and only as the user.
async fn count(redis: &Redis, key: &str, plain: &[SocketAddr]) -> Result<String, RedisError> {
    let reply = redis.call(cmd("INCR").arg(key).take()).await?;
    let address = reply.primary().address().to_owned();
    assert!(plain.iter().all(|plain| plain.to_string() != address), "{address} is a plain port");
    Ok(address)
}

/// What a command gets that nobody was to be asked for.
async fn refusal(redis: RedisBuilder) -> RedisError {
    let error = redis.build().unwrap().call(cmd("INCR").arg("n").take()).await.unwrap_err();
    assert!(!error.is_unknown(), "{error}");
    error
}

fn is_mistrusted(error: &RedisError, words: &str) -> bool {
    let typed = matches!(error, RedisError::Mistrusted { .. }) && error.retry_after().is_none();
    typed && error.to_string().contains(words)
}

fn is_denied(error: &RedisError, by: &[String]) -> bool {
    let RedisError::Denied { server, .. } = error else { return false };
    let text = error.to_string();
    let secret = text.contains("wrong") || text.contains(APP.1);
    let named = by.iter().any(|by| by.contains(&**server));
    named && !secret && text.contains("WRONGPASS") && error.retry_after().is_none()
}

const STRANGER: &str = "not signed by a trusted authority";

/// Clients that trust somebody else, that show no certificate, and that have a wrong password, which `by` say.
async fn strangers_are_refused(
    good: impl Fn() -> RedisBuilder,
    trust: &Trust,
    stranger: &Authority,
    by: &[String],
) {
    let error = refusal(good().tls(presenting(&trusting(stranger), &trust.authority))).await;
    assert!(is_mistrusted(&error, STRANGER), "{error:?} {error}");
    let error = refusal(good().tls(trusting(&trust.authority))).await;
    assert!(is_mistrusted(&error, "`Tls::client_certificate`"), "{error:?} {error}");
    let error = refusal(good().credentials(Some(APP.0), "wrong")).await;
    assert!(is_denied(&error, by), "{error:?} {error}");
}

fn watched(sentinel: &Sentinel, tls: &Tls) -> RedisBuilder {
    let urls = sentinel.tls_urls().map(|url| url.replace("//", "//watch:other@"));
    let redis = Redis::sentinel(urls, sentinel.name()).unwrap().tls(tls.clone()).require_tls();
    redis.credentials(Some(APP.0), APP.1)
}

/// Sentinels have users of their own.
async fn sentinels(trust: &Trust) -> Sentinel {
    let mut sentinel = trust.fleet(async |files| Sentinel::start_tls(files).await).await.unwrap();
    let nodes = sentinel.nodes().each_ref().map(|node| node.addr());
    let_in(nodes).await;
    for watcher in sentinel.addrs() {
        let user = ["ACL", "SETUSER", "watch", "reset", "on", ">other", "+@all"];
        command(watcher, &user).await.unwrap();
        command(watcher, &["ACL", "SETUSER", "default", "-sentinel|master"]).await.unwrap();
    }
    sentinel
}

#[tokio::test]
async fn sentinels_and_their_servers_are_spoken_to_encrypted_also_after_a_failover() {
    let trust = Trust::new();
    let mut sentinel = sentinels(&trust).await;
    let plain = sentinel.nodes().each_ref().map(|node| node.addr());
    let redis = watched(&sentinel, &trust.tls).budget(ms(500)).build().unwrap();
    let mut news = redis.subscribe("news");
    let first = count(&redis, "n", &plain).await.unwrap();
    news.recv().await.unwrap();
    let old = sentinel.kill().await.unwrap();
    let new = sentinel.primary_after(old, SOON).await.unwrap();
    let second = eventually(SOON, || count(&redis, "n", &plain)).await.unwrap();
    assert_ne!(second, first);
    news.recv().await.unwrap();
    command(new, &["PUBLISH", "news", "x"]).await.unwrap();
    news.recv().await.unwrap();
}

#[tokio::test]
async fn what_sentinels_or_their_servers_refuse_says_who_and_why() {
    let trust = Trust::new();
    let sentinel = sentinels(&trust).await;
    let (encrypted, plain) = (sentinel.tls_urls().to_vec(), sentinel.urls().to_vec());
    let good = || watched(&sentinel, &trust.tls);
    let primary = count(&good().build().unwrap(), "n", &[]).await.unwrap();
    let of_primary = [primary.clone()];
    let stranger = authority("stranger");

    strangers_are_refused(good, &trust, &stranger, &of_primary).await;

    // The Sentinels' password is not the servers', and the other way round.
    let urls = encrypted.iter().map(|url| url.replace("//", "//watch:wrong@"));
    let builder = |urls: Vec<String>| Redis::sentinel(urls, sentinel.name()).unwrap();
    let user = |redis: RedisBuilder| redis.credentials(Some(APP.0), APP.1);
    let error = refusal(user(builder(urls.collect()).tls(trust.tls.clone()))).await;
    assert!(is_denied(&error, &encrypted), "{error:?} {error}");
    let error = refusal(user(builder(encrypted.clone()).tls(trust.tls.clone()))).await;
    assert!(error.to_string().contains("NOPERM"), "{error:?} {error}");

    // Sentinels in plain text, and servers that are not: the servers' certificates count.
    let urls: Vec<_> = plain.iter().map(|url| url.replace("//", "//watch:other@")).collect();
    let servers = |tls: &Tls| user(builder(urls.clone()).server_tls(true).tls(tls.clone()));
    count(&servers(&trust.tls).build().unwrap(), "n", &[]).await.unwrap();
    let error = refusal(servers(&trusting(&stranger))).await;
    assert!(is_mistrusted(&error, STRANGER), "{error:?} {error}");
    assert!(error.to_string().contains(&primary), "{error}");
    let error = refusal(user(builder(urls.clone()))).await;
    assert!(matches!(error, RedisError::Failed { .. }), "{error:?}");
}

fn clustered(cluster: &Cluster, tls: &Tls) -> RedisBuilder {
    let redis = Redis::cluster(cluster.tls_urls()).unwrap().tls(tls.clone()).require_tls();
    redis.credentials(Some(APP.0), APP.1)
}

/// One key for each primary.
async fn keys(cluster: &Cluster) -> [String; 3] {
    let mut keys: [Option<String>; 3] = [const { None }; 3];
    for number in 0..100 {
        let key = format!("key:{number}");
        let primary = cluster.primary_of(cluster.slot_of(&key).await.unwrap()).await.unwrap();
        let index = cluster.addrs()[..3].iter().position(|addr| *addr == primary).unwrap();
        keys[index].get_or_insert(key);
    }
    keys.map(Option::unwrap)
}

#[tokio::test]
async fn a_cluster_is_spoken_to_encrypted_also_after_a_failover() {
    let trust = Trust::new();
    let cluster = trust.fleet(async |files| Cluster::start_tls(files).await).await;
    let mut cluster = cluster.unwrap();
    let plain = cluster.addrs();
    let_in(plain.clone()).await;
    let keys = keys(&cluster).await;
    let redis = clustered(&cluster, &trust.tls).budget(ms(500)).build().unwrap();
    let mut news = redis.subscribe("news");
    for key in &keys {
        count(&redis, key, &plain).await.unwrap();
    }
    news.recv().await.unwrap();
    command(plain[4], &["PUBLISH", "news", "x"]).await.unwrap();
    news.recv().await.unwrap();
    let slot = cluster.slot_of(&keys[0]).await.unwrap();
    let old = cluster.kill(slot).await.unwrap();
    cluster.primary_after(slot, old, SOON).await.unwrap();
    for key in &keys {
        eventually(SOON, || count(&redis, key, &plain)).await.unwrap();
    }
}

#[tokio::test]
async fn what_one_node_of_a_cluster_refuses_says_who_and_why() {
    let trust = Trust::new();
    let cluster = trust.fleet(async |files| Cluster::start_tls(files).await).await.unwrap();
    let plain = cluster.addrs();
    let_in(plain.clone()).await;
    let [first, second, _] = keys(&cluster).await;
    let good = || clustered(&cluster, &trust.tls);
    let stranger = authority("stranger");

    strangers_are_refused(good, &trust, &stranger, &cluster.tls_urls()).await;
    let unencrypted = cluster.tls_urls().into_iter().map(|url| url.replace("rediss", "redis"));
    let error = refusal(Redis::cluster(unencrypted).unwrap()).await;
    assert!(matches!(error, RedisError::Failed { .. }), "{error:?}");

    // One node alone, which clients find on their way: with another password, then with another certificate.
    let seeds = || Redis::cluster([&cluster.tls_urls()[1]]).unwrap().tls(trust.tls.clone());
    let seeds = || seeds().credentials(Some(APP.0), APP.1).build().unwrap();
    let found = [count(&seeds(), &first, &plain).await.unwrap()];
    command(plain[0], &["ACL", "SETUSER", APP.0, "resetpass", ">changed"]).await.unwrap();
    let redis = seeds();
    let error = count(&redis, &first, &plain).await.unwrap_err();
    assert!(is_denied(&error, &found), "{error:?} {error}");
    count(&redis, &second, &plain).await.unwrap();
    let_in([plain[0]]).await;
    show_another(plain[0], &sign(&stranger, "127.0.0.1", |_| {})).await;
    let redis = seeds();
    let error = count(&redis, &first, &plain).await.unwrap_err();
    assert!(is_mistrusted(&error, STRANGER), "{error:?} {error}");
    assert!(error.to_string().contains(&found[0]), "{error}");
    count(&redis, &second, &plain).await.unwrap();
}

/// A node with another certificate from now on.
async fn show_another(node: SocketAddr, signed: &Signed) {
    let folder = command(node, &["CONFIG", "GET", "dir"]).await.unwrap();
    let folder = std::path::PathBuf::from(folder.list()[1].text().unwrap());
    let (certificate, key) = (folder.join("other.pem"), folder.join("other.key"));
    std::fs::write(&certificate, &signed.certificate).unwrap();
    std::fs::write(&key, &signed.key).unwrap();
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let set = ["CONFIG", "SET", "tls-cert-file", &certificate, "tls-key-file", &key];
    command(node, &set).await.unwrap();
}

#[test]
fn urls_of_which_only_some_are_encrypted_are_refused() {
    let urls = || ["rediss://a/", "redis://b/"];
    let tls = || trusting(&authority("ours"));
    let error = Redis::cluster(urls()).unwrap().tls(tls()).build().unwrap_err();
    assert!(error.to_string().contains("some are not"), "{error}");
    let sentinels = || Redis::sentinel(urls(), "kit").unwrap().tls(tls());
    let error = sentinels().build().unwrap_err();
    assert!(error.to_string().contains("`server_tls`"), "{error}");
    sentinels().server_tls(true).build().unwrap();
}
