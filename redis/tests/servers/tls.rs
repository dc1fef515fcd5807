//! Encrypted connections, with certificates made here.

use mainstay_redis::{
    Redis, RedisError, Tls,
    redis::{Client, ConnectionAddr, IntoConnectionInfo, cmd},
};
use mainstay_testkit::{
    eventually,
    redis::{Single, TlsFiles},
};
use rcgen::date_time_ymd;

use crate::{
    certificates::{Authority, Signed, authority, presenting, sign, trusting},
    ms,
};

async fn serve(authority: &Authority, server: &Signed, ask_clients: bool) -> Single {
    let authority = authority.pem();
    let files = TlsFiles { ask_clients, ..server.files(&authority) };
    Single::start_tls(&files).await.unwrap()
}

fn url(server: &Single) -> String {
    format!("rediss://{}/", server.tls_addr())
}

fn connect(server: &Single, tls: Tls) -> Redis {
    Redis::builder(&url(server)).unwrap().tls(tls).require_tls().build().unwrap()
}

/// What a command gets, with all its words.
async fn refusal(redis: &Redis) -> String {
    let error = redis.call(cmd("PING")).await.unwrap_err();
    assert!(matches!(error, RedisError::Mistrusted { .. }), "{error:?}");
    assert!(!error.is_unknown() && error.retry_after().is_none(), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_server_of_the_named_authority_is_spoken_to_and_found_again() {
    let authority = authority("ours");
    let server = serve(&authority, &sign(&authority, "127.0.0.1", |_| {}), false).await;
    let redis = connect(&server, trusting(&authority));
    let mut news = redis.subscribe("news");
    let published = redis.call(cmd("PUBLISH").arg("news").arg("x").take());
    assert_eq!(published.await.unwrap().read::<u32>().unwrap(), 1);
    assert!(news.recv().await.is_some());
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    eventually(ms(20_000), || redis.call(cmd("PING"))).await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let server = serve(&theirs, &sign(&theirs, "127.0.0.1", |_| {}), false).await;
    let why = refusal(&connect(&server, trusting(&ours))).await;
    assert!(why.contains("not signed by a trusted authority"), "{why}");
    assert!(why.contains(&server.tls_addr().to_string()), "{why}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = authority("ours");
    let old = sign(&authority, "127.0.0.1", |params| {
        (params.not_before, params.not_after) =
            (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    });
    let server = serve(&authority, &old, false).await;
    let why = refusal(&connect(&server, trusting(&authority))).await;
    assert!(why.contains("has expired"), "{why}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = authority("ours");
    let server = serve(&authority, &sign(&authority, "other.example", |_| {}), false).await;
    let why = refusal(&connect(&server, trusting(&authority))).await;
    assert!(why.contains("another name than the URL's host"), "{why}");
}

#[tokio::test]
async fn a_server_that_asks_gets_the_clients_certificate() {
    let (authority, stranger) = (authority("ours"), authority("stranger"));
    let server = serve(&authority, &sign(&authority, "127.0.0.1", |_| {}), true).await;
    let without = trusting(&authority);
    let why = refusal(&connect(&server, without.clone())).await;
    assert!(why.contains("`Tls::client_certificate`"), "{why}");
    let why = refusal(&connect(&server, presenting(&without, &stranger))).await;
    assert!(why.contains("does not trust the client certificate"), "{why}");
    let me = connect(&server, presenting(&without, &authority));
    me.call(cmd("PING")).await.unwrap();
}

#[tokio::test]
async fn plain_text_and_tls_never_stand_in_for_each_other() {
    let authority = authority("ours");
    let server = serve(&authority, &sign(&authority, "127.0.0.1", |_| {}), false).await;
    // A plain client at the encrypted port.
    let plain = Redis::open(&format!("redis://{}/", server.tls_addr())).unwrap();
    let error = plain.call(cmd("PING")).await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error}");
    // A client that wants TLS at the plain port.
    let encrypted = format!("rediss://{}/", server.addr());
    let redis = Redis::builder(&encrypted).unwrap().tls(trusting(&authority)).budget(ms(300));
    let error = redis.build().unwrap().call(cmd("PING")).await.unwrap_err();
    assert!(!error.is_unknown() && !error.is_refused(), "{error}");
}

#[tokio::test]
async fn a_client_of_the_users_is_as_encrypted_as_it_was() {
    let authority = authority("ours");
    let server = serve(&authority, &sign(&authority, "127.0.0.1", |_| {}), false).await;
    let client = |insecure| {
        let (host, port) = (server.tls_addr().ip().to_string(), server.tls_addr().port());
        let encrypted = ConnectionAddr::TcpTls { host, port, insecure, tls_params: None };
        let info = "redis://-/3".into_connection_info().unwrap().set_addr(encrypted);
        Redis::from_client(Client::open(info).unwrap()).tls(trusting(&authority))
    };
    let redis = client(false).require_tls().build().unwrap();
    redis.call(cmd("SET").arg("k").arg("v").take()).await.unwrap();
    let keys = server.command(&["INFO", "keyspace"]).await.unwrap();
    assert!(format!("{keys:?}").contains("db3:keys=1"), "{keys:?}");
    let careless = client(true).build().expect_err("it checks nothing");
    assert!(careless.to_string().contains("takes any certificate"), "{careless}");
}

#[test]
fn settings_that_would_leave_the_connection_open_to_others_are_refused() {
    let refused = |built: Result<Redis, RedisError>, words: &str| {
        let error = built.expect_err(words);
        assert!(matches!(error, RedisError::InvalidAddress { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let builder = |url| Redis::builder(url).unwrap();
    let tls = trusting(&authority("ours"));
    refused(builder("redis://h/").require_tls().build(), "TLS is required");
    refused(builder("redis://h/").tls(tls).build(), "write `rediss://`");
    refused(Redis::open("rediss://h/#insecure"), "certificates are always checked");
    assert!(Tls::trusting("nonsense").is_err());
    let me = sign(&authority("ours"), "me", |_| {});
    let other = sign(&authority("ours"), "me", |_| {});
    let tls = trusting(&authority("ours"));
    assert!(tls.clone().client_certificate(&me.certificate, &other.key).is_err(), "not its key");
    let tls = tls.client_certificate(&me.certificate, &me.key).unwrap();
    let shown = format!("{tls:?}");
    assert!(shown.contains("client_certificate: true") && !shown.contains("KEY"), "{shown}");
}
