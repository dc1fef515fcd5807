//! What goes wrong is told.

use mainstay_testkit::redis::Single;

#[tokio::test]
async fn a_server_that_ends_by_itself_is_told_from_one_that_is_slow() {
    let mut redis = Single::start().await.unwrap();
    redis.command(&["SHUTDOWN", "NOSAVE"]).await.unwrap_err();
    // It comes back on the same port: nothing else got it meanwhile.
    let addr = redis.addr();
    redis.restart().await.unwrap();
    assert_eq!(redis.addr(), addr);
    redis.command(&["PING"]).await.unwrap();
}
