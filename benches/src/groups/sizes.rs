//! Figures of memory.

use mainstay_breaker::Breakers;

use crate::harness::{Column, Table, Whose, calls::Allocations};

/// The breaker that is kept for a key nobody calls.
pub const IDLE: &str = "mainstay, idle keyed breaker";
/// Heading of sizes.
pub const BYTES: &str = "bytes";

/// Breakers that are made to measure one.
pub const BREAKERS: usize = 1_000;

/// A registry full of idle breakers.
pub fn idle_breakers() -> Breakers {
    let breakers = Breakers::builder().capacity(BREAKERS).build();
    for n in 0..BREAKERS {
        drop(breakers.get(format!("bank:{n:04}")));
    }
    breakers
}

/// What a breaker for a key takes.
pub fn keyed_breaker(allocations: &Allocations) -> Table {
    let columns = vec![Column { name: BYTES, unit: "B" }];
    let note = "What 1,000 idle breakers of one registry keep allocated, a breaker: with its key of 9 bytes and \
                its place in the map.";
    let sides = [(IDLE, Whose::Ours)].into_iter();
    let mut table = Table::new("Memory of a breaker for a key", note, columns, sides);
    if let Some(bytes) = allocations.get(IDLE) {
        table.push(0, 0, *bytes);
    }
    table
}
