//! Layers on top of each other, and attributes.

use mainstay_breaker::{Breaker, BreakerLayer};
use mainstay_limiter::{Bulkhead, LimitLayer, Limiter, ResolvedScopes};
use tower::{Layer, ServiceBuilder, limit::GlobalConcurrencyLimitLayer, load_shed::LoadShedLayer};
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

use super::{
    Group, Part,
    limiter::{echo, resolved},
    macros,
};
use crate::{
    harness::{
        Calls, Side,
        calls::{ALLOCATIONS, ONE, TWO},
        side::service,
    },
    report::{Bar, Limit},
};

const TOWER: &str = "tower load shed, 2 concurrency limits";
const OURS: &str = "mainstay limit, bulkhead, breaker";

/// Measurements of several parts together.
pub fn group() -> Group {
    let mut bars = vec![
        Bar::ratio("stacked layers, 1 thread", (OURS, ONE), (TOWER, ONE), Limit::AtMost(1.5)),
        Bar::ratio("stacked layers, 2 threads", (OURS, TWO), (TOWER, TWO), Limit::AtMost(1.5)),
        Bar::value("allocations of stacked layers", (OURS, ALLOCATIONS), Limit::AtMost(0.0)),
    ];
    bars.extend(macros::bars());
    let parts =
        vec![Part::Calls(layers()), Part::Calls(macros::calls()), Part::Known(macros::sizes)];
    Group { name: "stack", title: "Stacked layers and attributes", parts, bars }
}

fn layers() -> Calls {
    let tower = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(1_000))
        .layer(GlobalConcurrencyLimitLayer::new(1_000))
        .service(echo());
    let scopes: ResolvedScopes = resolved(&["bank"]);
    let ours = ServiceBuilder::new()
        .layer(LimitLayer::new(Limiter::in_process(), move |_: &u64| scopes.clone()))
        .layer(LimitLayer::bulkhead(Bulkhead::new("pay", 1_000)))
        .layer(BreakerLayer::new(Breaker::new("bank")))
        .service(echo());
    let bulkhead =
        || BulkheadLayer::builder().max_concurrent_calls(1_000).build().expect("a bulkhead");
    let breaker = CircuitBreakerLayer::builder().build().expect("a breaker");
    let theirs = bulkhead().layer(bulkhead().layer(breaker.layer(echo())));
    Calls {
        title: "Stack: three layers around a service",
        note: "tower has no breaker; its load shedding stands in for one, as the cheapest of its layers that refuses.",
        sides: vec![
            Side::theirs("bare service, no layer", |_| service(echo())),
            Side::theirs(TOWER, move |_| service(tower.clone())),
            Side::ours(OURS, move |_| service(ours.clone())),
            Side::theirs("tower-resilience 2 bulkheads, breaker", move |_| service(theirs.clone())),
        ],
    }
}
