//! One relay's work on its lane, turn by turn.

use std::time::Duration;

use mainstay_core::Moment;

use super::{Idle, Relay, chain::Published, chain::publish, pause::Pause};
use crate::{
    Event, FailureClass, Outbox, OutboxError, Publisher,
    dialect::{Batch, Claim, Claimed, Dialect, Fate, Item, Lease, Purge, Settlement},
    error::During,
    outbox::{Membership, millis},
};

/// Rows of a kind removed at once.
const PURGE_ROWS: u32 = 500;
/// Time between two purges that found little.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// How often a batch is settled before it is left to recovery.
const SETTLE_TRIES: u32 = 3;

/// What one turn came to.
#[derive(Debug)]
pub(super) enum Turn {
    Worked,
    Idle(Idle),
}

/// A relay at work. Dropping it is a crash.
pub(super) struct Session<'a, P, DB: Dialect> {
    relay: &'a Relay<P, DB>,
    member: Membership<DB>,
    lease: Option<Lease>,
    position: i64,
    pause: Pause,
    purge_at: Moment,
}

impl<'a, P: Publisher, DB: Dialect> Session<'a, P, DB> {
    pub(super) fn new(relay: &'a Relay<P, DB>) -> Self {
        Self {
            relay,
            member: relay.outbox.join(),
            lease: None,
            position: 0,
            pause: Pause::default(),
            purge_at: relay.outbox.clock().now() + PURGE_EVERY,
        }
    }

