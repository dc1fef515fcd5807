//! CPU time of calls.

use std::{
    collections::BTreeMap,
    hint, process,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::Handle;

use super::{Column, Effort, Side, Table, thread_cpu, wall};

/// Calls, of which each side makes many, in one thread and in several.
#[derive(Debug)]
pub struct Calls {
    /// What the sides do.
    pub title: &'static str,
    /// What a reader should know about it.
    pub note: &'static str,
    /// Who does it.
    pub sides: Vec<Side>,
}

/// Heading of the figures of one thread.
pub const ONE: &str = "1 thread";
/// Heading of the figures of two threads.
pub const TWO: &str = "2 threads";
/// Heading of the allocations of a call.
pub const ALLOCATIONS: &str = "allocations";

/// Allocations a call, by title and side.
pub type Allocations = BTreeMap<String, f64>;

impl Calls {
    /// The name of a side's allocations.
    pub fn allocations_of(&self, side: &Side) -> String {
        format!("{}: {}", self.title, side.name)
    }

    /// Measures every side, in turns.
    pub fn measure(&self, effort: Effort, runtime: &Handle, allocations: &Allocations) -> Table {
        let columns = vec![
            Column { name: ONE, unit: "ns" },
            Column { name: TWO, unit: "ns" },
            Column { name: ALLOCATIONS, unit: "" },
        ];
        let names = self.sides.iter().map(|side| (side.name, side.whose));
        let mut table = Table::new(self.title, self.note, columns, names);
        for (place, side) in self.sides.iter().enumerate() {
            if let Some(count) = allocations.get(&self.allocations_of(side)) {
                table.push(place, 2, *count);
            }
        }
        let calls: Vec<_> = self.sides.iter().map(|side| fit(side, effort.turn, runtime)).collect();
        for round in 0..effort.rounds {
            for step in 0..self.sides.len() {
                // Who begins changes, so that nobody always runs after the same neighbour.
                let place = (round + step) % self.sides.len();
                for (column, threads) in [1, 2].into_iter().enumerate() {
                    let nanos = turn(&self.sides[place], threads, calls[place][column], runtime);
                    table.push(place, column, nanos);
                }
            }
        }
        table
    }
}

/// How many calls take about `turn`, in one thread and in two.
fn fit(side: &Side, time: Duration, runtime: &Handle) -> [u64; 2] {
    [1, 2].map(|threads| {
        let (mut calls, goal) = (256, time.as_nanos() as f64);
        for _ in 0..4 {
            let nanos = turn(side, threads, calls, runtime).max(0.1);
            calls = ((goal / nanos) as u64).clamp(16, calls * 64);
        }
        calls
    })
}

/// Nanoseconds of CPU time a call takes, in the mean over the threads.
fn turn(side: &Side, threads: usize, calls: u64, runtime: &Handle) -> f64 {
    let together = Together::new(side.name, threads);
    let run = |thread| {
        // Some of the peers need a runtime around them.
        let _inside = runtime.enter();
        pin(thread);
        let mut work = side.work(thread);
        work(calls / 8 + 8);
        together.start();
        let before = thread_cpu();
        work(calls);
        let used = thread_cpu() - before;
        together.until_all_are_done(|| work(16));
        used.as_nanos() as f64 / calls as f64
    };
    let times: Vec<f64> = thread::scope(|scope| {
        let run = &run;
        let spawned: Vec<_> = (0..threads).map(|n| scope.spawn(move || run(n))).collect();
        spawned.into_iter().map(|one| one.join().expect("a side does not panic")).collect()
    });
    times.iter().sum::<f64>() / times.len() as f64
}

/// How long a thread may keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// Threads that are to disturb each other for as long as one of them is measured.
struct Together {
    side: &'static str,
    threads: usize,
    ready: AtomicUsize,
    done: AtomicUsize,
}

impl Together {
    fn new(side: &'static str, threads: usize) -> Self {
        Self { side, threads, ready: AtomicUsize::new(0), done: AtomicUsize::new(0) }
    }

    /// Spins: who sleeps comes late.
    fn start(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
        let late = wall() + PATIENCE;
        while self.ready.load(Ordering::Acquire) < self.threads {
            hint::spin_loop();
            self.or_give_up(late);
        }
    }

    fn until_all_are_done(&self, mut work: impl FnMut()) {
        self.done.fetch_add(1, Ordering::AcqRel);
        let late = wall() + PATIENCE;
        while self.done.load(Ordering::Acquire) < self.threads {
            work();
            self.or_give_up(late);
        }
    }

    /// A side that hangs, or one whose other thread panicked, would keep us here for ever.
    fn or_give_up(&self, late: Duration) {
        if wall() > late {
            eprintln!("a thread of `{}` does not come to an end", self.side);
            process::exit(2);
        }
    }
}

/// Keeps this thread on a processor of its own; on one they would not disturb each other at all.
fn pin(thread: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut processors = (0..CpuSet::MAX_CPU).filter(|n| allowed.is_set(*n));
    if let Some(own) = processors.nth(thread) {
        let mut set = CpuSet::new();
        set.set(own);
        // Where it is not allowed to, the scheduler decides.
        let _ = sched_setaffinity(None, &set);
    }
}
