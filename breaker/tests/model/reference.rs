//! What a breaker does, written to be read: no locks, no words, no buckets to share.

use std::collections::BTreeSet;

use mainstay_breaker::{Outcome, Ratio, Reason, State, Tally};

use crate::{
    history::History,
    settings::{Settings, Span},
};

/// A wait of random length gives two times: not before the first, from the second on for sure.
pub(crate) type Between = (u64, u64);

pub(crate) const FOREVER: Between = (u64::MAX, u64::MAX);

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) settings: Settings,
    pub(crate) now: u64,
    pub(crate) state: State,
    pub(crate) generation: u64,
    pub(crate) shadow: bool,
    pub(crate) history: History,
    /// Bad calls in a row.
    pub(crate) row: u32,
    /// Good calls are judged too: a share is over its limit and calls are missing.
    watched: bool,
    pub(crate) reason: Option<Reason>,
    pub(crate) since: u64,
    pub(crate) until: Between,
    opens: u32,
    wait: Between,
    closed_since: u64,
    not_before: u64,
    pub(crate) trials: Trials,
    ramp_step: usize,
    pub(crate) percent: u8,
    step_succeeded: bool,
    asked: u64,
    pub(crate) calls: Vec<Call>,
    pub(crate) refused: u64,
    pub(crate) late: u64,
    /// The answers of the last step, in order.
    pub(crate) verdicts: Vec<Verdict>,
    /// What this run has come by.
    pub(crate) seen: BTreeSet<&'static str>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Trials {
    permits: u32,
    needed: u32,
    good: u32,
    bad: u32,
    last: u32,
    /// Number and end of the lease.
    pub(crate) running: Vec<(u32, u64)>,
}

impl Trials {
    pub(crate) fn is_full(&self) -> bool {
        self.good + self.bad + u32::try_from(self.running.len()).unwrap() >= self.permits
    }

    /// When the first lease ends.
    pub(crate) fn first_end(&self) -> Option<u64> {
        self.running.iter().map(|(_, ends)| *ends).min()
    }
}

/// A call on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    generation: u64,
    /// When it was let out, if anybody needed to know then.
    at: Option<u64>,
    trial: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Pass { trial: bool },
    /// With what a refusal says: state, percent, why, how long the outage lasts, when to call again.
    Refuse { state: State, percent: u8, reason: Option<Reason>, since: u64, after: Between },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Says(Outcome),
    Dropped,
}

