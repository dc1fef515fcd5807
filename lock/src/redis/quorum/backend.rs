//! The seam.

use std::sync::Arc;

use async_trait::async_trait;
use mainstay_core::Key;

use super::{
    Inner, Quorum,
    attempt::{Attempt, Phase, Vote},
    merge::merged,
    node::{Raise, Standing},
};
use crate::{
    backend::{
        Answer, Backend, BackendError, Claim, GivenBack, Grant, Mode, Owner, Renewal, Renewed,
    },
    fence::Fence,
    inspect::LockInfo,
    lost::LostReason,
};

impl Inner {
    fn attempt(&self, owner: Owner) -> Option<Arc<Attempt>> {
        self.attempts.get(&owner).map(|attempt| attempt.clone())
    }

    fn check_lease(&self, lease: std::time::Duration) -> Result<(), BackendError> {
        let longest = self.restart_wait;
        if longest.is_zero() || lease <= longest {
            return Ok(());
        }
        Err(BackendError::failed(format!(
            "a lease of {lease:?} is longer than the {longest:?} for which a restarted node gives no vote; \
             ask for a shorter one, or set `Quorum::restart_wait`"
        )))
    }

    /// What became of an attempt that was made before.
    async fn look(self: &Arc<Self>, attempt: &Arc<Attempt>) -> Result<Answer, BackendError> {
        let (phase, leader) = {
            let state = attempt.lock();
            (state.phase, state.leader)
        };
        let waits = Answer::Queued { position: Some(1), holder_remaining: None };
        match phase {
            Phase::Held(grant) => return Ok(Answer::Granted(grant)),
            Phase::Over => return Ok(Answer::Gone),
            Phase::Asking | Phase::Gathering => return Ok(waits),
            Phase::Queued => {}
        }
        let answer = self.nodes[leader].locks.poll(&self.for_node(attempt, leader)).await;
        match answer {
            Ok(Answer::Granted(_)) => {
                attempt.note(leader, &answer);
                if attempt.begin_gathering(Phase::Queued) {
                    self.clone().start(attempt.clone());
                }
                Ok(waits)
            }
            Ok(Answer::Queued { .. }) => answer,
            // The leader forgot it, or is gone: in line again, there or elsewhere.
            Ok(_) | Err(_) => {
                if let Err(error) = &answer {
                    self.nodes[leader].shun(attempt.claim.clock().now());
                    tracing::debug!(%error, "the node of a line does not answer");
                }
                if !attempt.begin_gathering(Phase::Queued) {
                    return Ok(waits);
                }
                self.restart(attempt).await
            }
        }
    }

    /// Renews what is held in one mode, and wins back nodes that miss it.
    ///
    /// The answers to this round alone decide: what is known of votes from before may be stale. And what the
    /// last node said that did not answer.
    async fn renew_all(
        self: &Arc<Self>,
        held: &[(Arc<Attempt>, Raise)],
    ) -> (Vec<Renewed>, Option<BackendError>) {
        if held.is_empty() {
            return (Vec::new(), None);
        }
        let mut answers = self.ask_each((0..self.nodes.len()).collect(), |node| {
            let (quorum, held) = (self.clone(), held.to_vec());
            async move {
                let for_node = |(attempt, raise): &(Arc<Attempt>, Raise)| {
                    let claim = quorum.for_node(attempt, node.index());
                    Raise { claim, ..raise.clone() }
                };
                let batch: Vec<_> = held.iter().map(for_node).collect();
                let standings = node.renew(&batch).await?;
                for ((attempt, raise), standing) in held.iter().zip(&standings) {
                    quorum.note_standing(attempt, node.index(), raise, *standing);
                }
                Ok(standings)
            }
        });
        let (mut tally, mut trouble) = (vec![(0, 0); held.len()], None);
        while tally.iter().any(|(yes, _)| *yes < self.majority()) {
            match answers.recv().await {
                Some((_, Ok(standings))) => {
                    for ((yes, no), standing) in tally.iter_mut().zip(standings) {
                        match standing {
                            Standing::Held => *yes += 1,
                            Standing::WonBack | Standing::Elsewhere => *no += 1,
                            Standing::Forgot => {}
                        }
                    }
                }
                Some((_, Err(error))) => trouble = Some(error),
                None => break,
            }
        }
        let verdict = |((attempt, _), (yes, no)): (&(Arc<Attempt>, Raise), (usize, usize))| {
            if yes >= self.majority() {
                return Renewed::Renewed;
            }
            if !self.is_denied(no) {
                return Renewed::Unanswered;
            }
            self.end(attempt);
            Renewed::NotHeld
        };
        (held.iter().zip(tally).map(verdict).collect(), trouble)
    }

    fn note_standing(
        self: &Arc<Self>,
        attempt: &Arc<Attempt>,
        node: usize,
        raise: &Raise,
        standing: Standing,
    ) {
        let given = standing != Standing::Elsewhere;
        let over = {
            let mut state = attempt.lock();
            state.votes[node] = if given { Vote::Given(raise.fence) } else { Vote::None };
            state.confirmed[node] += u64::from(given);
            state.phase == Phase::Over
        };
        if over && matches!(standing, Standing::WonBack | Standing::Forgot) {
            self.give_back_at(attempt, node);
        }
    }

