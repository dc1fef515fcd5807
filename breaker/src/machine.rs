//! The state machine: no clock, no I/O, no synchronisation.
//!
//! ```text
//! Closed    => (Open: a rule tripped)
//! Open      => (HalfOpen: the wait is over and somebody calls or probes)
//! HalfOpen  => (Open: too many trial calls failed or hung | Ramping | Closed: enough succeeded)
//! Ramping   => (Open: a rule tripped | Ramping: next share | Closed: last step done)
//! any state => (ForcedOpen | Disabled | Closed: an operator said so)
//! ```
//!
//! Times are milliseconds on the coarse axis of the clock.

use std::time::Duration;

use crate::{
    reason::Reason,
    recovery::{Recovery, millis},
    state::State,
    trials::{Decision, Trials},
    word::Word,
};

#[derive(Debug)]
pub(crate) struct Machine {
    word: Word,
    /// Open, forced open: when calls are tried again. Ramping: when the step is over.
    until: u64,
    outage: Outage,
    trials: Trials,
    step: usize,
    step_succeeded: bool,
    /// A task probes; callers leave trial calls to it.
    probed: bool,
    /// When the prober was last seen at work.
    prober_seen: u64,
}

#[derive(Debug, Default)]
struct Outage {
    reason: Option<Reason>,
    /// When it opened from closed; trial calls that fail do not start a new outage.
    since: u64,
    opens: u32,
    wait: Duration,
    calm_since: u64,
    /// The other side asked not to be called before.
    not_before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Caller,
    Prober,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Pass,
    Trial(u32),
    Refuse,
}

/// A transition that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) level: u8,
    pub(crate) generation: u64,
    pub(crate) reason: Option<Reason>,
}

pub(crate) type Changes = Vec<Change>;

impl Machine {
    pub(crate) fn new(word: Word) -> Self {
        Self {
            word,
            until: 0,
            outage: Outage::default(),
            trials: Trials::default(),
            step: 0,
            step_succeeded: false,
            probed: false,
            prober_seen: 0,
        }
    }

    pub(crate) fn word(&self) -> Word {
        self.word
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        self.outage.reason
    }

    pub(crate) fn since(&self) -> u64 {
        self.outage.since
    }

    pub(crate) fn until(&self) -> u64 {
        self.until
    }

    /// Whether the last outage is far enough back to start over.
    pub(crate) fn is_calm(&self, now: u64, recovery: &Recovery) -> bool {
        let calm = now.saturating_sub(self.outage.calm_since) >= recovery.quiet;
        self.word.is_closed() && (calm || self.outage.opens == 0)
    }

    /// When the first running trial call has to have ended.
    pub(crate) fn first_end(&self) -> Option<u64> {
        self.trials.first_end()
    }

    /// Trial calls that still decide something.
    pub(crate) fn running_trials(&self) -> usize {
        if self.word.state() == State::HalfOpen { self.trials.running() } else { 0 }
    }

    /// Whether a call may go out now. Transitions that time has made due happen first.
    pub(crate) fn admit(
        &mut self,
        now: u64,
        recovery: &Recovery,
        who: Who,
        out: &mut Changes,
    ) -> Admission {
        self.advance(now, recovery, who, out);
        match self.word.state() {
            State::Closed | State::Disabled | State::Ramping => Admission::Pass,
            State::Open | State::ForcedOpen => Admission::Refuse,
            State::HalfOpen => self.start_trial(now, recovery, who),
        }
    }

    fn start_trial(&mut self, now: u64, recovery: &Recovery, who: Who) -> Admission {
        if who == Who::Caller && self.probed && now < self.overdue(recovery) {
            return Admission::Refuse;
        }
        let id = self.trials.start(now.saturating_add(recovery.lease));
        if who == Who::Prober && id.is_some() {
            self.prober_seen = now;
        }
        id.map_or(Admission::Refuse, Admission::Trial)
    }

    /// Takes the result of a call admitted in generation `generation`, `trial` being its trial number or 0.
    ///
    /// False if it came too late to mean anything.
    pub(crate) fn settle(
        &mut self,
        now: u64,
        recovery: &Recovery,
        (generation, trial): (u64, u32),
        good: Option<bool>,
        out: &mut Changes,
    ) -> bool {
        if self.word.generation() != generation {
            return false;
        }
        match self.word.state() {
            State::HalfOpen => {
                // A trial call that ended too late has failed already, even if nobody noticed.
                self.trials.expire(now);
                let counted = self.trials.end(trial, good);
                self.decide(now, recovery, out);
                counted
            }
            State::Ramping => {
                self.step_succeeded |= good == Some(true);
                self.advance(now, recovery, Who::Caller, out);
                true
            }
            State::Closed | State::Disabled | State::Open | State::ForcedOpen => true,
        }
    }

    /// Opens because a rule tripped on calls of `generation`.
    pub(crate) fn trip(
        &mut self,
        now: u64,
        recovery: &Recovery,
        generation: u64,
        reason: Reason,
        out: &mut Changes,
    ) {
        let decides = matches!(self.word.state(), State::Closed | State::Ramping);
        if decides && self.word.generation() == generation {
            self.open(now, recovery, reason, out);
        }
    }

    /// The other side asked to be left alone for `wait`.
    pub(crate) fn hint(&mut self, now: u64, recovery: &Recovery, wait: u64) {
        let until = now.saturating_add(wait.min(recovery.max_hint));
        self.outage.not_before = self.outage.not_before.max(until);
    }

