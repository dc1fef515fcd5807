//! Limits of concurrency, and rates.

use std::{num::NonZeroU32, sync::Arc};

use governor::RateLimiter;
use mainstay_limiter::{
    Bulkhead, Limit, LimitError, LimitLayer, Limiter, Quota, RateLimit, ResolvedScopes, Scopes,
};
use tokio::sync::Semaphore;
use tower::{Layer, Service, limit::GlobalConcurrencyLimitLayer, service_fn};
use tower_resilience_bulkhead::BulkheadLayer;

use super::{Group, Part, error::Failed};
use crate::{
    harness::{
        Calls, Side, Work,
        calls::{ONE, TWO},
        side::{futures, plain, service},
    },
    report::{Bar, Limit as Reach},
};

/// Slots of everything here: nobody is ever refused.
const SLOTS: usize = 1_000;

const SEMAPHORE: &str = "tokio Semaphore::try_acquire";
const SEMAPHORE_OWNED: &str = "tokio Semaphore::try_acquire_owned";
const BORROWED: &str = "mainstay try_enter, 1 scope";
const ONE_SCOPE: &str = "mainstay try_acquire, 1 scope";
const THREE_SCOPES: &str = "mainstay try_acquire, 3 scopes";
const TOWER: &str = "tower ConcurrencyLimit";
const LAYER: &str = "mainstay LimitLayer, 1 scope";

/// Measurements of the limiter.
pub fn group() -> Group {
    Group {
        name: "limiter",
        title: "Limiter",
        parts: vec![
            Part::Calls(handle()),
            Part::Calls(request()),
            Part::Calls(layer()),
            Part::Calls(rate()),
        ],
        bars: vec![
            Bar::ratio(
                "admit, borrowed, 1 thread",
                (BORROWED, ONE),
                (SEMAPHORE, ONE),
                Reach::AtMost(1.0),
            ),
            Bar::ratio(
                "admit, borrowed, 2 threads",
                (BORROWED, TWO),
                (SEMAPHORE, TWO),
                Reach::AtMost(1.0),
            ),
            Bar::ratio(
                "admit, owned, 1 thread",
                (ONE_SCOPE, ONE),
                (SEMAPHORE_OWNED, ONE),
                Reach::AtMost(1.0),
            ),
            Bar::ratio(
                "admit, owned, 2 threads",
                (ONE_SCOPE, TWO),
                (SEMAPHORE_OWNED, TWO),
                Reach::AtMost(1.0),
            ),
            Bar::ratio("layer call, 1 thread", (LAYER, ONE), (TOWER, ONE), Reach::AtMost(1.0)),
            Bar::ratio("layer call, 2 threads", (LAYER, TWO), (TOWER, TWO), Reach::AtMost(1.0)),
        ],
    }
}

/// A limiter with a limit on each of these scopes.
fn limiter(scopes: &[&str]) -> Limiter {
    let slots = u32::try_from(SLOTS).unwrap_or(u32::MAX);
    let limited = |limiter: mainstay_limiter::LimiterBuilder, scope: &&str| {
        limiter.limit(*scope, Limit::max(slots))
    };
    scopes.iter().fold(Limiter::builder(), limited).in_process()
}

/// Exactly these scopes, resolved.
pub(super) fn resolved(scopes: &[&str]) -> ResolvedScopes {
    limiter(scopes).scopes(Scopes::of(scopes.iter().copied())).expect("these are scopes")
}

/// The service that everything here is laid around.
pub(super) fn echo()
-> impl Service<u64, Response = u64, Error = Failed, Future: Send> + Clone + Send + 'static {
    service_fn(|n: u64| async move { Ok::<_, Failed>(n) })
}

fn handle() -> Calls {
    let semaphore = || Arc::new(Semaphore::new(SLOTS));
    let (borrowed, owned) = (semaphore(), semaphore());
    let (entered, one, three) =
        (resolved(&["bank"]), resolved(&["bank"]), resolved(&["all", "bank", "pay"]));
    let (by_name, bulkhead) =
        (limiter(&["global", "bank", "bank:pay"]), Bulkhead::new("pay", 1_000));
    Calls {
        title: "Handle: admit and release",
        note: "Nothing waits and nothing is refused. A borrowed permit cannot leave the function, an owned one can. \
               Scopes are resolved once, except where a name is looked up. A bulkhead also keeps a list of who is in, to name them in a refusal.",
        sides: vec![
            Side::theirs(SEMAPHORE, move |_| {
                let semaphore = borrowed.clone();
                plain(move |_| drop(semaphore.try_acquire().expect("there is room")))
            }),
            Side::theirs(SEMAPHORE_OWNED, move |_| {
                let semaphore = owned.clone();
                plain(move |_| semaphore.clone().try_acquire_owned().expect("there is room"))
            }),
            Side::ours(BORROWED, move |_| {
                let scopes = entered.clone();
                plain(move |_| drop(scopes.try_enter().expect("there is room")))
            }),
            Side::ours(ONE_SCOPE, move |_| admits(one.clone())),
            Side::ours(THREE_SCOPES, move |_| admits(three.clone())),
            Side::ours("mainstay, path of 3 scopes by name", move |_| {
                let limiter = by_name.clone();
                plain(move |_| drop(limiter.try_acquire("bank:pay").expect("there is room")))
            }),
            Side::ours("mainstay Bulkhead", move |_| {
                let bulkhead = bulkhead.clone();
                plain(move |_| drop(bulkhead.try_acquire().expect("there is room")))
            }),
        ],
    }
}

