//! What can happen to a breaker, and how often.

use mainstay_breaker::{Outcome, State};
use proptest::{option, prelude::*, sample::select};
use proptest_state_machine::ReferenceStateMachine;

use crate::{
    reference::{End, FOREVER, Reference},
    settings::{Settings, Span, settings},
};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Pass(u64),
    /// Time passes up to the next moment at which something happens, or to the millisecond before.
    PassTo {
        which: usize,
        before: bool,
    },
    Ask {
        how: How,
    },
    End {
        call: usize,
        end: End,
        hint: Option<u64>,
    },
    /// Calls one after the other, each ending at once.
    Burst {
        calls: u8,
        outcome: Outcome,
    },
    Configure(Box<Settings>),
    ForceOpen(Option<u64>),
    Disable,
    Reset,
    Shadow(bool),
}

/// A permit in the caller's hand, or a future around the work.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Permit,
    Future,
}

/// Where the clock of a test stands first.
pub(crate) const START: u64 = (1 << 20) * 1_000;

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        settings().prop_map(|settings| Self::new(settings, START)).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let outcomes = match state.state {
            // Recovery needs luck that lasts.
            State::HalfOpen | State::Ramping => (8, 1),
            _ => (3, 3),
        };
        let waits = matches!(state.state, State::Open | State::ForcedOpen | State::Ramping);
        prop_oneof![
            4 => (0_u64..50).prop_map(Step::Pass),
            1 => (0_u64..4_000).prop_map(Step::Pass),
            if waits { 12 } else { 3 } =>
                (any::<usize>(), any::<bool>()).prop_map(|(which, before)| Step::PassTo { which, before }),
            10 => select(vec![How::Permit, How::Future]).prop_map(|how| Step::Ask { how }),
            12 => (any::<usize>(), end(outcomes), option::weighted(0.3, 0_u64..600))
                .prop_map(|(call, end, hint)| Step::End { call, end, hint }),
            5 => (1_u8..30, outcome(outcomes)).prop_map(|(calls, outcome)| Step::Burst { calls, outcome }),
            2 => settings().prop_map(|settings| Step::Configure(Box::new(settings))),
            1 => option::weighted(0.8, 0_u64..100).prop_map(Step::ForceOpen),
            1 => Just(Step::Disable),
            if matches!(state.state, State::Disabled | State::ForcedOpen) { 8 } else { 1 } => Just(Step::Reset),
            1 => any::<bool>().prop_map(Step::Shadow),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.verdicts.clear();
        match step {
            Step::Pass(millis) => state.pass(*millis),
            Step::PassTo { which, before } => {
                let edges = state.edges();
                if !edges.is_empty() {
                    let edge = edges[which % edges.len()] - u64::from(*before);
                    state.pass(edge.saturating_sub(state.now));
                }
            }
            Step::Ask { .. } => state.ask(),
            Step::End { call, end, hint } => {
                if !state.calls.is_empty() {
                    state.end(call % state.calls.len(), *end, *hint);
                }
            }
            Step::Burst { calls, outcome } => {
                for _ in 0..*calls {
                    let before = state.calls.len();
                    state.ask();
                    if state.calls.len() > before {
                        state.end(before, End::Says(*outcome), None);
                    }
                }
            }
            Step::Configure(settings) => state.configure((**settings).clone()),
            Step::ForceOpen(millis) => state.force_open(*millis),
            Step::Disable => state.disable(),
            Step::Reset => state.reset(),
            Step::Shadow(on) => state.shadow = *on,
        }
        state
    }
}

impl Reference {
    /// Moments ahead at which something happens.
    fn edges(&self) -> Vec<u64> {
        let mut edges = Vec::new();
        if self.until != FOREVER {
            edges.extend([self.until.0, self.until.1]);
        }
        edges.extend(self.trials.running.iter().map(|(_, ends)| *ends));
        if let Span::Time(window) = self.settings.window {
            edges.push(self.now + window);
        }
        edges.retain(|edge| *edge > self.now);
        edges
    }
}

fn end(odds: (u32, u32)) -> impl Strategy<Value = End> {
    prop_oneof![6 => outcome(odds).prop_map(End::Says), 1 => Just(End::Dropped)]
}

fn outcome((good, bad): (u32, u32)) -> impl Strategy<Value = Outcome> {
    prop_oneof![
        2 * good => Just(Outcome::Success),
        bad => Just(Outcome::Failure),
        bad => Just(Outcome::Unknown),
        1 => Just(Outcome::Ignored),
    ]
}
