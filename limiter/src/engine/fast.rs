//! Admission without the mutex.

use std::sync::Arc;

use super::Scope;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Taken,
    /// Nothing was touched.
    Undecided,
    /// Something was taken and given back: whoever saw it gone has to be asked again.
    Undone,
}

/// Takes all scopes if no queue stands in the way and at most one of them has a limit.
///
/// With two limits one could be taken and the other refuse: for a moment the first would look full
/// to somebody else. So that case is decided under the mutex, as is every refusal.
#[inline]
pub(super) fn try_take(scopes: &[Arc<Scope>], weight: u32) -> Attempt {
    match scopes {
        [one] if one.try_take(weight) => Attempt::Taken,
        [_] => Attempt::Undecided,
        many => try_take_many(many, weight),
    }
}

/// Returns permits. `true` if somebody waits and has to be asked.
#[inline]
pub(super) fn give(scopes: &[Arc<Scope>], weight: u32) -> bool {
    match scopes {
        [one] => one.pool.give(weight),
        many => give_many(many, weight),
    }
}

#[inline(never)]
fn give_many(scopes: &[Arc<Scope>], weight: u32) -> bool {
    scopes.iter().fold(false, |marked, scope| marked | scope.pool.give(weight))
}

// Apart from the case of one scope, which is small enough to be inlined.
#[inline(never)]
fn try_take_many(scopes: &[Arc<Scope>], weight: u32) -> Attempt {
    let mut limited = None;
    for (index, scope) in scopes.iter().enumerate() {
        let level = scope.pool.read();
        if level.is_marked() {
            return Attempt::Undecided;
        }
        if !level.is_unlimited() && limited.replace(index).is_some() {
            return Attempt::Undecided;
        }
    }
    // The limited one first: if it refuses, nothing has to be given back.
    let first = limited.unwrap_or(0);
    let order = std::iter::once(first).chain((0..scopes.len()).filter(|at| *at != first));
    let taken = order.clone().take_while(|at| scopes[*at].try_take(weight)).count();
    if taken == scopes.len() {
        return Attempt::Taken;
    }
    // A limit or a queue appeared meanwhile.
    for at in order.take(taken) {
        scopes[at].pool.untake(weight);
    }
    if taken == 0 { Attempt::Undecided } else { Attempt::Undone }
}
