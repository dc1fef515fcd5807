//! Takes an order once, and pays it once.
//!
//! The rules, and who keeps them:
//!
//! - The same click is one order: `#[idempotent]` stores the order and the answer in one transaction.
//! - One thing at a time for a customer: `#[lock]` encloses "check, call, update".
//! - What is written down is written before and after the call, never during it: each
//!   `#[transactional]` function is a step of its own inside the lock.
//! - An event exists exactly if the payment does: it is enqueued in the payment's transaction.
//! - Whatever becomes of the request that brought an order, its follow-up message ends it.

use mainstay::{idempotent, lock, lock::Locks, outbox::Outbox, transactional};
use sqlx::SqlitePool;

use super::{
    bank::Bank,
    error::{BankError, PayError},
    follow_up, ledger,
    line::Found,
    orders::Order,
    stage::{Ending, Stage},
};
use crate::api::{BankNotice, OrderAnswer, Status, SubmitOrder};

/// The shop. A clone is the same shop.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    pub(super) pool: SqlitePool,
    pub(super) outbox: Outbox,
    pub(super) locks: Locks,
    pub(super) bank: Bank,
}

impl Shop {
    /// Takes an order and pays it. The customer may hang up at any moment and come again.
    pub(super) async fn submit(
        &self,
        key: &str,
        order: &SubmitOrder,
    ) -> Result<OrderAnswer, PayError> {
        let accepted = self.accept(key, order).await?;
        if accepted.status == Status::Refused {
            return Ok(accepted);
        }
        self.pay(&order.customer, &order.order_id).await
    }

    /// Once for each key: the order, the message that follows it up, and this answer.
    #[idempotent(with = self.outbox, key = "submit:{key}", fingerprint = order, ttl = "24h", tx = tx)]
    async fn accept(&self, key: &str, order: &SubmitOrder) -> Result<OrderAnswer, PayError> {
        let order = Order::insert(&mut tx, order).await?;
        if !order.is_final() {
            tx.enqueue(follow_up::message(&order)?).await?;
        }
        Ok(order.answer())
    }

    #[lock(with = self.locks, key = "customer:{customer}", wait = "250ms")]
    async fn pay(&self, customer: &str, order_id: &str) -> Result<OrderAnswer, PayError> {
        let order = self.find(order_id).await?;
        if order.stage != Stage::Accepted {
            // Somebody else was here. If they went away in the middle, the follow-up asks the bank.
            return Ok(order.answer());
        }
        match self.charge(&order).await {
            Ok(order) => Ok(order.answer()),
            // Busy is not failure: the order is taken, and followed up when the bank can be called.
            Err(PayError::Bank(_)) => Ok(order.answer()),
            Err(error) => Err(error),
        }
    }

    /// Brings an order to its end, whoever left it where it stands.
    #[lock(with = self.locks, key = "customer:{customer}", wait = "50ms")]
    pub(super) async fn finish(&self, customer: &str, order_id: &str) -> Result<(), PayError> {
        let order = self.find(order_id).await?;
        let order = match order.stage {
            Stage::Accepted => self.charge(&order).await?,
            // Nobody holds the lock any more, so whoever charged it cannot tell.
            Stage::Charging | Stage::Unknown => self.ask(&order).await?,
            Stage::Paid | Stage::Refused => order,
        };
        if order.is_final() { Ok(()) } else { Err(PayError::Unfinished { order: order.id }) }
    }

    /// Charges an order that is certainly not charged.
    async fn charge(&self, order: &Order) -> Result<Order, PayError> {
        let order = self.reserve(order).await?;
        match self.bank.charge((&order).into()).await {
            Ok(receipt) => self.settle(&order, Ending::Charged, Some(&receipt.charge_id)).await,
            Err(BankError::Declined(why)) => {
                self.settle(&order, Ending::Declined, Some(&why)).await
            }
            Err(BankError::NoAnswer(_)) => self.settle(&order, Ending::Unknown, None).await,
            Err(not_sent) => {
                self.settle(&order, Ending::NotSent, None).await?;
                Err(not_sent.into())
            }
        }
    }

    /// Asks the bank about an attempt that nobody saw the end of, before anything is charged again.
    async fn ask(&self, order: &Order) -> Result<Order, PayError> {
        match self.bank.inquire(order.into()).await? {
            Found::Charged { charge_id } => {
                self.settle(order, Ending::Found, Some(&charge_id)).await
            }
            Found::InProgress => Ok(order.clone()),
            Found::Nothing => {
                // The bank refuses that attempt from now on, should it still be under way.
                let order = self.settle(order, Ending::Nothing, None).await?;
                self.charge(&order).await
            }
        }
    }

    /// Takes the bank's notice of a charge, which comes early, twice, or never.
    pub(super) async fn take_notice(&self, notice: &BankNotice) -> Result<(), PayError> {
        let order = self.find(&notice.reference).await?;
        self.note(&order.customer, notice).await
    }

    #[lock(with = self.locks, key = "customer:{customer}", wait = "1s")]
    async fn note(&self, customer: &str, notice: &BankNotice) -> Result<(), PayError> {
        let order = self.find(&notice.reference).await?;
        if matches!(order.stage, Stage::Charging | Stage::Unknown) {
            self.settle(&order, Ending::Told, Some(&notice.charge_id)).await?;
        }
        Ok(())
    }

    /// First transaction: a call is about to be made.
    #[transactional(with = self.outbox, tx = tx)]
    async fn reserve(&self, order: &Order) -> Result<Order, PayError> {
        order.begin(&mut tx).await
    }

    /// Second transaction: the attempt has ended so; if the order is paid, the ledger hears of it.
    #[transactional(with = self.outbox, tx = tx)]
    async fn settle(
        &self,
        order: &Order,
        ending: Ending,
        detail: Option<&str>,
    ) -> Result<Order, PayError> {
        let order = order.end(&mut tx, ending, detail).await?;
        if order.stage == Stage::Paid {
            tx.enqueue(ledger::paid(&order)?).await?;
        }
        Ok(order)
    }

    /// Where an order stands.
    pub(super) async fn find(&self, order_id: &str) -> Result<Order, PayError> {
        Order::find(&self.pool, order_id).await
    }
}
