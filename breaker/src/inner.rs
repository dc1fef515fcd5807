//! One breaker: admission.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use mainstay_core::Key;

use crate::{
    BreakerError, Reason, State,
    books::Books,
    gate::Gate,
    group::Group,
    machine::{Admission, Changes, Machine, Who},
    observe::{CallEvent, Event, Transition},
    policy::Policy,
    window::{Owned, Tally, slots::SLOTS, thread},
    word::Word,
};

/// State of a breaker. Kept small: a service may have one for every account.
pub(crate) struct Inner {
    pub(crate) name: Key,
    pub(crate) group: Arc<Group>,
    pub(crate) gate: Gate<Books>,
    /// Bad calls in a row.
    pub(crate) row: AtomicU32,
    /// Calls that asked while ramping.
    asked: AtomicU32,
    lazy: OnceLock<Box<Lazy>>,
}

/// What only a breaker needs that was opened, or that several threads use.
#[derive(Debug, Default)]
pub(crate) struct Lazy {
    since: AtomicU64,
    reason: AtomicU64,
    rejected: AtomicU64,
    pub(crate) late: AtomicU64,
    rings: OnceLock<Box<Rings>>,
}

pub(crate) type Rings = [OnceLock<Box<Owned>>; SLOTS];

/// What an admitted call brings back. Two words, so that it travels in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Generation and number of the trial permit (or zero), 32 bits each.
    ///
    /// A result that comes back after exactly 2^32 transitions passes for a new one.
    numbers: u64,
    /// When it was admitted, or zero if nobody needs to know.
    pub(crate) at: u64,
}

impl Ticket {
    #[inline]
    pub(crate) fn new(word: Word, at: u64, trial: u32) -> Self {
        Self { numbers: (word.generation() << 32) | u64::from(trial), at }
    }

    #[inline]
    pub(crate) fn is_of(self, word: Word) -> bool {
        self.numbers >> 32 == word.generation() & u64::from(u32::MAX)
    }

    pub(crate) fn trial(self) -> u32 {
        u32::try_from(self.numbers & u64::from(u32::MAX)).expect("the mask leaves 32 bits")
    }

    /// Its generation, if that has not ended.
    pub(crate) fn generation(self, word: Word) -> Option<u64> {
        self.is_of(word).then(|| word.generation())
    }
}

impl Inner {
    pub(crate) fn new(name: Key, group: Arc<Group>) -> Self {
        let own_rings = group.own_rings;
        let inner = Self {
            name,
            group,
            gate: Gate::new(Books::new()),
            row: AtomicU32::new(0),
            asked: AtomicU32::new(0),
            lazy: OnceLock::new(),
        };
        if own_rings {
            inner.make_rings();
        }
        inner
    }

    /// Lets a call out, or says why not. One load when closed.
    #[inline]
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Ticket, BreakerError> {
        let word = self.gate.word();
        if word.is_closed() {
            let needed = self.group.hot().needs_start();
            let at = if needed { self.group.coarse_millis() } else { 0 };
            return Ok(Ticket::new(word, at, 0));
        }
        self.admit_otherwise(word)
    }

    // Not cold: a breaker in an outage comes here with every call.
    #[inline(never)]
    fn admit_otherwise(self: &Arc<Self>, word: Word) -> Result<Ticket, BreakerError> {
        let now = self.group.coarse_millis();
        match word.state() {
            State::Closed | State::Disabled => Ok(Ticket::new(word, now, 0)),
            State::Ramping if now < self.gate.refuse_until() => self.admit_share(word, now),
            State::Ramping => self.admit_by_machine(now),
            State::Open | State::HalfOpen | State::ForcedOpen => {
                if now < self.gate.refuse_until() {
                    self.refuse(word, now)
                } else {
                    self.admit_by_machine(now)
                }
            }
        }
    }

