//! Election of one leader among candidates, on top of any locks.

mod leadership;
mod leading;

use std::{convert::Infallible, fmt, future::pending, pin::pin, sync::Arc, time::Duration};

use mainstay_core::{Backoff, IntoKey, Key, KeyError};
use tokio::{select, sync::watch};

use crate::{error::LockError, fence::Fence, handle::LockHandle, locks::Locks, terms::Reentrancy};

pub use leadership::Leadership;
pub use leading::Leading;

/// Elects one leader among all who campaign for the same name.
///
/// A leadership is a lock with a lease: it lasts as long as it is renewed, without an upper bound, and
/// ends by [`resign`](Leadership::resign), or when the leader's process dies, hangs, is suspended or cut
/// off for longer than the lease. A clone is the same candidate.
///
/// # How long nobody leads
///
/// | what happens to the leader | the next candidate leads |
/// |---|---|
/// | it resigns, or its leadership is dropped | at once: the lock goes to the head of the queue |
/// | its process dies or is cut off | when its lease ends, counted from its last renewal: after `lease` at most, and one round trip |
/// | it is suspended | the same; woken up, [`is_leading`](Leadership::is_leading) is false on the first call, and work under [`run`](Self::run) is dropped at its next await |
/// | an operator takes the lock away ([`Locks::force_release`]) | at once |
/// | the backend is down | when it is back: meanwhile nobody leads for longer than their lease |
///
/// A candidate campaigns in the order of its arrival, so nobody who lost comes first again.
///
/// # What a leadership proves
///
/// As with every lease: that one leads at a time by the clocks of backend and leader, not that a paused
/// leader has stopped. What must not happen twice also checks the [term](Leadership::term), which rises
/// with every leader, where it is written.
///
/// # When the backend is down
///
/// [`run`](Self::run) goes on campaigning; [`campaign`](Self::campaign) returns the error.
///
/// # Cost
///
/// That of a lock: on Redis one round trip a campaign, and a share in a batched renewal every third of the
/// lease. [`leading`](Self::leading) asks nobody.
///
/// # Examples
///
/// ```
/// use mainstay_lock::{LockError, Locks, election::Election};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let locks = Locks::in_process();
/// let election = Election::new(&locks, "nightly-report").candidate_id("host-1");
///
/// // Campaigns, works while it leads, and campaigns again after a loss.
/// let report = election.run(|term| async move { format!("written in term {}", term.fence()) }).await?;
/// assert!(report.starts_with("written"));
///
/// // Or by hand.
/// let leadership = election.campaign().await?;
/// assert!(election.leading().is_leading());
/// assert_eq!(election.leader().await?.unwrap().candidate.as_deref(), Some("host-1"));
/// leadership.resign().await;
/// assert!(!election.leading().is_leading());
/// # Ok::<(), LockError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Election {
    locks: Locks,
    key: Result<Key, KeyError>,
    candidate: Option<Arc<str>>,
    lease: Option<Duration>,
    backoff: Backoff,
    terms: watch::Sender<Option<LockHandle>>,
}

/// Who leads, as seen from outside; a moment later it may be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leader {
    /// Who it is, if it said so: see [`Election::candidate_id`].
    pub candidate: Option<Arc<str>>,
    /// Its term.
    pub term: Fence,
    /// How long it has been leading.
    pub leading_for: Duration,
    /// When its lease ends, unless it is renewed.
    pub remaining: Duration,
}

impl Election {
    /// A candidate for the leadership called `key`, among all who use the same name in the same locks.
    ///
    /// It is the lock of that name: others may wait for it or take it as any lock.
    pub fn new(locks: &Locks, key: impl IntoKey) -> Self {
        Self {
            locks: locks.clone(),
            key: key.into_key(),
            candidate: None,
            lease: None,
            backoff: Backoff::exponential(Duration::from_millis(100), Duration::from_secs(5)),
            terms: watch::Sender::new(None),
        }
    }

