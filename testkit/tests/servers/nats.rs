use mainstay_testkit::nats::Nats;

#[tokio::test]
async fn nats_keeps_a_stream_through_a_kill() {
    let mut nats = Nats::start().await.unwrap();
    let stream = r#"{"name":"ORDERS","subjects":["orders.*"],"storage":"file"}"#;
    let made = nats.request("$JS.API.STREAM.CREATE.ORDERS", stream).await;
    assert!(made.unwrap().contains("\"created\""));
    let stored = nats.request("orders.paid", "seven").await.unwrap();
    assert!(stored.contains("\"seq\":1"), "{stored}");

    nats.kill().await.unwrap();
    nats.request("orders.paid", "lost").await.unwrap_err();
    nats.restart().await.unwrap();
    let info = nats.request("$JS.API.STREAM.INFO.ORDERS", "").await.unwrap();
    assert!(info.contains("\"messages\":1"), "{info}");
}