    fn admit_by_machine(self: &Arc<Self>, now: u64) -> Result<Ticket, BreakerError> {
        let policy = self.group.policy();
        let (admission, word) = self.change(now, &policy, |books, changes| {
            let machine = books.machine_mut();
            let admission = machine.admit(now, &policy.recovery, Who::Caller, changes);
            (admission, machine.word())
        });
        match admission {
            Admission::Pass if word.state() == State::Ramping => self.admit_share(word, now),
            Admission::Pass => Ok(Ticket::new(word, now, 0)),
            Admission::Trial(trial) => Ok(Ticket::new(word, now, trial)),
            Admission::Refuse => self.refuse(word, now),
        }
    }

    /// Lets exactly `level` of a hundred calls through, spread evenly.
    fn admit_share(&self, word: Word, now: u64) -> Result<Ticket, BreakerError> {
        let turn = u64::from(self.asked.fetch_add(1, Ordering::Relaxed) % 100);
        let level = u64::from(word.level());
        // The share of calls 0..=turn, in whole calls, grows with this one. The first is let through.
        let passes = (turn * level).div_ceil(100) < ((turn + 1) * level).div_ceil(100);
        if passes { Ok(Ticket::new(word, now, 0)) } else { self.refuse(word, now) }
    }

    /// Refuses, unless in shadow mode.
    fn refuse(&self, word: Word, now: u64) -> Result<Ticket, BreakerError> {
        let state = word.state();
        if word.is_shadow() {
            self.group.tell_call(|| CallEvent::WouldRefuse { name: self.name.clone(), state });
            return Ok(Ticket::new(word, now, 0));
        }
        self.count_refusal();
        self.group.tell_call(|| CallEvent::Refused { name: self.name.clone(), state });
        Err(self.refusal(state, word.level(), now))
    }

    fn refusal(&self, state: State, percent: u8, now: u64) -> BreakerError {
        let until = self.gate.refuse_until();
        let retry_after = Duration::from_millis(until.saturating_sub(now));
        let name = self.name.clone();
        match state {
            State::HalfOpen => BreakerError::HalfOpen { name, reason: self.reason(), retry_after },
            State::Ramping => BreakerError::Ramping { name, percent, retry_after },
            State::ForcedOpen => BreakerError::ForcedOpen {
                name,
                reason: self.forced_reason(),
                retry_after: (until != u64::MAX).then_some(retry_after),
            },
            State::Open | State::Closed | State::Disabled => BreakerError::Open {
                name,
                reason: self.reason(),
                since: Duration::from_millis(now.saturating_sub(self.since())),
                retry_after,
            },
        }
    }

    /// Whether a call would be refused now whatever it is; changes nothing.
    #[cfg(feature = "tower")]
    pub(crate) fn refuses(&self) -> bool {
        let word = self.gate.word();
        if word.is_closed() || word.is_shadow() {
            return false;
        }
        matches!(word.state(), State::Open | State::HalfOpen | State::ForcedOpen)
            && self.group.coarse_millis() < self.gate.refuse_until()
    }

    /// Refuses a call that was told so before, in whatever state the breaker is by now.
    #[cfg(feature = "tower")]
    pub(crate) fn refuse_late(&self) -> BreakerError {
        self.count_refusal();
        let (word, now) = (self.gate.word(), self.group.coarse_millis());
        self.group
            .tell_call(|| CallEvent::Refused { name: self.name.clone(), state: word.state() });
        self.refusal(word.state(), word.level(), now)
    }

