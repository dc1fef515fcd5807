//! From the first vote to a majority.

use std::{sync::Arc, time::Duration};

use mainstay_core::Clock;
use tokio::sync::mpsc;

use super::{
    Inner,
    attempt::{Attempt, FromNode, Phase, Tally, Vote},
    node::Node,
};
use crate::{
    backend::{Answer, Backend, BackendError, Claim, Grant, Mode},
    lost::LostReason,
};

/// What gathering came to.
pub(super) enum Gathered {
    Won(Grant),
    /// Others have too many votes; all were given back.
    Split,
    /// It was released meanwhile.
    Over,
    Failed(BackendError),
}

impl Inner {
    /// Takes the claim's lock: one node leads, then the others are asked.
    pub(super) async fn take(
        self: &Arc<Self>,
        attempt: &Arc<Attempt>,
        queue: bool,
    ) -> Result<Answer, BackendError> {
        for round in 1.. {
            let led = self.lead(attempt, queue).await;
            if !matches!(led, Ok(Answer::Granted(_))) {
                if !matches!(led, Ok(Answer::Queued { .. })) {
                    self.end(attempt);
                }
                return led;
            }
            match self.gather(attempt).await {
                Gathered::Won(grant) => return Ok(Answer::Granted(grant)),
                Gathered::Over => break,
                Gathered::Failed(error) => {
                    self.end(attempt);
                    return Err(error);
                }
                Gathered::Split if !queue => {
                    self.end(attempt);
                    return Ok(Answer::Busy { holder_remaining: None });
                }
                Gathered::Split => self.pause(attempt.claim.clock(), round).await,
            }
            if !attempt.claim.is_wanted() || attempt.is_over() {
                self.end(attempt);
                break;
            }
        }
        Ok(Answer::Gone)
    }

    /// Goes on with a waiter whose turn came at the leader.
    pub(super) fn start(self: Arc<Self>, attempt: Arc<Attempt>) {
        let quorum = self.clone();
        self.spawner.detach(async move {
            let claim = attempt.claim.clone();
            let answer = match quorum.gather(&attempt).await {
                Gathered::Won(grant) => Ok(Answer::Granted(grant)),
                Gathered::Over => return,
                Gathered::Failed(error) => Err(error),
                Gathered::Split => {
                    quorum.pause(claim.clock(), 1).await;
                    quorum.restart(&attempt).await
                }
            };
            match answer {
                Ok(Answer::Granted(grant)) if claim.grant(grant) => {}
                // It waits on.
                Ok(Answer::Queued { .. }) => {}
                Ok(_) => quorum.end(&attempt),
                Err(_) => {
                    quorum.end(&attempt);
                    // Back to asking, which tells why it fails.
                    claim.lose(&LostReason::Unreachable);
                }
            }
        });
    }

    /// Asks from the first node on again.
    pub(super) async fn restart(
        self: &Arc<Self>,
        attempt: &Arc<Attempt>,
    ) -> Result<Answer, BackendError> {
        {
            let mut state = attempt.lock();
            if state.phase == Phase::Over {
                return Ok(Answer::Gone);
            }
            state.phase = Phase::Asking;
        }
        self.take(attempt, true).await
    }

    /// Finds the node where this name's waiters stand in line: the first in the name's order that answers.
    async fn lead(
        self: &Arc<Self>,
        attempt: &Arc<Attempt>,
        queue: bool,
    ) -> Result<Answer, BackendError> {
        let (claim, mut silent) = (&attempt.claim, 0);
        {
            let mut state = attempt.lock();
            if state.phase == Phase::Over {
                return Ok(Answer::Gone);
            }
            state.phase = Phase::Asking;
        }
        for node in self.order(claim) {
            {
                let mut state = attempt.lock();
                (state.leader, state.votes[node]) = (node, Vote::Asked);
            }
            let answer = self.nodes[node].locks.acquire(&self.for_node(attempt, node), queue).await;
            if !attempt.note(node, &answer) {
                self.refuse(attempt, node, &answer);
                return Ok(Answer::Gone);
            }
            match answer {
                Ok(Answer::Granted(_)) => {
                    let begins = attempt.begin_gathering(Phase::Asking);
                    return Ok(if begins { answer? } else { Answer::Gone });
                }
                Ok(Answer::Queued { .. }) => {
                    let mut state = attempt.lock();
                    let granted = matches!(state.votes[node], Vote::Given(_));
                    let next = if granted { Phase::Gathering } else { Phase::Queued };
                    if state.phase == Phase::Asking {
                        state.phase = next;
                    }
                    let (Vote::Given(fence), true) = (state.votes[node], granted) else {
                        return answer;
                    };
                    let (now, lease) = (claim.clock().now(), claim.lease());
                    return Ok(Answer::Granted(Grant::new(fence, now, lease)));
                }
                Ok(Answer::Busy { .. }) => return answer,
                Ok(_) => {}
                Err(error) => {
                    self.nodes[node].shun(claim.clock().now());
                    silent += 1;
                    if self.nodes.len() - silent < self.majority() {
                        return Err(self.give_up(attempt, error).await);
                    }
                }
            }
        }
        Ok(Answer::Gone)
    }