fn admits(scopes: ResolvedScopes) -> Work {
    plain(move |_| drop(scopes.try_acquire().expect("there is room")))
}

fn request() -> Calls {
    let semaphore = Arc::new(Semaphore::new(SLOTS));
    let (one, three) = (resolved(&["bank"]), resolved(&["all", "bank", "pay"]));
    let by_name = limiter(&["global", "bank", "bank:pay"]);
    Calls {
        title: "Request: run work under a permit",
        note: "The work is done at once. Requests know a wait budget, and work under them may enter again.",
        sides: vec![
            Side::theirs("tokio Semaphore::acquire", move |_| {
                let semaphore = semaphore.clone();
                futures(move |n| {
                    let semaphore = semaphore.clone();
                    async move {
                        let _permit = semaphore.acquire().await.map_err(|_| Failed::Broken)?;
                        Ok::<_, Failed>(n)
                    }
                })
            }),
            Side::ours("mainstay run, 1 scope", move |_| runs(one.clone())),
            Side::ours("mainstay run, 3 scopes", move |_| runs(three.clone())),
            Side::ours("mainstay run, path of 3 scopes by name", move |_| {
                let limiter = by_name.clone();
                futures(move |n| {
                    limiter.acquire("bank:pay").run(async move { Ok::<_, LimitError>(n) })
                })
            }),
        ],
    }
}

fn runs(scopes: ResolvedScopes) -> Work {
    futures(move |n| scopes.acquire().run(async move { Ok::<_, LimitError>(n) }))
}

fn layer() -> Calls {
    let tower = GlobalConcurrencyLimitLayer::new(SLOTS).layer(echo());
    let one = layered(&["bank"]).layer(echo());
    let three = layered(&["all", "bank", "pay"]).layer(echo());
    let by_name = limiter(&["global", "bank", "bank:pay"]);
    let by_name = LimitLayer::new(by_name, |_: &u64| "bank:pay").layer(echo());
    let bulkhead = LimitLayer::bulkhead(Bulkhead::new("pay", 1_000)).layer(echo());
    let peer = || BulkheadLayer::builder().max_concurrent_calls(SLOTS);
    let waits = peer().build().expect("a bulkhead").layer(echo());
    let presses = peer().backpressure().build().expect("a bulkhead").layer(echo());
    Calls {
        title: "Layer: a call through a tower service",
        note: "Clones of one service share the limit and call a service that answers at once. GlobalConcurrencyLimit \
               is tower's same service with the semaphore handed in.",
        sides: vec![
            Side::theirs("bare tower service", |_| service(echo())),
            Side::theirs(TOWER, move |_| service(tower.clone())),
            Side::ours(LAYER, move |_| service(one.clone())),
            Side::ours("mainstay LimitLayer, 3 scopes", move |_| service(three.clone())),
            Side::ours("mainstay LimitLayer, path of 3 scopes by name", move |_| {
                service(by_name.clone())
            }),
            Side::ours("mainstay LimitLayer, bulkhead", move |_| service(bulkhead.clone())),
            Side::theirs("tower-resilience bulkhead, wait", move |_| service(waits.clone())),
            Side::theirs("tower-resilience bulkhead, backpressure", move |_| {
                service(presses.clone())
            }),
        ],
    }
}

/// A layer that lets every call in at the same scopes, which are resolved once.
fn layered(
    scopes: &[&str],
) -> LimitLayer<
    mainstay_limiter::ByRequest<impl Fn(&u64) -> ResolvedScopes + Clone + Send + Sync + use<>>,
> {
    let limiter = limiter(scopes);
    let resolved = limiter.scopes(Scopes::of(scopes.iter().copied())).expect("these are scopes");
    LimitLayer::new(limiter, move |_: &u64| resolved.clone())
}

fn rate() -> Calls {
    // A cell comes back every nanosecond: nobody is refused.
    let cells = NonZeroU32::new(1_000_000_000).expect("it is not zero");
    let governor = Arc::new(RateLimiter::direct(governor::Quota::per_second(cells)));
    let ours = RateLimit::new("bank", Quota::per_second(cells.get()));
    Calls {
        title: "Rate: a cell that is there",
        note: "Ours is governor's algorithm on a clock with a fixed beginning and behind a quota that can be changed \
               at run time. governor runs with its default clock, which reads the processor's counter.",
        sides: vec![
            Side::theirs("governor direct", move |_| {
                let governor = governor.clone();
                plain(move |_| governor.check().is_ok())
            }),
            Side::ours("mainstay RateLimit::check", move |_| {
                let rate = ours.clone();
                plain(move |_| rate.check().is_ok())
            }),
        ],
    }
}
