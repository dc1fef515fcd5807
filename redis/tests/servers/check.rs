//! The look at a server before it is relied on.

use mainstay_redis::{Finding, Redis, RedisError, redis::cmd};
use mainstay_testkit::redis::{Cluster, Single};

use crate::server;

#[tokio::test]
async fn a_server_as_it_should_be_has_no_findings() {
    let server = Single::start_durable().await.unwrap();
    let redis = Redis::open(&server.url()).unwrap();
    let check = redis.check().replicas(0).durable().allowed(cmd("GET").arg("k").take());
    assert_eq!(check.run().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let (server, redis) = server().await;
    server.command(&["CONFIG", "SET", "maxmemory", "100mb"]).await.unwrap();
    assert_eq!(redis.check().run().await.unwrap(), [], "nothing more is counted on");
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await.unwrap();
    let findings = redis.check().replicas(2).durable().run().await.unwrap();
    assert!(matches!(&findings[0], Finding::Replicas { connected: 0, expected: 2, .. }));
    assert!(matches!(&findings[1], Finding::Evicts { policy, .. } if policy == "allkeys-lru"));
    assert!(matches!(&findings[2], Finding::NotDurable { .. }));
    assert_eq!(findings.len(), 3, "{findings:?}");
    let address = server.addr().to_string();
    assert!(findings.iter().all(|finding| finding.server() == address), "{findings:?}");
    assert!(
        findings[1].to_string().contains("set `maxmemory-policy noeviction`"),
        "{}",
        findings[1]
    );
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let findings = redis.check().run().await.unwrap();
    assert!(matches!(&findings[0], Finding::Replica { .. }), "{findings:?}");
}

#[tokio::test]
async fn commands_that_the_user_may_not_use_are_named() {
    let (server, _) = server().await;
    let rule = "ACL SETUSER anna on >pw ~a:* +hello +client|info +get +script|load";
    server.command(&rule.split(' ').collect::<Vec<_>>()).await.unwrap();
    let redis = Redis::builder(&server.url()).unwrap().credentials(Some("anna"), "pw");
    let redis = redis.build().unwrap();
    let check = redis.check().allowed(cmd("GET").arg("a:1").take());
    let findings = check.allowed(cmd("GET").arg("b:1").take()).run().await.unwrap();
    let named = |finding: &Finding| match finding {
        Finding::NotAllowed { command, .. } => command.clone(),
        other => panic!("{other}"),
    };
    let named: Vec<_> = findings.iter().map(named).collect();
    let sections = ["INFO SERVER", "INFO REPLICATION", "INFO MEMORY", "INFO PERSISTENCE"];
    assert_eq!(named[..4], sections);
    assert_eq!(named[4..], ["EVALSHA", "GET"], "{findings:?}");
}

#[tokio::test]
async fn every_primary_of_a_cluster_is_looked_at() {
    let cluster = Cluster::start().await.unwrap();
    let redis = Redis::cluster(cluster.urls()).unwrap().build().unwrap();
    let findings = redis.check().replicas(7).run().await.unwrap();
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert_eq!(redis.check().replicas(1).run().await.unwrap(), []);
    let nobody = Redis::open("redis://127.0.0.1:1/").unwrap();
    let error = nobody.check().run().await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error}");
}
