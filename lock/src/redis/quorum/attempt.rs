//! One acquisition over all nodes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::Inner;
use crate::{
    backend::{Answer, BackendError, Claim, Grant, Relay},
    fence::Fence,
    lost::LostReason,
};

/// One acquisition over all nodes.
pub(super) struct Attempt {
    pub(super) claim: Claim,
    state: Mutex<State>,
    /// Told when a node's vote changes.
    pub(super) changed: Notify,
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) votes: Vec<Vote>,
    /// Where somebody took it by force since its votes were counted. A vote that was won back afterwards does
    /// not undo that.
    pub(super) forced: Vec<bool>,
    /// How often each node said that this holds its lock: what was asked before the last time may be stale.
    pub(super) confirmed: Vec<u64>,
    /// Where it stands in line, or stood.
    pub(super) leader: usize,
    /// What the last node said that did not answer.
    pub(super) trouble: Option<BackendError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A node is being asked to lead.
    Asking,
    /// It stands in line at the leader.
    Queued,
    /// The leader's vote is there, the others are asked.
    Gathering,
    /// A majority granted it.
    Held(Grant),
    /// Given back, refused or lost.
    Over,
}

/// What is known of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vote {
    None,
    Asked,
    /// Somebody else has it there.
    Waits,
    Given(Fence),
    /// It did not answer, and may have given its vote.
    Unknown,
    /// It was not asked, or refused.
    Failed,
}

/// How the votes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tally {
    Won,
    Open,
    /// So many nodes gave no answer that no majority is left.
    Unreachable,
    Over,
}

impl Attempt {
    pub(super) fn new(claim: &Claim, nodes: usize) -> Arc<Self> {
        let (phase, votes) = (Phase::Asking, vec![Vote::None; nodes]);
        let (forced, confirmed) = (vec![false; nodes], vec![0; nodes]);
        let state = State { phase, votes, forced, confirmed, leader: 0, trouble: None };
        Arc::new(Self { claim: claim.clone(), state: Mutex::new(state), changed: Notify::new() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().phase == Phase::Over
    }

    /// Notes what a node answered. False if what it gave is not wanted any more.
    pub(super) fn note(&self, node: usize, answer: &Result<Answer, BackendError>) -> bool {
        let mut state = self.lock();
        state.votes[node] = match answer {
            Ok(Answer::Granted(grant)) => Vote::Given(grant.fence),
            // A push may have overtaken this answer.
            Ok(Answer::Queued { .. }) => match state.votes[node] {
                Vote::Given(fence) => Vote::Given(fence),
                _ => Vote::Waits,
            },
            Ok(Answer::Busy { .. } | Answer::Gone) => Vote::None,
            Err(error) => {
                state.trouble = Some(error.clone());
                match error {
                    BackendError::Failed(_) => Vote::Failed,
                    BackendError::Unknown(_) => Vote::Unknown,
                }
            }
        };
        let wanted = state.phase != Phase::Over;
        drop(state);
        self.changed.notify_one();
        wanted
    }

    pub(super) fn tally(&self, majority: usize) -> Tally {
        let state = self.lock();
        let count = |is: fn(&Vote) -> bool| state.votes.iter().filter(|vote| is(vote)).count();
        if state.phase == Phase::Over {
            return Tally::Over;
        }
        if count(|vote| matches!(vote, Vote::Given(_))) >= majority {
            return Tally::Won;
        }
        let silent = count(|vote| matches!(vote, Vote::Failed | Vote::Unknown));
        if state.votes.len() - silent < majority { Tally::Unreachable } else { Tally::Open }
    }

    /// Whether a node is asked that may give its vote yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().votes.contains(&Vote::Asked)
    }

    /// How many nodes gave their vote or said that somebody else has it.
    pub(super) fn answered(&self) -> usize {
        let state = self.lock();
        let answered = |vote: &&Vote| matches!(vote, Vote::Given(_) | Vote::Waits);
        state.votes.iter().filter(answered).count()
    }

    /// Begins to gather votes; whoever calls this first does.
    pub(super) fn begin_gathering(&self, from: Phase) -> bool {
        let mut state = self.lock();
        let begins = state.phase == from;
        if begins {
            state.phase = Phase::Gathering;
        }
        begins
    }
}

/// Where the pushes of one node go.
pub(super) struct FromNode {
    pub(super) quorum: Weak<Inner>,
    pub(super) attempt: Weak<Attempt>,
    pub(super) node: usize,
}

impl Relay for FromNode {
    fn grant(&self, grant: Grant) -> bool {
        let (Some(quorum), Some(attempt)) = (self.quorum.upgrade(), self.attempt.upgrade()) else {
            return false;
        };
        let begins = {
            let mut state = attempt.lock();
            let leads = state.leader == self.node;
            match state.phase {
                Phase::Over => return false,
                // Left for another leader.
                Phase::Queued if !leads => return false,
                _ => {}
            }
            state.votes[self.node] = Vote::Given(grant.fence);
            let begins = state.phase == Phase::Queued;
            if begins {
                state.phase = Phase::Gathering;
            }
            begins
        };
        attempt.changed.notify_one();
        if begins {
            quorum.clone().start(attempt);
        }
        true
    }

    fn lose(&self, reason: &LostReason) {
        let (Some(quorum), Some(attempt)) = (self.quorum.upgrade(), self.attempt.upgrade()) else {
            return;
        };
        let (forced, left) = {
            let mut state = attempt.lock();
            state.votes[self.node] = Vote::None;
            state.forced[self.node] |= matches!(reason, LostReason::ForceReleased { .. });
            if !matches!(state.phase, Phase::Held(_)) {
                drop(state);
                return attempt.changed.notify_one();
            }
            (state.forced_at(), state.given())
        };
        if quorum.is_denied(forced) {
            quorum.end(&attempt);
            attempt.claim.lose(reason);
        } else if left < quorum.majority() {
            // One node's word, and perhaps a late one: the nodes decide that together.
            quorum.doubt(attempt);
        }
    }
}

impl State {
    pub(super) fn forced_at(&self) -> usize {
        self.forced.iter().filter(|forced| **forced).count()
    }

    pub(super) fn given(&self) -> usize {
        self.votes.iter().filter(|vote| matches!(vote, Vote::Given(_))).count()
    }
}
