//! What is shown, and what is refused.

use mainstay_redis::{Push, Redis, RedisError, redis::cmd};
use mainstay_testkit::redis::Single;

#[tokio::test]
async fn passwords_and_payloads_are_never_shown() {
    let redis = Redis::open("redis://anna:geheim@127.0.0.1:1/3").unwrap();
    let error = redis.call(cmd("SET").arg("k").arg("geheim").take()).await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error:?}");
    let builder = Redis::builder("redis://anna:geheim@127.0.0.1:1/3").unwrap();
    let shown = format!("{redis:?} {builder:?} {error:?} {error} {:?}", redis.call(cmd("PING")));
    assert!(!shown.contains("geheim") && !shown.contains("anna"), "{shown}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert_eq!(format!("{:?}", Push::Message(b"geheim".to_vec())), "Message(6 bytes)");
}

#[test]
fn an_encrypted_address_is_never_spoken_to_in_plain_text() {
    for url in ["http://127.0.0.1/", "nonsense", "redis://127.0.0.1/#insecure"] {
        let error = Redis::open(url).unwrap_err();
        assert!(matches!(error, RedisError::InvalidAddress { .. }), "{url}: {error}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_the_feature_an_encrypted_address_names_it() {
    let error = Redis::open("rediss://127.0.0.1/").unwrap_err();
    assert!(matches!(error, RedisError::InvalidAddress { .. }), "{error}");
    assert!(error.to_string().contains("feature `tls`"), "{error}");
}

#[tokio::test]
async fn a_login_that_is_refused_says_so_and_is_let_in_once_it_is_right() {
    let server = Single::start().await.unwrap();
    server.command(&["CONFIG", "SET", "requirepass", "geheim"]).await.unwrap();
    let with =
        |login: &str| Redis::open(&server.url().replace("//", &format!("//{login}"))).unwrap();
    for (login, code) in [("", "NOAUTH"), (":wrong@", "WRONGPASS"), ("anna:geheim@", "WRONGPASS")] {
        let error = with(login).call(cmd("PING")).await.unwrap_err();
        assert!(matches!(error, RedisError::Denied { .. }), "{error:?}");
        assert!(!error.is_unknown() && error.retry_after().is_none());
        let text = error.to_string();
        assert!(text.contains(code) && text.contains(&server.addr().to_string()), "{text}");
        assert!(!text.contains("geheim") && !text.contains("wrong@"), "{text}");
    }
    with(":geheim@").call(cmd("PING")).await.unwrap();
}