    /// What others are told about who leads: a host, a pod; no secrets.
    #[must_use]
    pub fn candidate_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.candidate = Some(id.into());
        self
    }

    /// How long a leadership outlives its last renewal; that of the locks unless told.
    ///
    /// It bounds how long nobody leads after a leader died, and how long the backend may be silent
    /// before the leader gives up.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// How [`run`](Self::run) waits before it campaigns again where the backend did not answer;
    /// 100 ms to 5 s unless told.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Waits until this candidate leads, however long that takes.
    ///
    /// # Errors
    ///
    /// [`LockError::ShuttingDown`]; [`LockError::Backend`] and [`LockError::Unknown`] where the backend did
    /// not answer, and the campaign may be begun again; [`LockError::WouldDeadlock`] inside the scope of this
    /// very leadership; [`LockError::InsideTransaction`] and [`LockError::InvalidKey`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue, and resigns if it had just been elected.
    pub async fn campaign(&self) -> Result<Leadership, LockError> {
        let mut request = self.locks.lock(self.key.clone()).reentrancy(Reentrancy::Deny);
        request = request.wait(Duration::MAX).max_hold(Duration::MAX);
        if let Some(lease) = self.lease {
            request = request.lease(lease);
        }
        if let Some(candidate) = &self.candidate {
            request = request.metadata(candidate.clone());
        }
        let guard = request.await?;
        self.terms.send_replace(Some(guard.handle()));
        Ok(Leadership::new(guard))
    }

    /// Campaigns, runs `work` while this candidate leads, drops it when the leadership is lost, and
    /// campaigns again; returns what the work returns, once it comes to an end while leading.
    ///
    /// `work` is called anew for each term, with a view of the leadership: its fence is the term.
    ///
    /// # Errors
    ///
    /// [`LockError::ShuttingDown`] after [`Locks::shutdown`], and what no further attempt mends; where the
    /// backend does not answer it tries again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and then resigns in the background.
    pub async fn run<F, W>(&self, work: F) -> Result<W::Output, LockError>
    where
        F: FnMut(LockHandle) -> W,
        W: Future,
    {
        match self.lead(pending::<Infallible>(), work).await? {
            Ok(output) => Ok(output),
            Err(never) => match never {},
        }
    }

    /// As [`run`](Self::run), until `stop` is ready: then the work is dropped, the leadership given back and
    /// its release awaited, and `None` returned.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_until<F, W>(
        &self,
        stop: impl Future<Output = ()>,
        work: F,
    ) -> Result<Option<W::Output>, LockError>
    where
        F: FnMut(LockHandle) -> W,
        W: Future,
    {
        Ok(self.lead(stop, work).await?.ok())
    }

    /// Whether this candidate leads, to look at and to wait for.
    pub fn leading(&self) -> Leading {
        Leading::new(self.terms.subscribe())
    }

    /// Who leads, by asking the backend.
    ///
    /// # Errors
    ///
    /// As [`Locks::inspect`].
    pub async fn leader(&self) -> Result<Option<Leader>, LockError> {
        let holder = self.locks.inspect(self.key.clone()).await?.holder;
        Ok(holder.map(|holder| Leader {
            candidate: holder.metadata,
            term: holder.fence,
            leading_for: holder.held_for,
            remaining: holder.remaining,
        }))
    }

    async fn lead<S, F, W>(
        &self,
        stop: S,
        mut work: F,
    ) -> Result<Result<W::Output, S::Output>, LockError>
    where
        S: Future,
        F: FnMut(LockHandle) -> W,
        W: Future,
    {
        let mut stop = pin!(stop);
        loop {
            let leadership = select! {
                biased;
                stopped = &mut stop => return Ok(Err(stopped)),
                elected = self.insist() => elected?,
            };
            // The work is dropped before the leadership is given back.
            let end = {
                let working = leadership.run(work(leadership.handle()));
                select! {
                    biased;
                    stopped = &mut stop => Some(Err(stopped)),
                    done = working => done.ok().map(Ok),
                }
            };
            if let Some(end) = end {
                leadership.resign().await;
                return Ok(end);
            }
        }
    }

    /// Campaigns until the backend answers.
    async fn insist(&self) -> Result<Leadership, LockError> {
        let (mut attempt, mut waited) = (0, Duration::ZERO);
        loop {
            match self.campaign().await {
                Err(error) if error.retry_after().is_some() => {
                    attempt += 1;
                    waited = self.backoff.delay(attempt, waited);
                    self.locks.clock().sleep(waited).await;
                }
                outcome => return outcome,
            }
        }
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut election = f.debug_struct("Election");
        election.field("key", &self.key).field("candidate", &self.candidate);
        election.field("leading", &self.leading().term()).finish_non_exhaustive()
    }
}
