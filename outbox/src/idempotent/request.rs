//! Requests under an idempotency key.

use std::{fmt, ops::ControlFlow, time::Duration};

use mainstay_core::{Classify, IntoError, Key, KeyError, OnReject};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    claim::{self, Ask, Claim, ClaimToken, Stored, to_json},
    external::{ErrIsUnknown, ExternalRun},
};
use crate::{
    Outbox, OutboxError, Tx,
    dialect::{Dialect, KeyChange},
    error::During,
    gate::OpenTx,
    tx::{Opening, Plan, Run, Step},
};
use sqlx::Database;

/// A piece of work under an idempotency key, made by [`Outbox::idempotent`].
///
/// - [`run`](Self::run): claim, body and stored result commit in one transaction.
/// - [`run_external`](Self::run_external): `started` commits first, then the effect happens outside of any transaction.
/// - [`claim`](Self::claim): the same, step by step.
#[must_use = "a request does nothing until it runs"]
pub struct IdempotentRequest<DB: Database = sqlx::Sqlite, C = ErrIsUnknown> {
    outbox: Outbox<DB>,
    ask: Ask,
    classify: C,
}

impl<DB: Dialect> IdempotentRequest<DB> {
    pub(crate) fn new(outbox: Outbox<DB>, key: Result<Key, KeyError>) -> Self {
        let (ttl, lease) = (outbox.config().idempotency_ttl, outbox.config().external_lease);
        let ask = Ask { key, fingerprint: None, ttl, lease };
        Self { outbox, ask, classify: ErrIsUnknown }
    }
}

impl<DB: Dialect, C> IdempotentRequest<DB, C> {
    /// The parameters of the request. The same key with other parameters is a conflict.
    pub fn fingerprint<T: Serialize + ?Sized>(mut self, parameters: &T) -> Self {
        self.ask.fingerprint = Some(claim::fingerprint(parameters));
        self
    }

