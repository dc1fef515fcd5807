use std::{fmt::Display, io, path::PathBuf, time::Duration};

/// Why a server, a tool or a fault did not do what a test asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// A program is not installed. Never a reason to skip a test.
    #[error("`{program}` was not found in {looked_in}; install it: {install}")]
    #[non_exhaustive]
    MissingProgram {
        /// What was looked for.
        program: &'static str,
        /// Where it was looked for.
        looked_in: String,
        /// How to get it.
        install: &'static str,
    },
    /// The operating system refused something.
    #[error("could not {what}")]
    #[non_exhaustive]
    Io {
        /// What was tried.
        what: String,
        /// The refusal.
        source: io::Error,
    },
    /// A server ended by itself.
    #[error("{server} ended by itself ({status}); its last words:\n{log}")]
    #[non_exhaustive]
    Exited {
        /// Which server.
        server: String,
        /// How it ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// A server did not get ready, or a condition did not come true, in time.
    #[error("{what} did not happen within {waited:?}: {last}")]
    #[non_exhaustive]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What the last look saw.
        last: String,
    },
    /// A tool failed.
    #[error("`{command}` failed ({status}): {output}")]
    #[non_exhaustive]
    Tool {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// A server answered with something else than expected.
    #[error("unexpected answer from {server}: {answer}")]
    #[non_exhaustive]
    Answer {
        /// Which server.
        server: String,
        /// What it said.
        answer: String,
    },
    /// No free port was found.
    #[error("no free port between {from} and {to} after {tries} tries")]
    #[non_exhaustive]
    NoPort {
        /// Start of the range.
        from: u16,
        /// End of the range.
        to: u16,
        /// How many ports were looked at.
        tries: usize,
    },
    /// The user that a server shall run as does not exist.
    #[error("user `{user}` is not in {file}; servers do not run as root")]
    #[non_exhaustive]
    NoUser {
        /// The name.
        user: &'static str,
        /// Where it was looked for.
        file: PathBuf,
    },
}

impl KitError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn answer(server: impl Display, answer: impl Display) -> Self {
        Self::Answer { server: format!("{server}"), answer: format!("{answer}") }
    }
}
