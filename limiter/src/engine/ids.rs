//! Calls that carry an id are counted once, however often they come.

use std::{collections::HashMap, sync::Arc};

use mainstay_core::Key;

use super::ScopeList;

/// The ids that are in, or wait to get in.
#[derive(Debug, Default)]
pub(super) struct Ids(HashMap<Key, Call>);

#[derive(Debug)]
struct Call {
    scopes: ScopeList,
    weight: u32,
    /// Permits that share the one grant.
    holders: u32,
    waiting: Vec<u64>,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing, or that it waits.
    Not,
    /// It is in: one more permit shares its grant.
    In,
    /// It asked for something else before.
    Other,
}

impl Ids {
    /// Joins the grant of `id`, if it has one.
    pub(super) fn join(&mut self, id: &Key, scopes: &ScopeList, weight: u32) -> Known {
        let Some(call) = self.0.get_mut(id) else { return Known::Not };
        if call.weight != weight || !same(&call.scopes, scopes) {
            return Known::Other;
        }
        if call.holders == 0 {
            return Known::Not;
        }
        call.holders += 1;
        Known::In
    }

    /// Notes that `seq` waits for `id`.
    pub(super) fn wait(&mut self, id: &Key, scopes: &ScopeList, weight: u32, seq: u64) {
        self.call(id, scopes, weight).waiting.push(seq);
    }

    /// Notes that `id` is in; returns the other waiters of this id, who are in as well.
    pub(super) fn enter(
        &mut self,
        id: &Key,
        scopes: &ScopeList,
        weight: u32,
        seq: Option<u64>,
    ) -> Vec<u64> {
        let call = self.call(id, scopes, weight);
        let mut others = std::mem::take(&mut call.waiting);
        others.retain(|other| Some(*other) != seq);
        call.holders += 1 + u32::try_from(others.len()).unwrap_or(u32::MAX);
        others
    }

    /// Notes that `seq` waits no longer.
    pub(super) fn give_up(&mut self, id: &Key, seq: u64) {
        if let Some(call) = self.0.get_mut(id) {
            call.waiting.retain(|other| *other != seq);
        }
        self.forget_if_idle(id);
    }

    /// Takes one permit of `id` back. `true` if it was the last: the slot is free.
    pub(super) fn leave(&mut self, id: &Key) -> bool {
        let Some(call) = self.0.get_mut(id) else { return true };
        call.holders = call.holders.saturating_sub(1);
        let last = call.holders == 0;
        self.forget_if_idle(id);
        last
    }

    fn call(&mut self, id: &Key, scopes: &ScopeList, weight: u32) -> &mut Call {
        self.0.entry(id.clone()).or_insert_with(|| Call {
            scopes: scopes.clone(),
            weight,
            holders: 0,
            waiting: Vec::new(),
        })
    }

    fn forget_if_idle(&mut self, id: &Key) {
        if self.0.get(id).is_some_and(|call| call.holders == 0 && call.waiting.is_empty()) {
            self.0.remove(id);
        }
    }
}

fn same(left: &ScopeList, right: &ScopeList) -> bool {
    Arc::ptr_eq(left, right) || left.iter().map(|s| s.id).eq(right.iter().map(|s| s.id))
}