    /// Asks all nodes whether they have an attempt still, and ends it if a majority has not. For a node
    /// where it was won back meanwhile, that is the last word.
    pub(super) fn doubt(self: &Arc<Self>, attempt: Arc<Attempt>) {
        let quorum = self.clone();
        self.spawner.detach(async move {
            let (confirmed, phase) = {
                let state = attempt.lock();
                (state.confirmed.clone(), state.phase)
            };
            let Phase::Held(Grant { fence, lease, .. }) = phase else { return };
            let all = (0..quorum.nodes.len()).collect();
            let mut answers = quorum.ask_each(all, |node| {
                let claim = quorum.for_node(&attempt, node.index());
                async move { node.look(&Raise { claim, lease, fence }).await }
            });
            let mut missed = Vec::new();
            while let Some((node, answer)) = answers.recv().await {
                missed.extend(matches!(answer, Ok(Standing::Elsewhere)).then_some(node));
                let state = attempt.lock();
                let misses = |node: &&usize| state.confirmed[**node] == confirmed[**node];
                let denied = quorum.is_denied(missed.iter().filter(misses).count());
                let held = matches!(state.phase, Phase::Held(_));
                drop(state);
                if denied && held {
                    quorum.end(&attempt);
                    return attempt.claim.lose(&LostReason::TakenOver);
                }
            }
        });
    }
}

#[async_trait]
impl Backend for Quorum {
    fn shares(&self) -> bool {
        true
    }

    async fn acquire(&self, claim: &Claim, queue: bool) -> Result<Answer, BackendError> {
        let quorum = &self.inner;
        quorum.check_lease(claim.lease())?;
        quorum.spawner.enter();
        if let Some(attempt) = quorum.attempt(claim.owner()) {
            return quorum.look(&attempt).await;
        }
        let attempt = Attempt::new(claim, quorum.nodes.len());
        quorum.attempts.insert(claim.owner(), attempt.clone());
        quorum.take(&attempt, queue).await
    }

    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError> {
        match self.inner.attempt(claim.owner()) {
            Some(attempt) => self.inner.look(&attempt).await,
            None => Ok(Answer::Gone),
        }
    }

    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError> {
        let quorum = &self.inner;
        let held = |renewal: &Renewal| {
            let attempt = quorum.attempt(renewal.claim.owner())?;
            let Phase::Held(grant) = attempt.lock().phase else { return None };
            let (claim, lease, fence) = (renewal.claim.clone(), renewal.lease, grant.fence);
            Some((attempt, Raise { claim, lease, fence }))
        };
        for renewal in batch {
            quorum.check_lease(renewal.lease)?;
        }
        let known: Vec<_> = batch.iter().map(held).collect();
        // One script is about readers or about others.
        let of = |mode| {
            let is = move |(attempt, _): &&(Arc<Attempt>, Raise)| attempt.claim.mode() == mode;
            known.iter().flatten().filter(is).cloned().collect::<Vec<_>>()
        };
        let (alone, shared) = (of(Mode::Exclusive), of(Mode::Shared));
        let ((alone, trouble), (shared, other)) =
            tokio::join!(quorum.renew_all(&alone), quorum.renew_all(&shared));
        let (mut alone, mut shared, trouble) =
            (alone.into_iter(), shared.into_iter(), trouble.or(other));
        // Whoever is not known any more was told when it was lost.
        let result = |(renewal, known): (&Renewal, &Option<_>)| match renewal.claim.mode() {
            _ if known.is_none() => Some(Renewed::NotHeld),
            Mode::Exclusive => alone.next(),
            Mode::Shared => shared.next(),
        };
        let results: Vec<_> = batch.iter().zip(&known).filter_map(result).collect();
        if results.contains(&Renewed::Unanswered) {
            tracing::debug!(?trouble, "too few nodes answered renewals");
        }
        if results.iter().all(|one| *one == Renewed::Unanswered) {
            let unknown = || BackendError::unknown("too few nodes answered");
            return Err(trouble.unwrap_or_else(unknown));
        }
        Ok(results)
    }

    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError> {
        let quorum = &self.inner;
        let attempt = quorum.attempts.remove(&claim.owner()).map(|(_, attempt)| attempt);
        let attempt = attempt.unwrap_or_else(|| {
            let attempt = Attempt::new(claim, quorum.nodes.len());
            attempt.lock().leader = quorum.first(claim.key());
            attempt
        });
        attempt.lock().phase = Phase::Over;
        attempt.changed.notify_one();
        let count = quorum.release_all(&attempt).await;
        // Also where the first release had no answer, and nothing else is known of the attempt any more.
        let was_held = claim.fence() != Fence::NONE;
        if was_held { quorum.of_held(&count) } else { quorum.of_waiting(&count) }
    }

    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError> {
        let quorum = &self.inner;
        let mut answers = quorum.ask_each((0..quorum.nodes.len()).collect(), |node| {
            let (key, reason) = (key.clone(), reason.clone());
            async move { node.locks.force_release(&key, reason).await }
        });
        let (mut answered, mut held, mut trouble) = (0, false, None);
        while let Some((_, answer)) = answers.recv().await {
            match answer {
                Ok(had) => (answered, held) = (answered + 1, held | had),
                Err(error) => trouble = Some(error),
            }
        }
        match trouble {
            Some(trouble) if answered < quorum.majority() => Err(trouble),
            _ => Ok(held),
        }
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        let quorum = &self.inner;
        let mut answers = quorum.ask_each((0..quorum.nodes.len()).collect(), |node| {
            let key = key.clone();
            async move { node.locks.inspect(&key).await }
        });
        let (mut seen, mut trouble) = (Vec::new(), None);
        while let Some((_, answer)) = answers.recv().await {
            match answer {
                Ok(info) => seen.push(info),
                Err(error) => trouble = Some(error),
            }
        }
        match trouble {
            Some(trouble) if seen.len() < quorum.majority() => Err(trouble),
            _ => Ok(merged(key, seen, quorum.majority())),
        }
    }
}
