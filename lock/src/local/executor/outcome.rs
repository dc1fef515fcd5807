//! What becomes of jobs that do not end well.

use std::{any::Any, error::Error, fmt, sync::Arc};

/// A job was not accepted; here it is.
#[non_exhaustive]
pub enum Refused<F> {
    /// Its lane has no room.
    Full {
        /// The job.
        job: F,
    },
    /// The executor was shut down.
    ShuttingDown {
        /// The job.
        job: F,
    },
    /// There is no tokio runtime to run it on.
    NoRuntime {
        /// The job.
        job: F,
    },
}

impl<F> Refused<F> {
    /// The job, as it was.
    pub fn into_job(self) -> F {
        match self {
            Self::Full { job } | Self::ShuttingDown { job } | Self::NoRuntime { job } => job,
        }
    }

    /// Whether there was no room: trying later may help.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the executor was shut down.
    pub fn is_shutting_down(&self) -> bool {
        matches!(self, Self::ShuttingDown { .. })
    }
}

impl<F> fmt::Display for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full { .. } => "the job's lane is full; submit it later, or wait for room",
            Self::ShuttingDown { .. } => "the executor is shutting down and takes no more jobs",
            Self::NoRuntime { .. } => "there is no tokio runtime to run the job on",
        })
    }
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({self})")
    }
}

impl<F> Error for Refused<F> {}

/// Why an accepted job has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// It panicked.
    #[error("the job panicked: {message}")]
    Panicked {
        /// What it said, if that was text.
        message: Arc<str>,
    },
    /// It was never started: the executor was shut down, or its runtime stopped.
    #[error("the job was not run: its executor was shut down")]
    NotRun,
    /// It was dropped at an await: the executor was shut down, or its runtime stopped.
    #[error("the job was dropped before its end: its executor was shut down; a part may be done")]
    Interrupted,
}

impl JobError {
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::Panicked { message: text.unwrap_or("no message").into() }
    }
}

/// What a shutdown left undone, by keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover<K> {
    /// Of the jobs that were never started, in order for each key.
    pub not_run: Vec<K>,
    /// Of the jobs that were dropped before their end.
    pub interrupted: Vec<K>,
}

impl<K> Leftover<K> {
    /// Whether every accepted job was run to its end.
    pub fn is_empty(&self) -> bool {
        self.not_run.is_empty() && self.interrupted.is_empty()
    }
}

impl<K> Default for Leftover<K> {
    fn default() -> Self {
        Self { not_run: Vec::new(), interrupted: Vec::new() }
    }
}
