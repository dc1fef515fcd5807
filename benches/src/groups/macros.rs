//! Attributes, and the same calls by hand.

use std::future::ready;

use mainstay_breaker::{Breaker, breaker};
use mainstay_limiter::{Limiter, limit};
use mainstay_lock::{Locks, key, lock};

use super::error::Failed;
use crate::{
    harness::{
        Calls, Column, Parker, Side, Table, Whose, Work,
        calls::{ALLOCATIONS, Allocations, ONE},
    },
    report::{Bar, Limit},
};

const LIMIT: &str = "#[limit]";
const LIMIT_BY_HAND: &str = "limit by hand";
const LOCK: &str = "#[lock]";
const LOCK_BY_HAND: &str = "lock by hand";
const BREAKER: &str = "#[breaker]";
const BREAKER_BY_HAND: &str = "breaker by hand";
const STACK: &str = "#[limit] #[lock] #[breaker]";
const BYTES: &str = "bytes of the future";
const OVER_BODY: &str = "over the body, each";
/// Bytes that the body keeps over an await.
const BODY: usize = 1024;

struct Service {
    limiter: Limiter,
    locks: Locks,
    bank: Breaker,
}

/// A body with something to keep.
async fn body(n: u64) -> Result<u64, Failed> {
    let bytes = [n as u8; BODY];
    ready(()).await;
    Ok(n + u64::from(std::hint::black_box(&bytes)[7]))
}

impl Service {
    fn new() -> Self {
        Self {
            limiter: Limiter::in_process(),
            locks: Locks::in_process(),
            bank: Breaker::new("bank"),
        }
    }

    #[limit(with = self.limiter, key = "bank:pay")]
    async fn limited(&self, n: u64) -> Result<u64, Failed> {
        body(n).await
    }

    async fn limited_by_hand(&self, n: u64) -> Result<u64, Failed> {
        self.limiter.acquire("bank:pay").run(async move { body(n).await }).await
    }

    #[lock(with = self.locks, key = "order:{n}")]
    async fn locked(&self, n: u64) -> Result<u64, Failed> {
        body(n).await
    }

    async fn locked_by_hand(&self, n: u64) -> Result<u64, Failed> {
        self.locks.lock(key!("order:{}", n)).run(async move { body(n).await }).await
    }

    #[breaker(with = self.bank)]
    async fn broken(&self, n: u64) -> Result<u64, Failed> {
        body(n).await
    }

    async fn broken_by_hand(&self, n: u64) -> Result<u64, Failed> {
        self.bank.call().run(async move { body(n).await }).await
    }

    #[limit(with = self.limiter, key = "bank:pay")]
    #[lock(with = self.locks, key = "order:{n}")]
    #[breaker(with = self.bank)]
    async fn stacked(&self, n: u64) -> Result<u64, Failed> {
        body(n).await
    }
}

/// Calls through each attribute and by hand.
pub fn calls() -> Calls {
    macro_rules! side {
        ($side:ident, $name:expr, $method:ident) => {
            Side::$side($name, |_| {
                let (service, parker): (Service, Parker) = (Service::new(), Parker::new());
                let work: Work = Box::new(move |times| {
                    for n in 0..times {
                        // One key again and again, as for one order.
                        let n = std::hint::black_box(n & 1);
                        std::hint::black_box(parker.wait(service.$method(n)))
                            .expect("it is let in");
                    }
                });
                work
            })
        };
    }
    Calls {
        title: "Attribute: a call, and the same by hand",
        note: "The body keeps 1 KiB over an await that ends at once. Each thread has handles of its own.",
        sides: vec![
            Side::theirs("bare body", |_| crate::harness::side::futures(body)),
            side!(theirs, LIMIT_BY_HAND, limited_by_hand),
            side!(ours, LIMIT, limited),
            side!(theirs, LOCK_BY_HAND, locked_by_hand),
            side!(ours, LOCK, locked),
            side!(theirs, BREAKER_BY_HAND, broken_by_hand),
            side!(ours, BREAKER, broken),
            side!(ours, STACK, stacked),
        ],
    }
}

/// How large the futures are.
pub fn sizes(_: &Allocations) -> Table {
    let service = Service::new();
    let bare = size_of_val(&body(0));
    let rows = [
        ("the body", Whose::Theirs, bare, 1),
        (LIMIT_BY_HAND, Whose::Theirs, size_of_val(&service.limited_by_hand(0)), 1),
        (LIMIT, Whose::Ours, size_of_val(&service.limited(0)), 1),
        (LOCK_BY_HAND, Whose::Theirs, size_of_val(&service.locked_by_hand(0)), 1),
        (LOCK, Whose::Ours, size_of_val(&service.locked(0)), 1),
        (BREAKER_BY_HAND, Whose::Theirs, size_of_val(&service.broken_by_hand(0)), 1),
        (BREAKER, Whose::Ours, size_of_val(&service.broken(0)), 1),
        (STACK, Whose::Ours, size_of_val(&service.stacked(0)), 3),
    ];
    let columns = vec![Column { name: BYTES, unit: "B" }, Column { name: OVER_BODY, unit: "B" }];
    let note =
        "What the future of a call takes. An `async fn` around the body would keep it twice.";
    let sides = rows.iter().map(|row| (row.0, row.1));
    let mut table = Table::new("Size of the futures", note, columns, sides);
    for (place, (_, _, size, attributes)) in rows.into_iter().enumerate() {
        table.push(place, 0, size as f64);
        table.push(place, 1, (size as f64 - bare as f64) / f64::from(attributes));
    }
    table
}

/// What an attribute may cost over the same call by hand.
pub fn bars() -> Vec<Bar> {
    let pairs = [(LIMIT, LIMIT_BY_HAND), (LOCK, LOCK_BY_HAND), (BREAKER, BREAKER_BY_HAND)];
    let each = |(attribute, by_hand)| {
        [
            Bar::over(
                "allocations more than by hand",
                (attribute, ALLOCATIONS),
                (by_hand, ALLOCATIONS),
                Limit::AtMost(0.0),
            ),
            Bar::over(
                "bytes of the future more than by hand",
                (attribute, BYTES),
                (by_hand, BYTES),
                Limit::AtMost(160.0),
            ),
            Bar::ratio(
                "CPU time against the call by hand",
                (attribute, ONE),
                (by_hand, ONE),
                Limit::Shown,
            ),
        ]
    };
    let mut bars: Vec<Bar> = pairs.into_iter().flat_map(each).collect();
    let bytes = (STACK, OVER_BODY);
    bars.push(Bar::value("bytes over the body for each of 3 attributes", bytes, Limit::Shown));
    bars
}