    /// Asks the other nodes, and writes the fence once a majority gave its vote.
    async fn gather(self: &Arc<Self>, attempt: &Arc<Attempt>) -> Gathered {
        let (claim, majority) = (&attempt.claim, self.majority());
        self.ask_the_others(attempt);
        let patience = settle(claim.mode()).mul_f64(0.75 + fastrand::f64() / 2.0);
        let mut settled = claim.clock().timeout(patience, self.tallied(attempt)).await.ok();
        if settled.is_none() && attempt.answered() < majority {
            // Nothing is split yet; the time budgets of the nodes end this.
            settled = self.answered_by_all(attempt).await;
        }
        match settled {
            Some(Tally::Won) => self.agree(attempt).await,
            Some(Tally::Over) => Gathered::Over,
            Some(Tally::Unreachable | Tally::Open) => {
                let trouble = attempt.lock().trouble.clone();
                let trouble = trouble.unwrap_or_else(|| BackendError::failed("no answer"));
                Gathered::Failed(self.give_up(attempt, trouble).await)
            }
            None => {
                self.withdraw(attempt).await;
                Gathered::Split
            }
        }
    }

    async fn tallied(&self, attempt: &Attempt) -> Tally {
        loop {
            match attempt.tally(self.majority()) {
                Tally::Open => attempt.changed.notified().await,
                tally => return tally,
            }
        }
    }

    /// As [`tallied`](Self::tallied); nothing if everybody answered, and some took their votes back.
    async fn answered_by_all(&self, attempt: &Attempt) -> Option<Tally> {
        loop {
            match attempt.tally(self.majority()) {
                Tally::Open if !attempt.is_awaited() => return None,
                Tally::Open => attempt.changed.notified().await,
                tally => return Some(tally),
            }
        }
    }

    fn ask_the_others(self: &Arc<Self>, attempt: &Arc<Attempt>) {
        let mut state = attempt.lock();
        for node in 0..self.nodes.len() {
            if matches!(state.votes[node], Vote::Given(_)) {
                continue;
            }
            state.votes[node] = Vote::Asked;
            let (quorum, attempt) = (self.clone(), attempt.clone());
            self.spawner.detach(async move { quorum.ask_node(&attempt, node, true).await });
        }
    }

    async fn ask_node(self: &Arc<Self>, attempt: &Arc<Attempt>, node: usize, queue: bool) {
        let claim = self.for_node(attempt, node);
        let answer = self.nodes[node].locks.acquire(&claim, queue).await;
        if answer.is_err() {
            self.nodes[node].shun(claim.clock().now());
        }
        if !attempt.note(node, &answer) {
            self.refuse(attempt, node, &answer);
        }
    }

    /// The claim as a node gets it.
    pub(super) fn for_node(self: &Arc<Self>, attempt: &Arc<Attempt>, node: usize) -> Claim {
        let (quorum, weak) = (Arc::downgrade(self), Arc::downgrade(attempt));
        attempt.claim.relayed(Arc::new(FromNode { quorum, attempt: weak, node }))
    }

    /// Calls nodes side by side, each to its end whoever listens.
    pub(super) fn each<T, F>(
        self: &Arc<Self>,
        nodes: Vec<usize>,
        call: impl Fn(usize) -> F,
    ) -> mpsc::UnboundedReceiver<(usize, T)>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (sender, answers) = mpsc::unbounded_channel();
        for node in nodes {
            let (sender, call) = (sender.clone(), call(node));
            self.spawner.detach(async move {
                // Nobody may listen any more.
                let _ = sender.send((node, call.await));
            });
        }
        answers
    }

    /// As [`each`](Self::each), with the node itself.
    pub(super) fn ask_each<T, F>(
        self: &Arc<Self>,
        nodes: Vec<usize>,
        call: impl Fn(NodeRef) -> F,
    ) -> mpsc::UnboundedReceiver<(usize, T)>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.each(nodes, |node| call(NodeRef { quorum: self.clone(), node }))
    }

    /// The nodes in the order in which they lead this name; those that did not answer lately come last.
    fn order(&self, claim: &Claim) -> Vec<usize> {
        let (count, now) = (self.nodes.len(), claim.clock().now());
        let first = self.first(claim.key());
        let mut order: Vec<_> = (0..count).map(|step| (first + step) % count).collect();
        order.sort_by_key(|node| self.nodes[*node].is_shunned(now));
        order
    }

    /// Apart from each other, so that the next round has one winner.
    async fn pause(&self, clock: &Clock, round: u32) {
        let longest = BACK_OFF * round.min(8);
        clock.sleep(longest.mul_f64(fastrand::f64())).await;
    }

    pub(super) fn too_few(&self, silent: usize, last: &BackendError) -> String {
        let (nodes, majority) = (self.nodes.len(), self.majority());
        format!(
            "{silent} of {nodes} nodes gave no answer and {majority} are needed; the last one: {last}"
        )
    }
}

/// A node that outlives the call to it.
pub(super) struct NodeRef {
    quorum: Arc<Inner>,
    node: usize,
}

impl NodeRef {
    pub(super) fn index(&self) -> usize {
        self.node
    }
}

impl std::ops::Deref for NodeRef {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.quorum.nodes[self.node]
    }
}

/// How long votes are waited for before all are given back, give or take a quarter. A writer outwaits readers
/// who have a part of the nodes each and keep the rest from each other.
fn settle(mode: Mode) -> Duration {
    match mode {
        Mode::Exclusive => SETTLE,
        Mode::Shared => SETTLE / 2,
    }
}

const SETTLE: Duration = Duration::from_millis(400);

/// The longest pause after a split, times its number.
const BACK_OFF: Duration = Duration::from_millis(50);