impl Reference {
    pub(crate) fn new(settings: Settings, now: u64) -> Self {
        Self {
            settings,
            now,
            state: State::Closed,
            generation: 1,
            shadow: false,
            history: History::default(),
            row: 0,
            watched: false,
            reason: None,
            since: 0,
            until: (0, 0),
            opens: 0,
            wait: (0, 0),
            closed_since: 0,
            not_before: 0,
            trials: Trials::default(),
            ramp_step: 0,
            percent: 0,
            step_succeeded: false,
            asked: 0,
            calls: Vec::new(),
            refused: 0,
            late: 0,
            verdicts: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.history.tally(self.settings.window, self.now)
    }

    /// Time passes. It does not stop where a random wait may be over or not.
    pub(crate) fn pass(&mut self, millis: u64) {
        if self.tally().calls() > 0 && matches!(self.settings.window, Span::Time(t) if t < millis) {
            self.seen.insert("idle for longer than the window");
        }
        self.now += millis;
        let waits = matches!(self.state, State::Open | State::ForcedOpen);
        if waits && (self.until.0..self.until.1).contains(&self.now) {
            self.now = self.until.1;
        }
    }

    // Asking.

    pub(crate) fn ask(&mut self) {
        self.time_passed();
        let verdict = match self.state {
            State::Closed | State::Disabled => self.let_out(None),
            State::Open | State::ForcedOpen => self.refuse(),
            State::HalfOpen if self.trials.is_full() => self.refuse(),
            State::HalfOpen => {
                self.trials.last += 1;
                let ends = self.now + self.settings.lease();
                self.trials.running.push((self.trials.last, ends));
                self.let_out(Some(self.trials.last))
            }
            State::Ramping => {
                let turn = self.asked % 100;
                let share = |calls: u64| (calls * u64::from(self.percent)).div_ceil(100);
                let passes = share(turn) < share(turn + 1);
                self.asked += 1;
                if passes { self.let_out(None) } else { self.refuse() }
            }
            other => unreachable!("{other:?}"),
        };
        self.verdicts.push(verdict);
    }

    fn let_out(&mut self, trial: Option<u32>) -> Verdict {
        let settings = &self.settings;
        let untimed = matches!(settings.window, Span::Calls(_))
            && settings.slow.is_none()
            && settings.dropped().is_none();
        let at = (self.state != State::Closed || !untimed).then_some(self.now);
        self.calls.push(Call { generation: self.generation, at, trial });
        Verdict::Pass { trial: trial.is_some() }
    }

    fn refuse(&mut self) -> Verdict {
        if self.shadow {
            return self.let_out(None);
        }
        self.refused += 1;
        Verdict::Refuse {
            state: self.state,
            percent: self.percent,
            reason: self.reason,
            since: self.now - self.since,
            after: self.refuses_until().map_or((0, 0), |until| self.left(until)),
        }
    }

    /// Until when nobody who asks gets through, as far as time decides.
    pub(crate) fn refuses_until(&self) -> Option<Between> {
        let until = match self.state {
            State::Open | State::ForcedOpen | State::Ramping => Some(self.until),
            State::HalfOpen if self.trials.is_full() => {
                self.trials.first_end().map(|end| (end, end))
            }
            _ => None,
        };
        until.filter(|until| until.0 > self.now)
    }

    pub(crate) fn left(&self, until: Between) -> Between {
        (until.0.saturating_sub(self.now), until.1.saturating_sub(self.now))
    }

    // What time does, noticed by whoever comes.

    fn time_passed(&mut self) {
        match self.state {
            State::Open | State::ForcedOpen if self.now >= self.until.1 && self.until != FOREVER => {
                let (permits, needed) = (self.settings.permits, self.settings.needed());
                self.trials = Trials { permits, needed, ..Trials::default() };
                self.go(State::HalfOpen, self.reason);
            }
            State::HalfOpen => self.end_leases(),
            State::Ramping if self.now >= self.until.1 && self.step_succeeded => {
                self.ramp(self.ramp_step + 1);
            }
            State::Ramping if self.now >= self.until.1 => self.until = self.after_step(),
            _ => {}
        }
    }

    fn end_leases(&mut self) {
        let before = self.trials.running.len();
        self.trials.running.retain(|(_, ends)| *ends > self.now);
        let hung = before - self.trials.running.len();
        if hung > 0 {
            self.seen.insert("a hung trial call");
        }
        self.trials.bad += u32::try_from(hung).unwrap();
        self.decide();
    }

    fn decide(&mut self) {
        let Trials { permits, needed, good, bad, .. } = self.trials;
        if permits - bad.min(permits) < needed {
            self.open(Reason::Trial { failed: bad, permits });
        } else if good >= needed {
            self.ramp(0);
        }
    }

    // Calls that end.

    pub(crate) fn end(&mut self, call: usize, end: End, hint: Option<u64>) {
        let call = self.calls.swap_remove(call);
        let ran = call.at.map(|at| self.now - at);
        let outcome = match end {
            End::Says(outcome) => outcome,
            End::Dropped => match (ran, self.settings.dropped()) {
                (Some(ran), Some(limit)) if ran >= limit => Outcome::Unknown,
                _ => Outcome::Ignored,
            },
        };
        // A dropped call has no answer that could ask for anything.
        let hint = hint.filter(|_| matches!(end, End::Says(_)));
        let threshold = self.settings.slow.map(|(threshold, ..)| threshold);
        let slow = matches!((ran, threshold), (Some(ran), Some(limit)) if ran >= limit);
        let current = call.generation == self.generation;
        match (outcome, current, self.state) {
            (Outcome::Ignored, true, State::HalfOpen) => self.end_trial(call, None),
            (Outcome::Ignored, ..) => {}
            (_, false, _) => {
                self.seen.insert("a stale result");
                self.late += 1;
            }
            (_, true, State::Closed | State::Ramping) => {
                self.record(call, outcome, slow);
                self.judge(outcome, slow, hint);
            }
            (_, true, State::Disabled) => self.record(call, outcome, slow),
            (_, true, _) => {
                self.take_hint(hint);
                if self.state == State::HalfOpen {
                    self.end_trial(call, Some(outcome == Outcome::Success && !slow));
                }
            }
        }
    }

    fn record(&mut self, call: Call, outcome: Outcome, slow: bool) {
        // The end is looked up where it is needed; a good call counts from its beginning else.
        let bad = outcome != Outcome::Success;
        let looked_up = bad || self.settings.slow.is_some();
        let at = if looked_up { self.now } else { call.at.unwrap_or(self.now) };
        self.history.record(self.settings.window, at, outcome, slow);
    }

    fn end_trial(&mut self, call: Call, good: Option<bool>) {
        // What nobody admitted as a trial call (shadow mode) means nothing and moves the leases only.
        let Some(trial) = call.trial else {
            if good.is_some() {
                self.end_leases();
            }
            return;
        };
        self.trials.running.retain(|(_, ends)| *ends > self.now || good == Some(true) && false);
        let _ = trial;
        unimplemented!()
    }
}
