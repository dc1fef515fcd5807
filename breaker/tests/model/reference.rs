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
    Pass {
        trial: bool,
    },
    /// With what a refusal says: state, percent, why, how long the outage lasts, when to call again.
    Refuse {
        state: State,
        percent: u8,
        reason: Option<Reason>,
        since: u64,
        after: Between,
    },
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
        let at = self.looked_up();
        self.time_passed();
        let verdict = match self.state {
            State::Closed | State::Disabled => self.let_out(at, None),
            State::Open | State::ForcedOpen => self.refuse(at),
            State::HalfOpen if self.trials.is_full() => self.refuse(at),
            State::HalfOpen => {
                self.trials.last += 1;
                let ends = self.now + self.settings.lease();
                self.trials.running.push((self.trials.last, ends));
                self.let_out(at, Some(self.trials.last))
            }
            State::Ramping => {
                let turn = self.asked % 100;
                let share = |calls: u64| (calls * u64::from(self.percent)).div_ceil(100);
                let passes = share(turn) < share(turn + 1);
                self.asked += 1;
                if passes { self.let_out(at, None) } else { self.refuse(at) }
            }
            other => unreachable!("{other:?}"),
        };
        self.verdicts.push(verdict);
    }

    /// The time of admission; while closed nobody looks it up unless a rule asks for it.
    fn looked_up(&self) -> Option<u64> {
        let settings = &self.settings;
        let asked_for = matches!(settings.window, Span::Time(_))
            || settings.slow.is_some()
            || settings.dropped().is_some();
        (asked_for || self.state != State::Closed).then_some(self.now)
    }

    fn let_out(&mut self, at: Option<u64>, trial: Option<u32>) -> Verdict {
        self.calls.push(Call { generation: self.generation, at, trial });
        Verdict::Pass { trial: trial.is_some() }
    }

    fn refuse(&mut self, at: Option<u64>) -> Verdict {
        if self.shadow {
            return self.let_out(at, None);
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
            State::Open | State::ForcedOpen
                if self.now >= self.until.1 && self.until != FOREVER =>
            {
                let (permits, needed) = (self.settings.permits, self.settings.needed());
                self.trials = Trials { permits, needed, ..Trials::default() };
                self.go(State::HalfOpen, self.reason);
            }
            State::HalfOpen => {
                self.end_leases();
                self.decide();
            }
            State::Ramping if self.now >= self.until.1 && self.step_succeeded => {
                self.ramp(self.ramp_step + 1);
            }
            State::Ramping if self.now >= self.until.1 => self.until = self.after_step(),
            _ => {}
        }
    }

    /// Trial calls that outlive their lease have failed.
    fn end_leases(&mut self) {
        let before = self.trials.running.len();
        self.trials.running.retain(|(_, ends)| *ends > self.now);
        let hung = before - self.trials.running.len();
        if hung > 0 {
            self.seen.insert("a hung trial call");
        }
        self.trials.bad += u32::try_from(hung).unwrap();
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
            (Outcome::Ignored, true, State::HalfOpen) if call.trial.is_some() => {
                self.end_trial(call, None);
            }
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
        self.end_leases();
        let running = &mut self.trials.running;
        let found = running.iter().position(|(number, _)| call.trial == Some(*number));
        match (found, good) {
            (Some(at), good) => {
                running.swap_remove(at);
                self.trials.good += u32::from(good == Some(true));
                self.trials.bad += u32::from(good == Some(false));
            }
            (None, Some(_)) if call.trial.is_some() => self.late += 1,
            // In shadow mode calls that are no trials come here, and mean nothing.
            (None, _) => {}
        }
        self.decide();
    }

    fn judge(&mut self, outcome: Outcome, slow: bool, hint: Option<u64>) {
        match outcome {
            Outcome::Success => self.row = 0,
            Outcome::Unknown if self.settings.unknown_weight == 0 => {}
            _ => self.row += 1,
        }
        let good = outcome == Outcome::Success && !slow;
        if good && !self.watched && self.state == State::Closed {
            return;
        }
        self.take_hint(hint);
        match self.rules() {
            Judged::Trip(reason) => return self.open(reason),
            Judged::Watch => self.watched = true,
            Judged::Calm => self.watched = false,
        }
        if self.state == State::Ramping {
            self.step_succeeded |= good;
            self.time_passed();
        }
    }

    fn take_hint(&mut self, hint: Option<u64>) {
        let wait = hint.unwrap_or(0).min(self.settings.max_hint);
        if hint.is_some() {
            self.not_before = self.not_before.max(self.now + wait);
        }
    }

    // Rules.

    fn rules(&self) -> Judged {
        let (tally, settings) = (self.tally(), &self.settings);
        let bad = self.bad(tally);
        let mut watch = false;
        if let Some((limit, min)) = settings.failure {
            let limit = Ratio::percent(limit);
            match self.rate(bad, limit, min) {
                Some((rate, calls, true)) => {
                    return Judged::Trip(Reason::FailureRate { rate, limit, calls });
                }
                over => watch |= over.is_some(),
            }
        }
        if let Some((_, limit, min)) = settings.slow {
            let limit = Ratio::percent(limit);
            match self.rate(tally.slow * 10_000, limit, min) {
                Some((rate, calls, true)) => {
                    return Judged::Trip(Reason::SlowRate { rate, limit, calls });
                }
                over => watch |= over.is_some(),
            }
        }
        if let Some(limit) = settings.row.map(|limit| limit.max(1)).filter(|l| self.row >= *l) {
            return Judged::Trip(Reason::Consecutive { calls: self.row, limit });
        }
        let calls = u32::try_from(bad / 10_000).unwrap();
        if let Some(limit) = settings.count.map(|limit| limit.max(1)).filter(|l| calls >= *l) {
            return Judged::Trip(Reason::Count { calls, limit });
        }
        if watch { Judged::Watch } else { Judged::Calm }
    }

    /// Bad calls, each as 10,000.
    pub(crate) fn bad(&self, tally: Tally) -> u64 {
        tally.failure * 10_000 + tally.unknown * u64::from(self.settings.unknown_weight) * 100
    }

    /// A share that reached its limit, with the calls looked at, and whether they are enough.
    fn rate(&self, scaled: u64, limit: Ratio, min: u32) -> Option<(Ratio, u32, bool)> {
        let calls = self.tally().calls();
        if scaled == 0 || share(scaled, calls) < limit {
            return None;
        }
        let share_let_out = if self.state == State::Ramping { self.percent } else { 100 };
        let needed = (u64::from(min) * u64::from(share_let_out) / 100).max(1);
        Some((share(scaled, calls), u32::try_from(calls).unwrap(), calls >= needed))
    }

    // Transitions.

    fn go(&mut self, to: State, reason: Option<Reason>) {
        self.seen.insert(name_of(to));
        self.state = to;
        self.generation += 1;
        self.reason = reason;
        self.percent = 0;
        self.watched = false;
        self.history = History::default();
        self.start_counting();
    }

    fn start_counting(&mut self) {
        (self.row, self.asked) = (0, 0);
    }

    fn open(&mut self, reason: Reason) {
        if self.state == State::Closed {
            if self.now - self.closed_since >= self.settings.quiet {
                (self.opens, self.wait) = (0, (0, 0));
            }
            self.since = self.now;
        }
        if self.state == State::Ramping {
            self.seen.insert("opened while ramping");
        }
        self.opens += 1;
        self.wait = self.settings.wait.bounds(self.opens, self.wait);
        let until = |wait| self.not_before.max(self.now + wait);
        self.until = (until(self.wait.0), until(self.wait.1));
        self.go(State::Open, Some(reason));
    }

    fn ramp(&mut self, step: usize) {
        let Some(&percent) = self.settings.ramp.get(step) else {
            self.closed_since = self.now;
            return self.go(State::Closed, None);
        };
        if self.state == State::Ramping {
            self.seen.insert("next step of a ramp");
            self.start_counting();
        } else {
            self.go(State::Ramping, self.reason);
        }
        (self.ramp_step, self.percent, self.step_succeeded) = (step, percent, false);
        self.until = self.after_step();
    }

    fn after_step(&self) -> Between {
        (self.now + self.settings.step(), self.now + self.settings.step())
    }

    // Operators.

    pub(crate) fn configure(&mut self, settings: Settings) {
        if std::mem::discriminant(&settings.window) != std::mem::discriminant(&self.settings.window)
        {
            self.history = History::default();
        }
        self.settings = settings;
    }

    pub(crate) fn force_open(&mut self, millis: Option<u64>) {
        if matches!(self.state, State::Closed | State::Disabled) {
            self.since = self.now;
        }
        self.until = millis.map_or(FOREVER, |millis| (self.now + millis, self.now + millis));
        self.go(State::ForcedOpen, Some(Reason::Forced));
    }

    pub(crate) fn disable(&mut self) {
        self.go(State::Disabled, None);
    }

    pub(crate) fn reset(&mut self) {
        (self.opens, self.wait, self.not_before, self.closed_since) = (0, (0, 0), 0, 0);
        self.go(State::Closed, None);
    }
}

enum Judged {
    Trip(Reason),
    Watch,
    Calm,
}

/// Rounded down to a hundredth of a percent.
pub(crate) fn share(scaled: u64, calls: u64) -> Ratio {
    let parts = u16::try_from(scaled.checked_div(calls).unwrap_or(0)).unwrap();
    Ratio::new(f64::from(parts) / 10_000.0).unwrap()
}

fn name_of(state: State) -> &'static str {
    match state {
        State::Closed => "closed again",
        State::Open => "open",
        State::HalfOpen => "half-open",
        State::Ramping => "ramping",
        State::ForcedOpen => "forced open",
        _ => "disabled",
    }
}
