//! What may happen.

use proptest::prelude::*;

use super::{CALLERS, LEASE};

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Asks; with a lease that is not renewed if one is given.
    Ask {
        who: usize,
        shared: bool,
        wait: u64,
        fixed: Option<u64>,
    },
    /// Releases, cancels, or forgets a refusal.
    Leave {
        who: usize,
    },
    /// Lets a lease last for so long that what is left of it in the end is seen.
    Extend {
        who: usize,
    },
    Force,
    LoseData,
    /// A replica has got so far.
    Replicate,
    /// It is promoted.
    FallBack,
    CutConnections,
    /// By so many milliseconds; back, if they are fewer than none.
    StepClock(i64),
    Stall(u64),
    PublishAgain,
    ForgetScripts,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let wait = prop_oneof![Just(0_u64), Just(20), Just(60_000), Just(60_000)];
    let fixed = proptest::option::weighted(0.3, prop_oneof![Just(15_u64), Just(60)]);
    let asks = (0..CALLERS, proptest::bool::weighted(0.4), wait, fixed);
    prop_oneof![
        10 => asks.prop_map(|(who, shared, wait, fixed)| Op::Ask { who, shared, wait, fixed }),
        8 => (0..CALLERS).prop_map(|who| Op::Leave { who }),
        3 => (0..CALLERS).prop_map(|who| Op::Extend { who }),
        1 => Just(Op::Force),
        2 => Just(Op::LoseData),
        2 => Just(Op::Replicate),
        1 => Just(Op::FallBack),
        2 => prop_oneof![-150_i64..-4, 5_i64..150, Just(2_000)].prop_map(Op::StepClock),
        1 => Just(Op::CutConnections),
        1 => (5_u64..40).prop_map(Op::Stall),
        2 => Just(Op::PublishAgain),
        1 => Just(Op::ForgetScripts),
        6 => (0_u64..40).prop_map(Op::Pass),
    ]
}

/// One thing, or a few that chance would seldom bring together.
pub(super) fn scene() -> impl Strategy<Value = Vec<Op>> {
    let three = Just((0..CALLERS).collect::<Vec<_>>()).prop_shuffle();
    let three = three.prop_map(|all| [all[0], all[1], all[2]]);
    let loss = prop_oneof![Just(Op::Force), Just(Op::LoseData), Just(Op::LoseData)];
    prop_oneof![
        14 => op().prop_map(|op| vec![op]),
        1 => (three.clone(), any::<bool>(), loss).prop_map(renewed_after_a_loss),
        1 => (three.clone(), 60_i64..150).prop_map(granted_after_a_step),
        1 => three.prop_map(granted_after_a_fall),
    ]
}

fn asks(who: usize, shared: bool, fixed: Option<u64>) -> Op {
    Op::Ask { who, shared, wait: 60_000, fixed }
}

/// The name is taken from one, another one has it, and the first one's renewal is due.
fn renewed_after_a_loss(([one, two, _], shared, loss): ([usize; 3], bool, Op)) -> Vec<Op> {
    let [first, second] = [one, two].map(|who| asks(who, shared, None));
    let leave = [one, two].map(|who| Op::Leave { who });
    let rest = [first, loss, second, Op::Pass(LEASE / 3 + 60)];
    leave.into_iter().chain(rest).collect()
}

/// One hears of its grant by a push from a server whose clock was set forward since it had asked.
fn granted_after_a_step(([one, two, three], millis): ([usize; 3], i64)) -> Vec<Op> {
    let leave = [one, two, three].map(|who| Op::Leave { who });
    let asks = [asks(one, false, None), asks(two, false, Some(60)), asks(three, false, None)];
    let rest = [Op::StepClock(millis), Op::Leave { who: one }];
    let rest = rest.into_iter().chain([70, 10, 10, 10].map(Op::Pass));
    leave.into_iter().chain(asks).chain(rest).collect()
}

/// What one was granted is unknown to the replica that is promoted, and somebody waits for what it knows.
fn granted_after_a_fall([one, two, three]: [usize; 3]) -> Vec<Op> {
    let leave = |who| Op::Leave { who };
    let known = [asks(one, false, Some(60)), asks(two, false, None), Op::Replicate];
    let unknown = [leave(one), leave(two), asks(three, false, None), leave(three), Op::FallBack];
    let gone = [one, two, three].into_iter().map(leave);
    gone.chain(known).chain(unknown).chain([asks(one, false, None), Op::Pass(80)]).collect()
}
