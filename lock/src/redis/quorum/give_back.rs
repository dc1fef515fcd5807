//! Giving votes back, and what that tells.

use std::sync::Arc;

use super::{
    Inner,
    attempt::{Attempt, Phase, Vote},
};
use crate::backend::{Answer, Backend, BackendError, GivenBack};

impl Inner {
    /// Gives every vote back, and waits until a majority knows.
    pub(super) async fn withdraw(self: &Arc<Self>, attempt: &Arc<Attempt>) {
        attempt.lock().votes.fill(Vote::None);
        // What comes of it shows in the next round.
        let _ = self.release_all(attempt).await;
    }

    /// Releases everywhere, at the leader last: who leads next finds the others free. Ends when a majority had
    /// something, or had nothing, or everybody answered.
    pub(super) async fn release_all(self: &Arc<Self>, attempt: &Arc<Attempt>) -> Count {
        let leader = attempt.lock().leader;
        let others = (0..self.nodes.len()).filter(|node| *node != leader).collect();
        let mut answers = self.each(others, |node| self.release_at(attempt, node));
        let mut count = Count::default();
        while count.answered + 1 < self.majority() {
            match answers.recv().await {
                Some((_, answer)) => count.add(answer),
                None => break,
            }
        }
        count.add(self.release_at(attempt, leader).await);
        while count.had < self.majority() && !self.is_denied(count.missed()) {
            match answers.recv().await {
                Some((_, answer)) => count.add(answer),
                None => break,
            }
        }
        count
    }

    /// What a release says of one who held the lock. It was lost before only if so many nodes had nothing that no
    /// majority can have had it: a silent node may be the one that makes it a majority.
    pub(super) fn of_held(&self, count: &Count) -> Result<GivenBack, BackendError> {
        if count.had >= self.majority() {
            return Ok(GivenBack::Released);
        }
        if self.is_denied(count.missed()) {
            return Ok(GivenBack::NotHeld);
        }
        let text = self.too_few_released(count);
        // Where some of it was given back, and where it may have been, the next time finds less.
        let done = count.had > 0 || matches!(count.trouble, Some(BackendError::Unknown(_)));
        Err(if done { BackendError::unknown(text) } else { BackendError::failed(text) })
    }

    /// What a release says of one who waited: somewhere, or nowhere as far as a majority knows.
    pub(super) fn of_waiting(&self, count: &Count) -> Result<GivenBack, BackendError> {
        if count.answered < self.majority() {
            return Err(BackendError::unknown(self.too_few_released(count)));
        }
        Ok(if count.had > 0 { GivenBack::Released } else { GivenBack::NotHeld })
    }

    fn too_few_released(&self, count: &Count) -> String {
        let silent = self.nodes.len() - count.answered;
        let unknown = BackendError::unknown("no answer");
        self.too_few(silent, count.trouble.as_ref().unwrap_or(&unknown))
    }

    fn release_at(
        self: &Arc<Self>,
        attempt: &Arc<Attempt>,
        node: usize,
    ) -> impl Future<Output = Result<GivenBack, BackendError>> + Send + use<> {
        let (quorum, claim) = (self.clone(), self.for_node(attempt, node));
        async move { quorum.nodes[node].locks.release(&claim).await }
    }

    /// Too few nodes answered: gives back what the others gave. Nothing is in doubt if they all know it.
    pub(super) async fn give_up(
        self: &Arc<Self>,
        attempt: &Arc<Attempt>,
        trouble: BackendError,
    ) -> BackendError {
        let votes = {
            let mut state = attempt.lock();
            let nothing = vec![Vote::None; state.votes.len()];
            std::mem::replace(&mut state.votes, nothing)
        };
        let at = |is: fn(&Vote) -> bool| {
            (0..votes.len()).filter(|node| is(&votes[*node])).collect::<Vec<_>>()
        };
        let release = |node| self.release_at(attempt, node);
        let in_doubt = at(|vote| matches!(vote, Vote::Unknown | Vote::Asked));
        let silent = in_doubt.len() + at(|vote| *vote == Vote::Failed).len();
        let mut doubt = !in_doubt.is_empty();
        // Behind what was asked, whenever that is done.
        drop(self.each(in_doubt, release));
        let mut answers =
            self.each(at(|vote| matches!(vote, Vote::Given(_) | Vote::Waits)), release);
        while let Some((_, answer)) = answers.recv().await {
            doubt |= answer.is_err();
        }
        let text = self.too_few(silent, &trouble);
        if doubt { BackendError::unknown(text) } else { BackendError::failed(text) }
    }

    /// The attempt is over: gives back what it may have, without waiting for it.
    pub(super) fn end(self: &Arc<Self>, attempt: &Arc<Attempt>) {
        self.attempts.remove(&attempt.claim.owner());
        let (was, votes) = {
            let mut state = attempt.lock();
            let was = std::mem::replace(&mut state.phase, Phase::Over);
            let nothing = vec![Vote::None; state.votes.len()];
            (was, std::mem::replace(&mut state.votes, nothing))
        };
        attempt.changed.notify_one();
        // A node that said that it has nothing may have been won back since.
        let held = matches!(was, Phase::Held(_));
        let nothing = |vote: &Vote| !held && matches!(vote, Vote::None | Vote::Failed);
        let some = (0..votes.len()).filter(|node| !nothing(&votes[*node])).collect();
        drop(self.each(some, |node| self.release_at(attempt, node)));
    }

    /// A node answered an attempt that is over: what it may have given is not wanted.
    pub(super) fn refuse(
        self: &Arc<Self>,
        attempt: &Arc<Attempt>,
        node: usize,
        answer: &Result<Answer, BackendError>,
    ) {
        if !matches!(answer, Ok(Answer::Busy { .. } | Answer::Gone) | Err(BackendError::Failed(_)))
        {
            self.give_back_at(attempt, node);
        }
    }

    pub(super) fn give_back_at(self: &Arc<Self>, attempt: &Arc<Attempt>, node: usize) {
        self.spawner.detach(self.release_at(attempt, node));
    }
}

/// What came of releases.
#[derive(Default)]
pub(super) struct Count {
    answered: usize,
    had: usize,
    /// One error that leaves open whether it was done, if there is any.
    trouble: Option<BackendError>,
}

impl Count {
    /// How many answered that they had nothing.
    fn missed(&self) -> usize {
        self.answered - self.had
    }

    fn add(&mut self, answer: Result<GivenBack, BackendError>) {
        match answer {
            Ok(given_back) => {
                self.answered += 1;
                self.had += usize::from(given_back == GivenBack::Released);
            }
            Err(error @ BackendError::Unknown(_)) => self.trouble = Some(error),
            Err(error) => _ = self.trouble.get_or_insert(error),
        }
    }
}
