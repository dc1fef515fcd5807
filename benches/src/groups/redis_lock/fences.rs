//! Fences while data get lost and the clock steps back.

use mainstay_lock::Locks;
use mainstay_testkit::redis::Reply;

use super::{OURS, locker::Locker, runtime, server};
use crate::harness::{Column, Effort, RunSide, Runs, Whose};

pub(super) const INVERSIONS: &str = "inversions";

/// Acquisitions in a row.
pub(super) fn runs() -> Runs {
    Runs {
        title: "Fences",
        note: "20,000 acquisitions one after the other (6,000 in a quick run); at each of 0.2 % all data are flushed, at 0.2 % the \
               lock's keys are deleted, and at 0.2 % the last fence is set 5 ms ahead, which is what a step back of the server's \
               clock amounts to. An inversion is a fence that is not above all earlier ones. A counter is what a fenced lock of \
               redisson for Java has; it is asked 2,000 times, with as many faults. None of the libraries measured here has fences.",
        columns: vec![
            Column { name: "acquisitions", unit: "" },
            Column { name: INVERSIONS, unit: "" },
        ],
        sides: vec![
            RunSide::new("INCR of a key", Whose::Theirs, counter),
            RunSide::new(OURS, Whose::Ours, ours),
        ],
    }
}

fn rounds(effort: Effort) -> u64 {
    20 * u64::try_from(effort.run.as_millis()).unwrap_or(1_000)
}

/// Counts what is not above all that came before.
#[derive(Default)]
struct Order {
    highest: i64,
    inversions: f64,
}

impl Order {
    fn note(&mut self, fence: i64) {
        if fence <= self.highest {
            self.inversions += 1.0;
        }
        self.highest = self.highest.max(fence);
    }
}

fn counter(effort: Effort) -> Vec<f64> {
    server::addr();
    runtime().block_on(async {
        server::flush().await;
        let mut order = Order::default();
        // One connection a command is slow, and order is all that counts here.
        for round in 0..rounds(effort) / 10 {
            let Reply::Int(fence) = server::ask(&["INCR", "fence"]).await else {
                panic!("INCR gives a number")
            };
            order.note(fence);
            match round % 50 {
                17 => server::flush().await,
                42 => _ = server::ask(&["DEL", "fence"]).await,
                _ => {}
            }
        }
        vec![(rounds(effort) / 10) as f64, order.inversions]
    })
}

fn ours(effort: Effort) -> Vec<f64> {
    let url = server::url();
    runtime().block_on(async {
        server::flush().await;
        let locks = Locks::connect(&url, std::time::Duration::from_secs(30)).await;
        let mut order = Order::default();
        let key = key(&locks).await;
        for round in 0..rounds(effort) {
            let held = locks.acquire(NAME.to_owned()).await;
            order.note(held.fence().get());
            match round % 500 {
                17 => server::flush().await,
                141 => _ = server::ask(&["DEL", &key]).await,
                _ => {}
            }
            Locks::release(held).await;
            if round % 500 == 371 {
                order.note(set_ahead(&key).await);
            }
        }
        vec![rounds(effort) as f64, order.inversions]
    })
}

/// Where the lock is kept.
async fn key(locks: &Locks) -> String {
    let held = locks.acquire(NAME.to_owned()).await;
    let keys = server::ask(&["KEYS", "*:held"]).await;
    Locks::release(held).await;
    keys.list().first().and_then(Reply::text).expect("a lock has a key").to_owned()
}

/// As if the last holder had a fence that the clock has not reached, because it was set back since; the record ends when
/// the clock has caught up.
async fn set_ahead(key: &str) -> i64 {
    let time = server::ask(&["TIME"]).await;
    let part = |at: usize| time.list().get(at).and_then(Reply::text)?.parse::<i64>().ok();
    let now = part(0).zip(part(1)).map(|(seconds, micros)| seconds * 1_000_000 + micros);
    let ahead = now.expect("TIME gives two numbers") + STEP;
    server::ask(&["SET", key, &format!("#{ahead}"), "PX", "6"]).await;
    ahead
}

/// Microseconds.
const STEP: i64 = 5_000;
const NAME: &str = "order:7";
