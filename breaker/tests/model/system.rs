//! The breaker, driven by the steps and compared with the reference after each.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use mainstay_breaker::{
    Breaker, BreakerError, Breakers, CallHandle, CallPermit, ManualClock, Outcome, State,
};

use crate::{
    reference::{Between, End, Reference, Verdict, share},
    settings::ms,
    steps::{How, START, Step},
};

pub(crate) struct System {
    time: ManualClock,
    now: u64,
    breaker: Breaker,
    calls: Vec<Call>,
    verdicts: Vec<Result<bool, BreakerError>>,
}

/// A call on its way.
enum Call {
    Permit(CallPermit),
    Future { work: Pin<Box<dyn Future<Output = Result<Outcome, BreakerError>>>>, says: Says },
}

/// What the other side says in the end, and for how long it wants to be left alone.
#[derive(Clone)]
struct Says {
    outcome: Arc<Mutex<Option<Outcome>>>,
    handle: CallHandle,
}

impl System {
    pub(crate) fn single(reference: &Reference) -> Self {
        let time = ManualClock::new();
        let config = reference.settings.config();
        let breaker = Breaker::builder("bank").clock(time.clock()).config(config).build();
        Self::new(time, breaker)
    }

    pub(crate) fn keyed(reference: &Reference) -> Self {
        let time = ManualClock::new();
        let config = reference.settings.config();
        let breakers = Breakers::builder().clock(time.clock()).config(config).build();
        let breaker = breakers.get("bank").unwrap();
        Self::new(time, breaker)
    }

    fn new(time: ManualClock, breaker: Breaker) -> Self {
        assert_eq!(time.clock().coarse_millis(), START);
        Self { time, now: START, breaker, calls: Vec::new(), verdicts: Vec::new() }
    }

    pub(crate) fn apply(&mut self, reference: &Reference, step: &Step) {
        self.verdicts.clear();
        match step {
            // The reference says how far: it jumps over moments that chance decides.
            Step::Pass(_) | Step::PassTo { .. } => {
                self.time.advance(ms(reference.now - self.now));
                self.now = reference.now;
            }
            Step::Ask { how } => self.ask(*how),
            Step::End { call, end, hint } => {
                if !self.calls.is_empty() {
                    self.end(call % self.calls.len(), *end, *hint);
                }
            }
            Step::Burst { calls, outcome } => {
                for _ in 0..*calls {
                    let before = self.calls.len();
                    self.ask(How::Permit);
                    if self.calls.len() > before {
                        self.end(before, End::Says(*outcome), None);
                    }
                }
            }
            Step::Configure(settings) => self.breaker.configure(settings.config()),
            Step::ForceOpen(millis) => self.breaker.force_open(millis.map(ms), "drill"),
            Step::Disable => self.breaker.disable(),
            Step::Reset => self.breaker.reset(),
            Step::Shadow(on) => self.breaker.shadow(*on),
        }
        self.compare(reference);
    }

    fn ask(&mut self, how: How) {
        let asked = match how {
            How::Permit => self.breaker.try_admit().map(|permit| {
                let trial = permit.is_trial();
                (Call::Permit(permit), trial)
            }),
            How::Future => self.start(),
        };
        self.verdicts.push(asked.map(|(call, trial)| {
            self.calls.push(call);
            trial
        }));
    }