    fn outbox(&self) -> &'a Outbox<DB> {
        &self.relay.outbox
    }

    /// Looks, and if there is something to do claims a batch, publishes it and settles it.
    pub(super) async fn turn(&mut self) -> Result<Turn, OutboxError> {
        if let Some(remaining) = self.pause.remaining(self.outbox().clock().now()) {
            return Ok(Turn::Idle(Idle::Paused { remaining }));
        }
        if let Some(idle) = self.look().await? {
            self.purge().await?;
            return Ok(Turn::Idle(idle));
        }
        let batch = match self.claim().await? {
            Claimed::Held { until } => {
                let remaining = self.until(until);
                return Ok(Turn::Idle(Idle::Held { remaining }));
            }
            Claimed::Batch(batch) => batch,
        };
        self.note(&batch);
        let published = self.publish(&batch).await?;
        self.settle(&batch, published).await?;
        self.purge().await?;
        Ok(Turn::Worked)
    }

    fn until(&self, at: i64) -> Duration {
        Duration::from_millis(at.saturating_sub(self.outbox().now()).max(0).unsigned_abs())
    }

    fn lease_until(&self) -> i64 {
        self.outbox().now().saturating_add(millis(self.outbox().config().lease))
    }

    /// A look without a write; nothing if there is something to do.
    async fn look(&self) -> Result<Option<Idle>, OutboxError> {
        let mut conn = self.outbox().inner().pool.acquire().await.during("get a connection")?;
        let peek = DB::peek(&mut conn, &self.relay.lane).await.during("look for messages")?;
        let now = self.outbox().now();
        let mine = peek.owner == self.member.owner;
        if !mine && peek.lease_until > now && !self.outbox().is_gone(&peek.owner) {
            return Ok(Some(Idle::Held { remaining: self.until(peek.lease_until) }));
        }
        if peek.backlog || peek.next_at.is_some_and(|at| at <= now) {
            return Ok(None);
        }
        Ok(Some(Idle::Drained { next: peek.next_at.map(|at| self.until(at)) }))
    }

    async fn claim(&self) -> Result<Claimed, OutboxError> {
        let outbox = self.outbox();
        let is_gone = |owner: &str| outbox.is_gone(owner);
        let batch = outbox.config().batch.max(1);
        let mut open = outbox.begin().await?;
        let ask = Claim {
            lane: &self.relay.lane,
            owner: &self.member.owner,
            is_gone: &is_gone,
            now: outbox.now(),
            lease_until: self.lease_until(),
            limit: if self.pause.is_probing() { 1 } else { batch },
        };
        let claimed = DB::claim(open.conn(), ask).await.during("claim a batch")?;
        match claimed {
            Claimed::Held { .. } => open.roll_back().await,
            Claimed::Batch(_) => open.commit().await?,
        }
        Ok(claimed)
    }

    fn note(&mut self, batch: &Batch) {
        self.lease = Some(batch.lease.clone());
        if batch.taken_over || batch.recovered > 0 {
            let (lane, recovered) = (self.relay.lane.clone(), batch.recovered);
            self.outbox().event(&Event::LeaseTaken { lane, recovered });
        }
    }

    /// Publishes while the lease is kept.
    async fn publish(&self, batch: &Batch) -> Result<Published, OutboxError> {
        let work = publish(self.outbox(), &self.relay.publisher, &batch.items);
        tokio::select! {
            published = work => Ok(published),
            lost = self.keep(&batch.lease) => Err(lost),
        }
    }

    /// Prolongs the lease; ends when it is lost.
    async fn keep(&self, lease: &Lease) -> OutboxError {
        loop {
            self.outbox().clock().sleep(self.outbox().config().lease / 3).await;
            // A renewal that fails is tried again; the settlement is fenced in any case.
            if let Ok(false) = self.renew(lease, self.lease_until()).await {
                return OutboxError::LeaseLost { lane: self.relay.lane.clone() };
            }
        }
    }

    async fn renew(&self, lease: &Lease, until: i64) -> Result<bool, OutboxError> {
        let mut open = self.outbox().begin().await?;
        let kept = DB::renew(open.conn(), lease, until).await.during("renew a lease")?;
        open.commit().await?;
        Ok(kept)
    }

    /// Writes down what became of the batch, and only then tells.
    async fn settle(&mut self, batch: &Batch, published: Published) -> Result<(), OutboxError> {
        let settlement = Settlement {
            now: self.outbox().now(),
            lease_until: self.lease_until(),
            position: batch.position,
            settled: published.settled,
        };
        let mut tries = 1;
        while let Err(error) = self.write(&batch.lease, &settlement).await {
            if !error.is_busy() || tries >= SETTLE_TRIES {
                return Err(error);
            }
            tries += 1;
        }
        self.position = batch.position;
        for (item, fate) in &settlement.settled {
            self.tell(item, fate);
        }
        self.judge_lane(published.outage, published.answered);
        Ok(())
    }

    async fn write(&self, lease: &Lease, settlement: &Settlement) -> Result<(), OutboxError> {
        let mut open = self.outbox().begin().await?;
        let fenced = DB::settle(open.conn(), lease, settlement).await.during("settle a batch")?;
        if !fenced {
            open.roll_back().await;
            return Err(OutboxError::LeaseLost { lane: self.relay.lane.clone() });
        }
        open.commit().await
    }

    fn tell(&self, item: &Item, fate: &Fate) {
        let id = item.envelope.id;
        match fate {
            Fate::Sent => self.outbox().event(&Event::Sent { id }),
            Fate::Again { counted: Some(failed), .. } => {
                self.outbox().event(&Event::Retried { id, class: failed.class });
            }
            Fate::Again { counted: None, at, .. } if *at > self.outbox().now() => {
                self.outbox().event(&Event::Retried { id, class: FailureClass::Deferred });
            }
            Fate::Again { .. } => {}
            Fate::Dead { reason, .. } => self.outbox().event(&Event::Dead { id, reason: *reason }),
        }
    }

    fn judge_lane(&mut self, outage: Option<Option<Duration>>, answered: bool) {
        let lane = self.relay.lane.clone();
        if let Some(wish) = outage {
            let now = self.outbox().clock().now();
            let wait = self.pause.begin(now, &self.outbox().config().outage, wish);
            self.outbox().event(&Event::LanePaused { lane, wait });
        } else if answered && self.pause.end() {
            self.outbox().event(&Event::LaneResumed { lane });
        }
    }

    /// Removes what is past its retention, now and then.
    async fn purge(&mut self) -> Result<(), OutboxError> {
        let outbox = self.outbox();
        if self.lease.is_none() || outbox.clock().now() < self.purge_at {
            return Ok(());
        }
        let (now, keep) = (outbox.now(), &outbox.config().retention);
        let purge = Purge {
            lane: &self.relay.lane,
            position: self.position,
            now,
            sent_before: now.saturating_sub(millis(keep.sent)),
            attempts_before: now.saturating_sub(millis(keep.attempts)),
            inbox_before: now.saturating_sub(millis(keep.inbox)),
            limit: PURGE_ROWS,
        };
        let mut open = outbox.begin().await?;
        let gone = DB::purge(open.conn(), &purge).await.during("remove old rows")?;
        open.commit().await?;
        let more = gone >= u64::from(PURGE_ROWS);
        self.purge_at = outbox.clock().now() + if more { Duration::ZERO } else { PURGE_EVERY };
        Ok(())
    }

    /// Gives the lane back, so that a relay of another process need not wait for the lease.
    pub(super) async fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            // If it fails the lease runs out by itself.
            let _ = self.renew(&lease, 0).await;
        }
    }
}
