//! The message that ends every order, whatever becomes of the request that brought it.
//!
//! It is stored with the order, for a little later. Mostly it finds the order paid. If the customer hung up, the
//! process died, the bank did not answer or could not be called, it finds the order where it was left and goes
//! on from there. It comes again until the order has ended; being early or in the way burns no attempt.
//!
//! It calls the bank, so it must not run inside an inbox's transaction: it has a lane of its own with a
//! publisher of its own. What it does is safe to repeat.

use std::time::Duration;

use mainstay::outbox::{Confirm, Message, OutboxError, Outgoing, PublishError, Publisher};
use serde::{Deserialize, Serialize};

use super::{error::PayError, orders::Order, shop::Shop};

/// Lane of follow-ups: a slow bank does not hold up the ledger's events.
pub(super) const LANE: &str = "follow-up";

/// What follow-ups are called.
pub(super) const TOPIC: &str = "order.finish";

/// By then an undisturbed order is paid.
const LATER: Duration = Duration::from_millis(700);

/// Names the order to finish.
#[derive(Debug, Serialize, Deserialize)]
struct Finish {
    customer: String,
    order_id: String,
}

/// The follow-up of an order.
pub(super) fn message(order: &Order) -> Result<Message, OutboxError> {
    let finish = Finish { customer: order.customer.clone(), order_id: order.id.clone() };
    Ok(Message::json(TOPIC, &finish)?.lane(LANE).delay(LATER))
}

/// Finishes the orders that follow-ups name.
#[derive(Clone, Debug)]
pub(super) struct FollowUp(pub(super) Shop);

impl Publisher for FollowUp {
    async fn publish(&self, message: &Outgoing) -> Result<Confirm, PublishError> {
        let Finish { customer, order_id } = message.json().map_err(PayError::from)?;
        self.0.finish(&customer, &order_id).await?;
        Ok(Confirm::acknowledged())
    }
}
