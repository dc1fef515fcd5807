//! Servers that tests share.

use std::net::SocketAddr;

use mainstay_testkit::{
    postgres::{self, query},
    redis::{self, Reply, command},
    unique,
};

#[tokio::test]
async fn redis_keeps_a_value() {
    let url = redis::shared().await.unwrap();
    let addr: SocketAddr =
        url.trim_start_matches("redis://").trim_end_matches('/').parse().unwrap();
    let key = unique("smoke");
    command(addr, &["SET", &key, "seven", "PX", "60000"]).await.unwrap();
    let value = command(addr, &["GET", &key]).await.unwrap();
    assert_eq!(value, Reply::Text("seven".to_owned()));
    let other = command(addr, &["GET", &unique("smoke")]).await.unwrap();
    assert_eq!(other, Reply::Nil);
}

#[tokio::test]
async fn postgres_keeps_a_row_in_a_database_of_its_own() {
    let url = postgres::fresh_database().await.unwrap();
    query(&url, "CREATE TABLE smoke (n int)").await.unwrap();
    query(&url, "INSERT INTO smoke VALUES (7), (8)").await.unwrap();
    let sum = query(&url, "SELECT count(*), sum(n) FROM smoke").await;
    assert_eq!(sum.unwrap(), "2|15");

    let other = postgres::fresh_database().await.unwrap();
    let error = query(&other, "SELECT * FROM smoke").await.unwrap_err();
    assert!(error.to_string().contains("smoke"), "{error}");
}
