//! The claims of this process that pushes may be about.

use dashmap::DashMap;

use crate::backend::{Claim, Owner};

/// How far a claim got, as far as is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Its request is on the way, and its answer will tell.
    Asking,
    /// It stands in line.
    Waiting,
    /// It was told that it holds the lock.
    Held,
}

/// The claims of this process that pushes may be about, from their request to their release.
#[derive(Debug, Default)]
pub(super) struct Registry {
    claims: DashMap<Owner, (Claim, Stage)>,
}

impl Registry {
    pub(super) fn enter(&self, claim: &Claim) {
        self.claims.insert(claim.owner(), (claim.clone(), Stage::Asking));
    }

    /// Notes how far a claim got, unless it got further or left meanwhile: a push may overtake an answer
    /// within this process.
    pub(super) fn note(&self, owner: Owner, stage: Stage) {
        if let Some(mut entry) = self.claims.get_mut(&owner) {
            entry.1 = entry.1.max(stage);
        }
    }

    /// Whether a claim was told that it holds the lock.
    pub(super) fn is_held(&self, owner: Owner) -> bool {
        self.claims.get(&owner).is_some_and(|entry| entry.1 == Stage::Held)
    }

    pub(super) fn leave(&self, owner: Owner) -> Option<Claim> {
        self.claims.remove(&owner).map(|(_, (claim, _))| claim)
    }

    pub(super) fn claim(&self, owner: Owner) -> Option<Claim> {
        self.claims.get(&owner).map(|entry| entry.0.clone())
    }

    /// Runs `act` on every claim, in the order of their requests. None of them leaves while `act` is
    /// at it, so what `act` sends is sent before its release.
    pub(super) fn each<T>(&self, mut act: impl FnMut(&Claim, Stage) -> Option<T>) -> Vec<T> {
        let mut owners: Vec<_> = self.claims.iter().map(|entry| *entry.key()).collect();
        owners.sort_unstable();
        let act = |owner| self.claims.get(&owner).and_then(|entry| act(&entry.0, entry.1));
        owners.into_iter().filter_map(act).collect()
    }
}
