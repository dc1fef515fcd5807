//! Those of this process who wait for one name.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use mainstay_core::Moment;
use tokio::{sync::Notify, task::JoinHandle};

use crate::backend::{Answer, Claim, Owner};

/// Those of this process who wait for one name, in the order in which they came.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<Claim>,
    /// When the key's time is over, as far as is known.
    holder_until: Option<Moment>,
    /// Asks for the head of the line.
    asker: Option<JoinHandle<()>>,
    /// Tells the asker that asking now may help.
    pub(super) nudge: Arc<Notify>,
}

impl Line {
    pub(super) fn push(&mut self, claim: &Claim, holder_until: Option<Moment>) {
        if self.place(claim.owner()).is_none() {
            self.waiting.push_back(claim.clone());
            self.note(holder_until);
        }
    }

    pub(super) fn note(&mut self, holder_until: Option<Moment>) {
        self.holder_until = holder_until;
    }

    /// The first who still wants it.
    pub(super) fn head(&mut self) -> Option<Claim> {
        while self.waiting.front().is_some_and(|claim| !claim.is_wanted()) {
            self.waiting.pop_front();
        }
        self.waiting.front().cloned()
    }

    /// Takes a claim out of the line. False if it is not in it.
    pub(super) fn leave(&mut self, owner: Owner) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|claim| claim.owner() != owner);
        self.waiting.len() < before
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What a waiter is told, if it stands in this line.
    pub(super) fn seen_by(&self, owner: Owner, now: Moment) -> Option<Answer> {
        let holder_remaining = self.holder_remaining(now);
        self.place(owner).map(|place| Answer::Queued { position: Some(place), holder_remaining })
    }

    pub(super) fn holder_remaining(&self, now: Moment) -> Option<Duration> {
        let left = self.holder_until?.saturating_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Whether nobody asks for the head of this line.
    pub(super) fn is_idle(&self) -> bool {
        self.asker.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub(super) fn asked_by(&mut self, asker: Option<JoinHandle<()>>) {
        self.asker = asker;
    }

    /// 1 is next.
    fn place(&self, owner: Owner) -> Option<usize> {
        self.waiting.iter().position(|claim| claim.owner() == owner).map(|place| place + 1)
    }
}
