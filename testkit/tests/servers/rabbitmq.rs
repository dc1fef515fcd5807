use mainstay_testkit::rabbitmq::RabbitMq;

#[tokio::test]
async fn rabbitmq_keeps_a_virtual_host_through_a_kill() {
    let mut rabbitmq = RabbitMq::start().await.unwrap();
    rabbitmq.ctl(&["add_vhost", "kept"]).await.unwrap();
    rabbitmq.kill().await.unwrap();
    rabbitmq.ctl(&["list_vhosts"]).await.unwrap_err();
    rabbitmq.restart().await.unwrap();
    let hosts = rabbitmq.ctl(&["list_vhosts"]).await.unwrap();
    assert!(hosts.lines().any(|host| host == "kept"), "{hosts}");
}
