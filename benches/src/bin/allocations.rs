//! Counts allocations, and prints them as JSON for `bench`, which runs it.
//!
//! A program of its own, because its allocator counts, and that would slow down whoever allocates.

use std::{collections::BTreeMap, error::Error};

use mainstay_benches::{
    groups::{self, Part, sizes},
    harness::Calls,
};
use tokio::runtime::{Builder, Handle};

/// Calls that are counted together.
const CALLS: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _inside = runtime.enter();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut counts = BTreeMap::new();
    for (name, make) in groups::ALL {
        if groups::is_wanted(name, &wanted) {
            for part in make().parts {
                if let Part::Calls(calls) = part {
                    count(&calls, &mut counts);
                }
            }
        }
    }
    counts.insert(sizes::IDLE.to_owned(), idle_breaker(runtime.handle()));
    println!("{}", serde_json::to_string(&counts)?);
    Ok(())
}

fn count(calls: &Calls, counts: &mut BTreeMap<String, f64>) {
    for side in &calls.sides {
        let mut work = side.work(0);
        // The first calls may fill registries.
        work(CALLS);
        let counted = allocation_counter::measure(|| work(CALLS));
        counts.insert(calls.allocations_of(side), counted.count_total as f64 / CALLS as f64);
    }
}

/// Bytes that stay allocated for a breaker of a registry.
fn idle_breaker(_runtime: &Handle) -> f64 {
    let mut kept = None;
    let counted = allocation_counter::measure(|| kept = Some(sizes::idle_breakers()));
    drop(kept);
    counted.bytes_current as f64 / sizes::BREAKERS as f64
}