    fn start(&self) -> Result<(Call, bool), BreakerError> {
        let request = self.breaker.call();
        let says = Says { outcome: Arc::default(), handle: request.handle() };
        let answer = says.outcome.clone();
        let request = request.classify(|result: Result<&Outcome, &BreakerError>| {
            result.copied().unwrap_or(Outcome::Ignored)
        });
        let work = poll_fn(move |_| match *answer.lock().unwrap() {
            Some(outcome) => Poll::Ready(Ok(outcome)),
            None => Poll::Pending,
        });
        let mut work = Box::pin(request.run(work));
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Err(answer.expect_err("the work is not done")),
            Poll::Pending => {
                let trial = says.handle.is_trial();
                Ok((Call::Future { work, says }, trial))
            }
        }
    }

    fn end(&mut self, call: usize, end: End, hint: Option<u64>) {
        let End::Says(outcome) = end else {
            drop(self.calls.swap_remove(call));
            return;
        };
        match self.calls.swap_remove(call) {
            Call::Permit(mut permit) => {
                if let Some(hint) = hint {
                    permit.retry_after(ms(hint));
                }
                permit.finish(outcome);
            }
            Call::Future { mut work, says } => {
                if let Some(hint) = hint {
                    says.handle.retry_after(ms(hint));
                }
                *says.outcome.lock().unwrap() = Some(outcome);
                let done = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert_eq!(done, Poll::Ready(Ok(outcome)));
            }
        }
    }

    fn compare(&self, reference: &Reference) {
        assert_eq!(self.verdicts.len(), reference.verdicts.len());
        for (got, expected) in self.verdicts.iter().zip(&reference.verdicts) {
            compare_verdict(got, expected);
        }
        let (seen, tally) = (self.breaker.snapshot(), reference.tally());
        assert_eq!((seen.state, seen.generation), (reference.state, reference.generation));
        assert_eq!(self.breaker.state(), reference.state);
        assert_eq!(seen.tally, tally, "the window");
        assert_eq!(seen.failure_rate, share(reference.bad(tally), tally.calls()));
        assert_eq!(seen.slow_rate, share(tally.slow * 10_000, tally.calls()));
        assert_eq!(seen.consecutive, reference.row, "bad calls in a row");
        assert_eq!(seen.shadow, reference.shadow);
        let ramping = reference.state == State::Ramping;
        assert_eq!(seen.percent, ramping.then_some(reference.percent));
        assert_eq!(seen.reason, reference.reason);
        let since = reference.reason.map(|_| ms(reference.now - reference.since));
        assert_eq!(seen.since, since, "how long the outage lasts");
        let half_open = reference.state == State::HalfOpen;
        let running = if half_open { reference.trials.running.len() } else { 0 };
        assert_eq!(seen.trials, running, "trial calls");
        assert_eq!((seen.refused, seen.late), (reference.refused, reference.late));
        let expected = reference.refuses_until().filter(|until| until.0 != u64::MAX);
        compare_wait(seen.retry_after, expected.map(|until| reference.left(until)));
    }
}

fn compare_verdict(got: &Result<bool, BreakerError>, expected: &Verdict) {
    let (error, verdict) = match (got, expected) {
        (Ok(got), Verdict::Pass { trial }) => return assert_eq!(got, trial, "a trial call"),
        (Err(error), verdict @ Verdict::Refuse { .. }) => (error, verdict),
        (got, expected) => panic!("got {got:?}, expected {expected:?}"),
    };
    let Verdict::Refuse { state, percent, reason, since, after } = verdict else { unreachable!() };
    let said = match error {
        BreakerError::Open { reason: got, since: lasts, .. } => {
            assert_eq!((Some(*got), *lasts), (*reason, ms(*since)));
            State::Open
        }
        BreakerError::HalfOpen { reason: got, .. } => {
            assert_eq!(Some(*got), *reason);
            State::HalfOpen
        }
        BreakerError::Ramping { percent: got, .. } => {
            assert_eq!(got, percent);
            State::Ramping
        }
        BreakerError::ForcedOpen { reason, .. } => {
            assert_eq!(&**reason, "drill");
            State::ForcedOpen
        }
        other => panic!("{other}"),
    };
    assert_eq!(said, *state);
    compare_wait(error.retry_after(), Some(*after).filter(|after| after.0 < u64::MAX / 2));
}

fn compare_wait(got: Option<std::time::Duration>, expected: Option<Between>) {
    match (got, expected) {
        (Some(got), Some((low, high))) => {
            assert!((ms(low)..=ms(high)).contains(&got), "{got:?} is not in {low}..={high} ms");
        }
        (got, expected) => assert_eq!(got.is_some(), expected.is_some(), "{got:?}, {expected:?}"),
    }
}
