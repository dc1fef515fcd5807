//! Shows how far the replay is: a bar on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicUsize, Ordering},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Lines printed where no bar can be drawn.
const LINES: usize = 10;

/// Progress over a known number of orders.
#[derive(Debug)]
pub(crate) struct Progress {
    total: usize,
    done: AtomicUsize,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts at nothing out of `total`.
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            done: AtomicUsize::new(0),
            bar: std::io::stderr().is_terminal().then(|| bar(total)),
        }
    }

    /// One more order has its answer.
    pub(crate) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => self.line(done),
        }
    }

    /// Clears the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, done: usize) {
        let tenth = |done: usize| done * LINES / self.total.max(1);
        if tenth(done) > tenth(done - 1) {
            eprintln!("{done} of {} orders answered", self.total);
        }
    }
}

fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    let style =
        ProgressStyle::with_template("{elapsed:>4} {bar:48} {pos}/{len} orders, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
