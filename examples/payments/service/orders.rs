//! Orders as the service remembers them, and the attempts to charge them.

use sqlx::{SqliteConnection, SqlitePool};

use super::{
    error::PayError,
    stage::{Ending, Stage},
};
use crate::api::{OrderAnswer, Status, SubmitOrder};

/// An order.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) customer: String,
    pub(super) cents: u64,
    pub(super) stage: Stage,
    /// Number of the latest attempt to charge it.
    pub(super) attempt: i64,
    version: i64,
    charge_id: Option<String>,
    reason: Option<String>,
}

type Row = (String, i64, String, i64, i64, Option<String>, Option<String>);

impl Order {
    /// Writes a new order down.
    pub(super) async fn insert(
        conn: &mut SqliteConnection,
        new: &SubmitOrder,
    ) -> Result<Self, PayError> {
        let refused = (new.cents == 0).then(|| "amount is zero".to_owned());
        let order = Self {
            id: new.order_id.clone(),
            customer: new.customer.clone(),
            cents: new.cents,
            stage: if refused.is_some() { Stage::Refused } else { Stage::Accepted },
            attempt: 0,
            version: 1,
            charge_id: None,
            reason: refused,
        };
        let done = sqlx::query(include_str!("sql/insert_order.sql"))
            .bind(&order.id)
            .bind(&order.customer)
            .bind(i64::try_from(order.cents)?)
            .bind(order.stage.as_str())
            .bind(&order.reason)
            .execute(conn)
            .await?;
        if done.rows_affected() == 0 { Err(PayError::Taken { order: order.id }) } else { Ok(order) }
    }

    /// Reads an order.
    pub(super) async fn find(pool: &SqlitePool, id: &str) -> Result<Self, PayError> {
        let row: Option<Row> = sqlx::query_as(include_str!("sql/find_order.sql"))
            .bind(id)
            .fetch_optional(pool)
            .await?;
        let row = row.ok_or_else(|| PayError::NotFound { order: id.to_owned() })?;
        let (customer, cents, stage, version, attempt, charge_id, reason) = row;
        let (id, cents) = (id.to_owned(), u64::try_from(cents)?);
        let stage = Stage::parse(&stage);
        Ok(Self { id, customer, cents, stage, attempt, version, charge_id, reason })
    }

    /// Opens the next attempt to charge it.
    pub(super) async fn begin(&self, conn: &mut SqliteConnection) -> Result<Self, PayError> {
        let next = Self { stage: Stage::Charging, attempt: self.attempt + 1, ..self.clone() };
        let next = self.replace(conn, next).await?;
        sqlx::query(include_str!("sql/open_attempt.sql"))
            .bind(&next.id)
            .bind(next.attempt)
            .execute(conn)
            .await?;
        Ok(next)
    }

    /// Ends the latest attempt; `detail` is the bank's name for the charge, or why it declined.
    pub(super) async fn end(
        &self,
        conn: &mut SqliteConnection,
        ending: Ending,
        detail: Option<&str>,
    ) -> Result<Self, PayError> {
        self.note(conn, ending).await?;
        let detail = detail.map(str::to_owned);
        let next = match ending {
            Ending::Charged | Ending::Found | Ending::Told => {
                Self { stage: Stage::Paid, charge_id: detail, ..self.clone() }
            }
            Ending::Declined => Self { stage: Stage::Refused, reason: detail, ..self.clone() },
            Ending::NotSent | Ending::Nothing => Self { stage: Stage::Accepted, ..self.clone() },
            Ending::Unknown => Self { stage: Stage::Unknown, ..self.clone() },
        };
        self.replace(conn, next).await
    }

    async fn note(&self, conn: &mut SqliteConnection, ending: Ending) -> Result<(), PayError> {
        sqlx::query(include_str!("sql/close_attempt.sql"))
            .bind(ending.as_str())
            .bind(&self.id)
            .bind(self.attempt)
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Puts `next` in this row's place, unless somebody changed the row meanwhile.
    async fn replace(&self, conn: &mut SqliteConnection, next: Self) -> Result<Self, PayError> {
        let done = sqlx::query(include_str!("sql/move_order.sql"))
            .bind(next.stage.as_str())
            .bind(next.attempt)
            .bind(&next.charge_id)
            .bind(&next.reason)
            .bind(&self.id)
            .bind(self.version)
            .execute(conn)
            .await?;
        if done.rows_affected() == 0 {
            return Err(PayError::Changed { order: self.id.clone() });
        }
        Ok(Self { version: self.version + 1, ..next })
    }

    /// Nothing will happen to it any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.stage, Stage::Paid | Stage::Refused)
    }

    /// The bank's word for the latest attempt.
    pub(super) fn attempt_id(&self) -> String {
        format!("{}.{}", self.id, self.attempt)
    }

    /// What the customer is told.
    pub(super) fn answer(&self) -> OrderAnswer {
        OrderAnswer {
            order_id: self.id.clone(),
            status: match self.stage {
                Stage::Accepted | Stage::Charging | Stage::Unknown => Status::Pending,
                Stage::Paid => Status::Paid,
                Stage::Refused => Status::Refused,
            },
            cents: self.cents,
            charge_id: self.charge_id.clone(),
            reason: self.reason.clone(),
        }
    }
}