    /// Sets or clears the wish to have successes evaluated too.
    pub(crate) fn watch(&mut self, generation: u64, on: bool) {
        if self.word.generation() == generation {
            self.word = self.word.with_watch(on);
        }
    }

    pub(crate) fn shadow(&mut self, on: bool) {
        self.word = self.word.with_shadow(on);
    }

    /// Refuses everything until `until`; trial calls follow.
    pub(crate) fn force_open(&mut self, now: u64, until: u64, out: &mut Changes) {
        self.begin_outage(now);
        self.until = until;
        self.probed = false;
        self.go(State::ForcedOpen, 0, Some(Reason::Forced), out);
    }

    pub(crate) fn disable(&mut self, out: &mut Changes) {
        self.probed = false;
        self.go(State::Disabled, 0, None, out);
    }

    /// Closed, as if new.
    pub(crate) fn reset(&mut self, out: &mut Changes) {
        self.outage = Outage::default();
        self.probed = false;
        self.go(State::Closed, 0, None, out);
    }

    /// Says that a task probes from now on, or does not any more.
    pub(crate) fn set_probed(&mut self, now: u64, on: bool) {
        self.probed = on;
        self.prober_seen = now;
    }

    /// Before this moment no caller gets through, whatever else happens except a call's end.
    pub(crate) fn refuse_until(&self, recovery: &Recovery) -> u64 {
        match self.word.state() {
            State::Open if self.probed => self.overdue(recovery),
            State::Open | State::ForcedOpen | State::Ramping => self.until,
            State::HalfOpen if self.probed => self.overdue(recovery),
            State::HalfOpen if self.trials.has_room() => 0,
            State::HalfOpen => self.trials.first_end().unwrap_or(0),
            State::Closed | State::Disabled => 0,
        }
    }

    /// When callers stop waiting for a prober.
    fn overdue(&self, recovery: &Recovery) -> u64 {
        self.until.max(self.prober_seen).saturating_add(recovery.patience())
    }

    fn advance(&mut self, now: u64, recovery: &Recovery, who: Who, out: &mut Changes) {
        match self.word.state() {
            // Open => (HalfOpen)
            State::Open | State::ForcedOpen => {
                let left_to_prober = self.probed && who == Who::Caller;
                let due = if left_to_prober { self.overdue(recovery) } else { self.until };
                if now >= due && self.until != u64::MAX {
                    self.trials = Trials::new(recovery.permits, recovery.needed);
                    self.go(State::HalfOpen, 0, self.outage.reason, out);
                }
            }
            // HalfOpen => (HalfOpen | Open)
            State::HalfOpen => {
                self.trials.expire(now);
                self.decide(now, recovery, out);
            }
            // Ramping => (Ramping | Closed)
            State::Ramping if now >= self.until => self.ramp_on(now, recovery, out),
            State::Ramping | State::Closed | State::Disabled => {}
        }
    }

    fn decide(&mut self, now: u64, recovery: &Recovery, out: &mut Changes) {
        match self.trials.decision() {
            Decision::Failed { failed, permits } => {
                self.open(now, recovery, Reason::Trial { failed, permits }, out);
            }
            Decision::Passed => self.ramp_from(0, now, recovery, out),
            Decision::Undecided => {}
        }
    }

    fn ramp_on(&mut self, now: u64, recovery: &Recovery, out: &mut Changes) {
        if self.step_succeeded {
            self.ramp_from(self.step + 1, now, recovery, out);
        } else {
            // Nobody came, or nothing has ended yet: time alone proves nothing.
            self.until = now.saturating_add(recovery.step);
        }
    }

    fn ramp_from(&mut self, step: usize, now: u64, recovery: &Recovery, out: &mut Changes) {
        let Some(&level) = recovery.ramp.get(step) else {
            return self.close(now, out);
        };
        self.step = step;
        self.step_succeeded = false;
        self.until = now.saturating_add(recovery.step);
        if self.word.state() == State::Ramping {
            // Calls of the step before still count: same generation, other share.
            self.word = self.word.with_level(level);
            self.report(State::Ramping, self.outage.reason, out);
        } else {
            self.go(State::Ramping, level, self.outage.reason, out);
        }
    }

    fn close(&mut self, now: u64, out: &mut Changes) {
        self.outage.calm_since = now;
        self.outage.reason = None;
        self.probed = false;
        self.go(State::Closed, 0, None, out);
    }

    fn open(&mut self, now: u64, recovery: &Recovery, reason: Reason, out: &mut Changes) {
        if self.word.state() == State::Closed {
            if self.is_calm(now, recovery) {
                self.outage.opens = 0;
                self.outage.wait = Duration::ZERO;
            }
            self.begin_outage(now);
        }
        let outage = &mut self.outage;
        outage.opens = outage.opens.saturating_add(1);
        outage.wait = recovery.wait(outage.opens, outage.wait);
        self.until = now.saturating_add(millis(outage.wait)).max(outage.not_before);
        self.go(State::Open, 0, Some(reason), out);
    }

    fn begin_outage(&mut self, now: u64) {
        if matches!(self.word.state(), State::Closed | State::Disabled) {
            self.outage.since = now;
        }
    }

    fn go(&mut self, to: State, level: u8, reason: Option<Reason>, out: &mut Changes) {
        let from = self.word.state();
        self.word = self.word.next(to, level);
        self.outage.reason = reason;
        self.report(from, reason, out);
    }

    fn report(&self, from: State, reason: Option<Reason>, out: &mut Changes) {
        out.push(Change {
            from,
            to: self.word.state(),
            level: self.word.level(),
            generation: self.word.generation(),
            reason,
        });
    }
}