    /// How long the key is remembered.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ask.ttl = ttl;
        self
    }

    /// How long an external effect may take before later requests are told `Unknown`.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.ask.lease = lease;
        self
    }

    /// Says what an external effect's result means; see [`run_external`](Self::run_external).
    pub fn classify<K>(self, classify: K) -> IdempotentRequest<DB, K> {
        IdempotentRequest { outbox: self.outbox, ask: self.ask, classify }
    }

    /// Runs `body` in a transaction that also stores its result under the key.
    ///
    /// Of concurrent requests one runs, the others wait for it and get the stored result. If the body
    /// returns `Err` or is dropped, everything rolls back and the key is free: errors are not stored.
    ///
    /// # Errors
    ///
    /// The body's own, and by `From`: [`OutboxError::Conflict`], those of
    /// [`TxRequest::run`](crate::TxRequest::run), and those of a key that an external effect left behind.
    ///
    /// # Cancel safety
    ///
    /// See [`Run`].
    ///
    /// # Examples
    ///
    #[cfg_attr(feature = "sqlite", doc = "```")]
    #[cfg_attr(not(feature = "sqlite"), doc = "```text")]
    /// # use mainstay_outbox::{Message, Outbox, OutboxError, key};
    /// async fn submit(outbox: &Outbox, order: u64, cents: u64) -> Result<String, OutboxError> {
    ///     outbox
    ///         .idempotent(key!("submit:{}", order))
    ///         .fingerprint(&(order, cents))
    ///         .run(|mut tx| async move {
    ///             // .. the order's row, through `tx` ..
    ///             tx.enqueue(Message::json("order.accepted", &order)?).await?;
    ///             Ok(format!("order {order} accepted"))
    ///         })
    ///         .await
    /// }
    /// ```
    pub fn run<B, F, T, E>(self, body: B) -> Run<DB, B, IdempotentPlan<DB, IntoError>>
    where
        B: FnOnce(Tx<DB>) -> F,
        F: Future<Output = Result<T, E>>,
        T: Serialize + DeserializeOwned,
        E: From<OutboxError>,
    {
        self.run_or(IntoError, body)
    }

    /// As [`run`](Self::run), with `reject` deciding what this crate's errors become.
    pub fn run_or<R, B, F, T, E>(self, reject: R, body: B) -> Run<DB, B, IdempotentPlan<DB, R>>
    where
        R: OnReject<OutboxError, T, E>,
        B: FnOnce(Tx<DB>) -> F,
        F: Future<Output = Result<T, E>>,
        T: Serialize + DeserializeOwned,
    {
        let plan = IdempotentPlan { outbox: self.outbox.clone(), token: None, reject };
        let open = open(self.outbox.clone(), self.ask);
        Run::new(self.outbox, plan, open, body)
    }

    /// Does `work`, an effect outside of the database, at most once per key.
    ///
    /// `started` is committed before `work` is first polled. A request that finds a key `started` gets
    /// [`OutboxError::InProgress`] while the lease runs, [`OutboxError::KeyUnknown`] afterwards: the work is never run
    /// again by taking over. `Ok` is stored. What an `Err` means is asked of the classifier: `Failure`
    /// and `Ignored` free the key, `Unknown` keeps it unknown. The default holds every `Err` for unknown.
    ///
    /// # Errors
    ///
    /// The work's own, and by `From` an [`OutboxError`]. If the result cannot be stored after the work
    /// succeeded, the call returns that error and the key becomes unknown.
    ///
    /// # Cancel safety
    ///
    /// Dropped while `work` runs, the key becomes unknown when the lease is over.
    pub fn run_external<F, T, E>(self, work: F) -> ExternalRun<DB, F, C, IntoError>
    where
        F: Future<Output = Result<T, E>>,
        T: Serialize + DeserializeOwned,
        E: From<OutboxError>,
        C: Classify<T, E>,
    {
        self.run_external_or(IntoError, work)
    }

    /// As [`run_external`](Self::run_external), with `reject` deciding what this crate's errors become.
    pub fn run_external_or<R, F, T, E>(self, reject: R, work: F) -> ExternalRun<DB, F, C, R>
    where
        R: OnReject<OutboxError, T, E>,
        F: Future<Output = Result<T, E>>,
        T: Serialize + DeserializeOwned,
        C: Classify<T, E>,
    {
        let key = self.ask.key.clone();
        let (outbox, ask) = (self.outbox, self.ask);
        let claim = async move { claim_committed(&outbox, &ask).await };
        ExternalRun::new(key, claim, work, self.classify, reject)
    }

    /// Claims the key and commits that; the caller does the work and finishes with the token.
    ///
    /// # Errors
    ///
    /// [`OutboxError::InvalidKey`], [`OutboxError::Busy`], [`OutboxError::Database`].
    pub async fn claim(self) -> Result<Claim<DB>, OutboxError> {
        claim_committed(&self.outbox, &self.ask).await
    }

    /// Stores what an inquiry found out about an unknown key; `false` if the key is not unknown.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    pub async fn resolve_done<T: Serialize + Sync + ?Sized>(
        self,
        value: &T,
    ) -> Result<bool, OutboxError> {
        let result = to_json(value)?;
        let now = self.outbox.now();
        self.resolve(KeyChange::ResolveDone { result: &result, now }).await
    }

    /// Frees an unknown key after an inquiry found that nothing had happened; `false` if it is not
    /// unknown.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    pub async fn resolve_retry(self) -> Result<bool, OutboxError> {
        let now = self.outbox.now();
        self.resolve(KeyChange::ResolveRetry { now }).await
    }

    async fn resolve(&self, change: KeyChange<'_>) -> Result<bool, OutboxError> {
        let key = self.ask.key.clone()?;
        let mut open = self.outbox.begin().await?;
        let changed = DB::key_change(open.conn(), key.as_str(), change).await;
        let changed = changed.during("resolve an idempotency key")?;
        open.commit().await?;
        Ok(changed)
    }
}

