//! Circuit breakers.

use std::{sync::Arc, time::Duration};

use failsafe::futures::CircuitBreaker as _;
use mainstay_breaker::{Backoff, Breaker, BreakerError, BreakerLayer, Outcome, Ratio};
use recloser::{AsyncRecloser, Recloser};
use tower::{Layer, Service};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

use super::{Group, Part, error::Failed, limiter::echo, sizes};
use crate::{
    harness::{
        Calls, Parker, Side, Work,
        calls::{ALLOCATIONS, ONE, TWO},
        side::{futures, plain, service},
    },
    report::{Bar, Limit},
};

const BARE: &str = "bare async fn";
const RUN: &str = "mainstay run";
const ADMIT: &str = "mainstay try_admit and finish";
const RECLOSER: &str = "recloser";
const RECLOSER_ASYNC: &str = "recloser async";
const BARE_SERVICE: &str = "bare tower service";
const LAYER: &str = "mainstay BreakerLayer";
const RESILIENCE: &str = "tower-resilience";
const OPEN_RUN: &str = "mainstay run, refused";
const OPEN_ADMIT: &str = "mainstay try_admit, refused";
const OPEN_LAYER: &str = "mainstay BreakerLayer, refused";

/// Measurements of the breaker.
pub fn group() -> Group {
    let parts = vec![
        Part::Calls(direct()),
        Part::Calls(layer()),
        Part::Calls(refused()),
        Part::Known(sizes::keyed_breaker),
    ];
    Group { name: "breaker", title: "Breaker", parts, bars: bars() }
}

fn bars() -> Vec<Bar> {
    let most = Limit::AtMost;
    vec![
        Bar::over("direct call over a bare async fn", (RUN, ONE), (BARE, ONE), most(30.0)),
        Bar::over("layer over a bare tower service", (LAYER, ONE), (BARE_SERVICE, ONE), most(45.0)),
        Bar::ratio("direct call, 2 threads vs 1", (RUN, TWO), (RUN, ONE), most(1.2)),
        Bar::ratio("layer, 2 threads vs 1", (LAYER, TWO), (LAYER, ONE), most(1.2)),
        Bar::faster("layer vs tower-resilience's", (LAYER, ONE), (RESILIENCE, ONE), 7.0),
        Bar::faster(
            "CPU of the layer vs tower-resilience's, 2 threads",
            (LAYER, TWO),
            (RESILIENCE, TWO),
            20.0,
        ),
        Bar::faster(
            "direct call vs recloser async, 1 thread",
            (RUN, ONE),
            (RECLOSER_ASYNC, ONE),
            1.0,
        ),
        Bar::faster(
            "direct call vs recloser async, 2 threads",
            (RUN, TWO),
            (RECLOSER_ASYNC, TWO),
            1.0,
        ),
        Bar::faster("two-step call vs recloser, 1 thread", (ADMIT, ONE), (RECLOSER, ONE), 1.0),
        Bar::faster("two-step call vs recloser, 2 threads", (ADMIT, TWO), (RECLOSER, TWO), 1.0),
        Bar::value("refusal of a direct call", (OPEN_RUN, ONE), most(25.0)),
        Bar::value("refusal by try_admit", (OPEN_ADMIT, ONE), most(25.0)),
        Bar::value("refusal of the layer", (OPEN_LAYER, ONE), most(25.0)),
        Bar::value("allocations of a direct call", (RUN, ALLOCATIONS), most(0.0)),
        Bar::value("allocations of the layer", (LAYER, ALLOCATIONS), most(0.0)),
        Bar::value("allocations of a refused direct call", (OPEN_RUN, ALLOCATIONS), most(0.0)),
        Bar::value("allocations of a refusal of the layer", (OPEN_LAYER, ALLOCATIONS), most(0.0)),
        Bar::value("idle keyed breaker", (sizes::IDLE, sizes::BYTES), most(256.0)),
    ]
}

/// Slow calls count too, so that each call is timed.
fn timed(name: &str) -> Breaker {
    Breaker::builder(name).slow(Duration::from_secs(1), Ratio::percent(50), 20).build()
}

async fn answer(n: u64) -> Result<u64, BreakerError> {
    Ok(n)
}

/// For peers whose refusal has another type.
async fn answer_or_fail(n: u64) -> Result<u64, Failed> {
    Ok(n)
}

fn direct() -> Calls {
    let (plainly, slow, steps) = (Breaker::new("bank"), timed("bank"), Breaker::new("bank"));
    let sync = Arc::new(Recloser::custom().build());
    let concurrent = AsyncRecloser::from(Recloser::custom().build());
    let (consecutive, windowed) = (failsafe_consecutive(), failsafe_windowed());
    Calls {
        title: "Direct: a call that succeeds",
        note: "Each side with its own defaults. The work is done at once.",
        sides: vec![
            Side::theirs(BARE, |_| futures(answer)),
            Side::ours(RUN, move |_| runs(plainly.clone())),
            Side::ours("mainstay run, slow calls count", move |_| runs(slow.clone())),
            Side::ours(ADMIT, move |_| {
                let breaker = steps.clone();
                plain(move |n| {
                    breaker.try_admit().map(|permit| permit.finish(Outcome::Success)).map(|()| n)
                })
            }),
            Side::theirs(RECLOSER, move |_| {
                let breaker = sync.clone();
                plain(move |n| breaker.call(|| Ok::<_, Failed>(n)))
            }),
            Side::theirs(RECLOSER_ASYNC, move |_| {
                let breaker = concurrent.clone();
                futures(move |n| breaker.call(answer_or_fail(n)))
            }),
            Side::theirs("failsafe consecutive", move |_| {
                let breaker = consecutive.clone();
                futures(move |n| breaker.call(answer_or_fail(n)))
            }),
            Side::theirs("failsafe rate window", move |_| {
                let breaker = windowed.clone();
                futures(move |n| breaker.call(answer_or_fail(n)))
            }),
        ],
    }
}