    /// Changes the state, makes it known, and starts what follows from it.
    pub(crate) fn change<T>(
        self: &Arc<Self>,
        now: u64,
        policy: &Policy,
        change: impl FnOnce(&mut Books, &mut Changes) -> T,
    ) -> T {
        let mut changes = Changes::new();
        let mut tally = Tally::default();
        let answer = self.gate.update(&policy.recovery, |books| {
            let generation = self.gate.word().generation();
            let answer = change(books, &mut changes);
            if !changes.is_empty() {
                tally = self.tally(books, policy, generation, now);
                self.row.store(0, Ordering::Relaxed);
                self.asked.store(0, Ordering::Relaxed);
                self.publish(books.machine_mut());
            }
            answer
        });
        for change in &changes {
            self.group.observer.tell(|| {
                Event::Changed(Transition {
                    name: self.name.clone(),
                    from: change.from,
                    to: change.to,
                    percent: (change.to == State::Ramping).then_some(change.level),
                    generation: change.generation,
                    reason: change.reason,
                    tally,
                })
            });
            if change.to == State::Open {
                self.start_probing(change.from);
            }
        }
        answer
    }

    /// Puts what a refusal says where it can be read without the mutex.
    ///
    /// Reason and time are two words: a refusal in the very moment of a transition may pair those of
    /// two outages.
    fn publish(&self, machine: &Machine) {
        if let Some(reason) = machine.reason() {
            let lazy = self.lazy();
            lazy.since.store(machine.since(), Ordering::Release);
            lazy.reason.store(reason.pack(), Ordering::Release);
        }
    }

    /// All calls of `generation` in the window.
    pub(crate) fn tally(&self, books: &Books, policy: &Policy, generation: u64, now: u64) -> Tally {
        let era = policy.hot.era(generation);
        let mut tally = books.tally(policy, era, now);
        if let (Some(rings), None) = (self.rings(), policy.count) {
            for ring in rings.iter().filter_map(OnceLock::get) {
                tally += ring.tally(era, policy.window, now);
            }
        }
        tally
    }

    pub(crate) fn reason(&self) -> Reason {
        let bits = self.lazy.get().map_or(0, |lazy| lazy.reason.load(Ordering::Acquire));
        // A refusal without a reason cannot be: both are published before the word.
        Reason::unpack(bits).unwrap_or(Reason::Forced)
    }

    pub(crate) fn since(&self) -> u64 {
        self.lazy.get().map_or(0, |lazy| lazy.since.load(Ordering::Acquire))
    }

    fn forced_reason(&self) -> Arc<str> {
        let books = self.gate.lock();
        books.existing().and_then(|rest| rest.forced.clone()).unwrap_or_else(|| "".into())
    }

    fn count_refusal(&self) {
        match self.own_ring() {
            Some(ring) => ring.reject(),
            None => {
                self.lazy().rejected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn rejected(&self) -> u64 {
        let rings = self.rings().into_iter().flatten().filter_map(OnceLock::get);
        let shared = self.lazy.get().map_or(0, |lazy| lazy.rejected.load(Ordering::Relaxed));
        shared + rings.map(|ring| ring.rejected()).sum::<u64>()
    }

    pub(crate) fn late(&self) -> u64 {
        self.lazy.get().map_or(0, |lazy| lazy.late.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn lazy(&self) -> &Lazy {
        self.lazy.get_or_init(Box::default)
    }

    #[inline]
    fn rings(&self) -> Option<&Rings> {
        self.lazy.get()?.rings.get().map(|rings| &**rings)
    }

    /// The ring that only this thread writes, if there is one.
    #[inline]
    pub(crate) fn own_ring(&self) -> Option<&Owned> {
        let ring = &self.rings()?[thread::slot()?];
        Some(ring.get_or_init(|| Box::new(Owned::new())))
    }

    /// Gives threads rings of their own: they met.
    #[cold]
    pub(crate) fn make_rings(&self) {
        self.lazy().rings.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
    }
}

impl Drop for Inner {
    /// Nobody needs the answer of a probe any more.
    fn drop(&mut self) {
        let books = self.gate.lock();
        if let Some(prober) = books.existing().and_then(|rest| rest.prober.as_ref()) {
            prober.abort();
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.gate.word().state();
        f.debug_struct("Breaker").field("name", &self.name).field("state", &state).finish()
    }
}
