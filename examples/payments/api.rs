//! What the order service speaks with its customers, whichever service runs.
//!
//! | request | answer |
//! |---|---|
//! | `POST /orders` with header `idempotency-key` | 200 [`OrderAnswer`] |
//! | `GET /orders/{id}` | 200 [`OrderAnswer`], or 404 if it never arrived |
//! | `POST /callbacks/bank` from the bank | 200 once it is recorded |
//!
//! Everything else is a [`Problem`]: 409 while the same key is being worked on,
//! 422 when a key comes again with other contents, 429 and 503 when the service
//! is busy or protects itself, 500 when it failed. A customer repeats a request
//! with the same key until the answer is final.

use serde::{Deserialize, Serialize};

use crate::orders::Order;

/// Header that names one intention of a customer, however often it is sent.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Body of `POST /orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubmitOrder {
    /// The order's name.
    pub(crate) order_id: String,
    /// Who pays.
    pub(crate) customer: String,
    /// Day of the purchase, YYYYMMDD.
    pub(crate) date: String,
    /// Number of CDs.
    pub(crate) cds: u32,
    /// Amount in cents.
    pub(crate) cents: u64,
}

impl From<&Order> for SubmitOrder {
    fn from(order: &Order) -> Self {
        Self {
            order_id: order.id.clone(),
            customer: order.customer.clone(),
            date: order.date.clone(),
            cds: order.cds,
            cents: order.cents,
        }
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Charged. Final.
    Paid,
    /// Not charged and never will be. Final.
    Refused,
    /// The bank's answer is missing and is being asked for: look again later.
    Pending,
}

/// What a customer is told about an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderAnswer {
    /// The order's name.
    pub(crate) order_id: String,
    /// Where it stands.
    pub(crate) status: Status,
    /// Amount in cents.
    pub(crate) cents: u64,
    /// The bank's name for the charge, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) charge_id: Option<String>,
    /// Why the order was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Any answer that is not about the order itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// What is wrong, for a person.
    pub(crate) error: String,
    /// When it makes sense to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
}

/// Body of `POST /callbacks/bank`: the bank says what it charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BankNotice {
    /// The bank's name for this notice; a repetition carries the same one.
    pub(crate) notice_id: String,
    /// The reference that came with the charge: the order's name.
    pub(crate) reference: String,
    /// The bank's name for the charge.
    pub(crate) charge_id: String,
    /// Amount in cents.
    pub(crate) cents: u64,
}