fn runs(breaker: Breaker) -> Work {
    futures(move |n| breaker.call().run(answer(n)))
}

/// failsafe with its rule of failures in a row.
fn failsafe_consecutive() -> impl failsafe::futures::CircuitBreaker + Clone + Send + Sync + 'static
{
    let backoff = failsafe::backoff::constant(Duration::from_secs(3_600));
    let policy = failsafe::failure_policy::consecutive_failures(5, backoff);
    failsafe::Config::new().failure_policy(policy).build()
}

/// failsafe with its rule of a share in a window of time.
fn failsafe_windowed() -> impl failsafe::futures::CircuitBreaker + Clone + Send + Sync + 'static {
    let backoff = failsafe::backoff::constant(Duration::from_secs(3_600));
    let window = Duration::from_secs(10);
    let policy = failsafe::failure_policy::success_rate_over_time_window(0.5, 20, window, backoff);
    failsafe::Config::new().failure_policy(policy).build()
}

fn layer() -> Calls {
    let ours = BreakerLayer::new(Breaker::new("bank")).layer(echo());
    let slow = BreakerLayer::new(timed("bank")).layer(echo());
    let theirs = CircuitBreakerLayer::builder().build().expect("a breaker").layer(echo());
    Calls {
        title: "Layer: a call that succeeds",
        note: "Clones of one service share the breaker and call a service that answers at once.",
        sides: vec![
            Side::theirs(BARE_SERVICE, |_| service(echo())),
            Side::ours(LAYER, move |_| service(ours.clone())),
            Side::ours("mainstay BreakerLayer, slow calls count", move |_| service(slow.clone())),
            Side::theirs(RESILIENCE, move |_| service(theirs.clone())),
        ],
    }
}

fn refused() -> Calls {
    let (run, admit) = (open(), open());
    let layer = BreakerLayer::new(open()).layer(echo());
    let sync = Arc::new(open_recloser());
    let concurrent = AsyncRecloser::from(open_recloser());
    let consecutive = open_failsafe();
    let theirs = open_resilience();
    Calls {
        title: "Refused: a call while the breaker is open",
        note: "Refusals of ours say who refused, why, since when and when to come back; tower-resilience's, recloser's and \
               failsafe's say only that it was.",
        sides: vec![
            Side::ours(OPEN_RUN, move |_| runs(run.clone())),
            Side::ours(OPEN_ADMIT, move |_| {
                let breaker = admit.clone();
                plain(move |_| breaker.try_admit().is_ok())
            }),
            Side::ours(OPEN_LAYER, move |_| service(layer.clone())),
            Side::theirs("recloser, refused", move |_| {
                let breaker = sync.clone();
                plain(move |n| breaker.call(|| Ok::<_, Failed>(n)).is_ok())
            }),
            Side::theirs("recloser async, refused", move |_| {
                let breaker = concurrent.clone();
                futures(move |n| breaker.call(answer_or_fail(n)))
            }),
            Side::theirs("failsafe consecutive, refused", move |_| {
                let breaker = consecutive.clone();
                futures(move |n| breaker.call(answer_or_fail(n)))
            }),
            Side::theirs("tower-resilience, refused", move |_| service(theirs.clone())),
        ],
    }
}

fn open() -> Breaker {
    let backoff = Backoff::fixed(Duration::from_secs(3_600));
    let breaker = Breaker::builder("bank").consecutive(5).open_for(backoff).build();
    while let Ok(permit) = breaker.try_admit() {
        permit.finish(Outcome::Failure);
    }
    breaker
}

fn open_recloser() -> Recloser {
    let recloser = Recloser::custom().closed_len(1).open_wait(Duration::from_secs(3_600)).build();
    while !matches!(recloser.call(|| Err::<(), _>(())), Err(recloser::Error::Rejected)) {}
    recloser
}

fn open_failsafe() -> impl failsafe::futures::CircuitBreaker + Clone + Send + Sync + 'static {
    let (breaker, parker) = (failsafe_consecutive(), Parker::new());
    while breaker.is_call_permitted() {
        let _ = parker.wait(breaker.call(async { Err::<(), _>(()) }));
    }
    breaker
}

fn open_resilience()
-> impl Service<u64, Response = u64, Error: Send, Future: Send> + Clone + Send + Sync + 'static {
    let service = CircuitBreakerLayer::builder()
        .wait_duration_in_open(Duration::from_secs(3_600))
        .build()
        .expect("a breaker")
        .layer_fn(echo());
    Parker::new().wait(service.force_open());
    service
}