impl<DB: Database, C> fmt::Debug for IdempotentRequest<DB, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotentRequest").field("key", &self.ask.key).finish_non_exhaustive()
    }
}

async fn claim_committed<DB: Dialect>(
    outbox: &Outbox<DB>,
    ask: &Ask,
) -> Result<Claim<DB>, OutboxError> {
    let mut open = outbox.begin().await?;
    let found = claim::claim(outbox, open.conn(), ask).await?;
    open.commit().await?;
    Ok(found)
}

/// Opens the body's transaction with the key claimed in it.
async fn open<DB: Dialect>(outbox: Outbox<DB>, ask: Ask) -> Result<Opening<DB>, OutboxError> {
    let mut open = outbox.begin().await?;
    let found = claim::claim(&outbox, open.conn(), &ask).await?;
    let refused = match found {
        Claim::First(token) => return Ok(Opening::Claimed(open, Box::new(token))),
        Claim::Replay(Stored(bytes)) => {
            open.roll_back().await;
            return Ok(Opening::Stored(bytes));
        }
        refused => refused,
    };
    // A key found lapsed is marked so.
    open.commit().await?;
    Err(refusal(&refused, ask.key?))
}

/// The error of a claim that is neither first nor a replay.
pub(super) fn refusal<DB: Dialect>(claim: &Claim<DB>, key: Key) -> OutboxError {
    match claim {
        Claim::Conflict => OutboxError::Conflict { key },
        Claim::InProgress { retry_after } => {
            OutboxError::InProgress { key, retry_after: *retry_after }
        }
        Claim::First(_) | Claim::Replay(_) | Claim::Unknown => OutboxError::KeyUnknown { key },
    }
}

/// Stores the body's result and commits on `Ok`. Names the type of [`IdempotentRequest::run`]'s future.
pub struct IdempotentPlan<DB: Dialect, R> {
    outbox: Outbox<DB>,
    token: Option<Box<ClaimToken<DB>>>,
    reject: R,
}

impl<DB, R, T, E> Plan<DB, Result<T, E>> for IdempotentPlan<DB, R>
where
    DB: Dialect,
    R: OnReject<OutboxError, T, E>,
    T: Serialize + DeserializeOwned,
{
    type Output = Result<T, E>;

    fn opened(
        &mut self,
        opening: Result<Opening<DB>, OutboxError>,
    ) -> ControlFlow<Self::Output, OpenTx<DB>> {
        match opening {
            Ok(Opening::Proceed(open)) => ControlFlow::Continue(open),
            Ok(Opening::Claimed(open, token)) => {
                self.token = Some(token);
                ControlFlow::Continue(open)
            }
            Ok(Opening::Stored(bytes)) => ControlFlow::Break(match Stored(bytes).json() {
                Ok(value) => Ok(value),
                Err(error) => self.reject.on_reject(error),
            }),
            Ok(Opening::Done) => unreachable!("an idempotency key stores a result"),
            Err(error) => ControlFlow::Break(self.reject.on_reject(error)),
        }
    }

    fn close(&mut self, mut open: OpenTx<DB>, out: &Result<T, E>) -> Step<Result<(), OutboxError>> {
        let result = out.as_ref().ok().map(to_json);
        let (outbox, token) = (self.outbox.clone(), self.token.take());
        Box::pin(async move {
            let (Some(result), Some(token)) = (result, token) else {
                open.roll_back().await;
                return Ok(());
            };
            token.store(open.conn(), &result?).await?;
            open.commit().await?;
            outbox.wake();
            Ok(())
        })
    }

    fn finish(&mut self, closed: Result<(), OutboxError>, out: Result<T, E>) -> Result<T, E> {
        match (closed, out) {
            (_, Err(error)) => Err(error),
            (Ok(()), Ok(value)) => Ok(value),
            (Err(error), Ok(_)) => self.reject.on_reject(error),
        }
    }
}

impl<DB: Dialect, R> fmt::Debug for IdempotentPlan<DB, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotentPlan")
    }
}
