//! The small examples run to their end, in process and on a Redis.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, reason = "each example has a `main` of its own")]
#![allow(clippy::duplicate_mod, reason = "each includes what they share")]

#[path = "../examples/idempotent_submit.rs"]
mod idempotent_submit;
#[path = "../examples/order_payment.rs"]
mod order_payment;
#[path = "../examples/singleton_job.rs"]
mod singleton_job;

use mainstay_testkit::redis::Single;

#[tokio::test]
async fn idempotent_submit() {
    idempotent_submit::run(None).await.unwrap();
    let server = Single::start().await.unwrap();
    idempotent_submit::run(Some(&server.url())).await.unwrap();
}

#[tokio::test]
async fn order_payment() {
    order_payment::run(None).await.unwrap();
    let server = Single::start().await.unwrap();
    order_payment::run(Some(&server.url())).await.unwrap();
}

#[tokio::test]
async fn singleton_job() {
    singleton_job::run(None).await.unwrap();
    let server = Single::start().await.unwrap();
    singleton_job::run(Some(&server.url())).await.unwrap();
}
