//! A holder that is stopped for longer than its lease.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{ASYNC_REDIS_LOCK, DISTRIBUTED_LOCK, OURS, server};
use crate::harness::{Column, Effort, RunSide, Runs, Whose};

pub(super) const FIRST: &str = "first answer: held";

/// A process of its own holds the lock and asks all the time.
pub(super) fn runs() -> Runs {
    let side = |name: &'static str, whose| {
        RunSide::new(name, whose, move |effort: Effort| run(name, effort))
    };
    Runs {
        title: "Paused holder",
        note: "A process holds the lock with a lease of 1 s and asks without a break whether it has it still, as before every \
               write. It is stopped for 2.5 s. The first answer after that is a lie if it says held (1), and every write until \
               the first no goes wrong; it is waited for for 5 s. rslock and redisson have nothing to ask.",
        columns: vec![Column { name: FIRST, unit: "" }, Column { name: "lies for", unit: "us" }],
        sides: vec![
            side(ASYNC_REDIS_LOCK, Whose::Theirs),
            side(DISTRIBUTED_LOCK, Whose::Theirs),
            side(OURS, Whose::Ours),
        ],
    }
}

/// Stops and continues the program `holder`, which was built beside this one.
fn run(name: &str, _effort: Effort) -> Vec<f64> {
    let program = env::current_exe().expect("this program has a path").with_file_name("holder");
    let mut holder = Command::new(&program);
    holder.args([name, &server::url()]).stdout(Stdio::piped());
    let mut holder =
        holder.spawn().unwrap_or_else(|error| panic!("{} starts: {error}", program.display()));
    let mut says = BufReader::new(holder.stdout.take().expect("it is piped")).lines();
    let mut next = || says.next().and_then(Result::ok).unwrap_or_default();
    assert_eq!(next(), "held");
    let pid = Pid::from_child(&holder);
    kill_process(pid, Signal::STOP).expect("it can be stopped");
    rest();
    kill_process(pid, Signal::CONT).expect("it can go on");
    let figures: Vec<f64> = next().split(' ').filter_map(|word| word.parse().ok()).collect();
    let _ = holder.wait();
    assert_eq!(figures.len(), 2, "the holder says how it went");
    figures
}

#[expect(clippy::disallowed_methods, reason = "another process is stopped for real time")]
fn rest() {
    thread::sleep(Duration::from_millis(2_500));
}
