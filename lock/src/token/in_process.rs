//! Tokens kept in this process.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use mainstay_core::{Clock, Key, Moment};

use super::{Consumed, Token};

pub(super) struct InProcess {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: HashMap<(Key, Box<str>), Record>,
    /// When each of them ends, so that forgetting them needs no search.
    ends: BTreeSet<(Moment, Key, Box<str>)>,
    /// The last number of any scope: they rise over all of them, so no scope leaves a trace.
    last: i64,
}

#[derive(Clone, Copy)]
struct Record {
    ttl: Duration,
    ends: Moment,
    number: Option<i64>,
}

impl InProcess {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    pub(super) fn issue(&self, scope: Key, token: &Token, ttl: Duration) {
        let now = self.clock.now();
        let (id, ends) = ((scope, token.as_str().into()), now + ttl);
        let mut state = self.lock();
        state.forget(now);
        state.put(id, Record { ttl, ends, number: None });
    }

    /// The use of a token, if there is one.
    pub(super) fn consume(&self, scope: &Key, token: &Token) -> Option<Consumed> {
        let now = self.clock.now();
        let micros = self.micros();
        let id = (scope.clone(), token.as_str().into());
        let mut state = self.lock();
        state.forget(now);
        let record = *state.tokens.get(&id)?;
        if record.ends <= now {
            return None;
        }
        if let Some(number) = record.number {
            return Some(Consumed::Replay { number });
        }
        let number = micros.max(state.last + 1);
        state.last = number;
        // Repetitions follow the first use, however late in the token's life that was.
        state.put(id, Record { ends: now + record.ttl, number: Some(number), ..record });
        Some(Consumed::First { number })
    }

    fn micros(&self) -> i64 {
        let since = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, id: (Key, Box<str>), record: Record) {
        // First: both may end at the same moment.
        if let Some(old) = self.tokens.insert(id.clone(), record) {
            self.ends.remove(&(old.ends, id.0.clone(), id.1.clone()));
        }
        self.ends.insert((record.ends, id.0, id.1));
    }

    /// Forgets some of the tokens that have ended: more a call than a call can add.
    fn forget(&mut self, now: Moment) {
        for _ in 0..FORGET {
            if self.ends.first().is_none_or(|(ends, ..)| *ends > now) {
                return;
            }
            if let Some((_, scope, token)) = self.ends.pop_first() {
                self.tokens.remove(&(scope, token));
            }
        }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("tokens", &self.lock().tokens.len()).finish()
    }
}

/// How many ended tokens a call forgets at most.
const FORGET: usize = 32;
