//! Transactional outbox, relay, inbox, idempotency keys, dead letters and redrive.
//!
//! A service that writes to its database and then tells the world about it can die between the two. An
//! outbox stores the message in the same transaction as the business rows; a relay sends it afterwards, as often
//! as needed, and an inbox on the other side makes sure that it has its effect once.
//!
//! # Examples
//!
//! An order is stored together with its message; the relay hands it to a consumer in this process,
//! whose own rows commit with the inbox's.
//!
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(not(feature = "sqlite"), doc = "```text")]
//! use mainstay_outbox::{Bus, Delivery, HandlerError, Inbox, Message, Outbox, OutboxError, Relay, Router, sqlite};
//!
//! async fn book(mut delivery: Delivery) -> Result<(), HandlerError> {
//!     let cents: i64 = delivery.json()?;
//!     sqlx::query("INSERT INTO ledger (cents) VALUES (?)").bind(cents).execute(&mut **delivery.tx()).await?;
//!     Ok(())
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("shop.db");
//! let pool = sqlite::pool(path).await?;
//! sqlx::raw_sql("CREATE TABLE orders (cents INTEGER); CREATE TABLE ledger (cents INTEGER)").execute(&pool).await?;
//! let outbox = Outbox::sqlite(pool.clone());
//! outbox.migrate().await?;
//!
//! outbox.transaction().run(|mut tx| async move {
//!     sqlx::query("INSERT INTO orders (cents) VALUES (?)").bind(1999).execute(&mut *tx).await.expect("a table");
//!     tx.enqueue(Message::json("order.paid", &1999)?.key("customer:7")).await?;
//!     Ok::<_, OutboxError>(())
//! }).await?;
//!
//! let consumer = Router::new().route("order.paid", book);
//! let bus = Bus::new().consumer(Inbox::new(&outbox, "ledger"), consumer);
//! Relay::new(&outbox, bus).run_until_idle().await?; // a service calls `start()` instead
//!
//! let booked: i64 = sqlx::query_scalar("SELECT SUM(cents) FROM ledger").fetch_one(&pool).await?;
//! assert_eq!(booked, 1999);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! | what happens | what holds |
//! |---|---|
//! | the transaction rolls back, or the process dies before its commit | the message never existed |
//! | the relay dies | what it had claimed, one batch at most, is sent again under the same ids |
//! | two relays believe to own a lane | one of them: every write names the lease's epoch |
//! | a message fails | it is tried again within its attempt and age budgets; later messages of its key wait, other keys go on |
//! | the publisher is down | the lane pauses and burns no attempts |
//! | a budget is spent | dead letter with every attempt; it can be redriven into its old place, or discarded |
//! | a message is delivered twice | the inbox absorbs the second |
//! | a message kills its consumer | its deliveries are counted before the handler runs; over budget it is dead |
//! | a request comes twice | the stored result; with other parameters an error |
//! | an external effect's end is not known | `Unknown`: it is never run again by taking over |
//!
//! The leases of relays in different processes are compared by calendar time. A clock that steps can make two
//! relays send the same messages for a while; it cannot make them lose or skip one.
//!
//! # Features
//!
//! - `sqlite` (default): the embedded engine, module `sqlite`.
//! - `macros` (default): `#[transactional]` and `#[idempotent]`.
//! - `tower` (default): `InboxLayer`.

mod config;
mod consumer;
mod dead;
mod dialect;
mod envelope;
mod error;
mod gate;
mod idempotent;
mod message;
mod observe;
mod outbox;
mod publisher;
mod relay;
mod spawn;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod sync;
#[cfg(feature = "tower")]
mod tower;
mod tx;

pub use config::{OnDead, OutboxConfig, Retention, RetryPolicy};
pub use consumer::{
    Bus, Delivery, Handled, HandlerError, Inbox, InboxPlan, Incoming, Router, WithDelivery,
};
pub use dead::{
    Attempt, DeadLetter, DeadLetters, DeadPosition, Filter, Page, Redrive, RedriveRecord, Redriven,
};
pub use dialect::Dialect;
pub use envelope::{DeathReason, Envelope, Headers, MessageId};
pub use error::{Failure, OutboxError};
pub use idempotent::{
    Claim, ClaimToken, ErrIsUnknown, ExternalRun, IdempotentPlan, IdempotentRequest, Stored,
};
pub use mainstay_core::{
    Backoff, Classify, Clock, ErrIsFailure, IntoError, IntoKey, Key, KeyError, ManualClock,
    OnReject, Outcome, With, key,
};
pub use message::{Enqueued, Message};
pub use observe::{Event, Health, Observer, Stats};
pub use outbox::{HasOutbox, Outbox, OutboxBuilder};
pub use publisher::{Confirm, FailureClass, Outgoing, PublishError, Publisher};
pub use relay::{Idle, Relay, RelayHandle};
#[cfg(feature = "tower")]
pub use tower::{InboxLayer, InboxService, ServiceBody};
pub use tx::{Run, Tx, TxPlan, TxRequest};

pub(crate) use publisher::Failed;

#[cfg(feature = "macros")]
pub use mainstay_macros::{idempotent, transactional};

#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
