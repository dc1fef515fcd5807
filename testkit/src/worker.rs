use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    KitError,
    process::{Launch, Process},
    workspace::Workspace,
};

/// A client in a process of its own, that a test may stop and kill as it may a server.
///
/// Whatever ends the test ends it too, even while it is stopped. It works in a temporary folder and sees
/// nothing of our environment but the search path.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    _workspace: Workspace,
}

impl Worker {
    /// Starts `program`.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start<A: Into<OsString>>(
        name: impl Into<String>,
        program: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self, KitError> {
        let workspace = Workspace::new()?;
        let launch = Launch::new(name, PathBuf::from(program), workspace.path()).args(args);
        let mut process = Process::new(launch);
        process.start()?;
        Ok(Self { process, _workspace: workspace })
    }

    /// Whether it runs, or is stopped and could.
    ///
    /// # Errors
    ///
    /// When it did not end well; the message carries the end of what it printed.
    pub fn is_running(&mut self) -> Result<bool, KitError> {
        self.process.is_running()
    }

    /// Stops it where it is (SIGSTOP): its connections stay open.
    ///
    /// # Errors
    ///
    /// When it was killed.
    pub fn pause(&self) -> Result<(), KitError> {
        self.process.pause()
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// When it was killed.
    pub fn resume(&self) -> Result<(), KitError> {
        self.process.resume()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it survives, which only a stuck machine brings about.
    pub async fn kill(&mut self) -> Result<(), KitError> {
        self.process.kill().await
    }

    /// The end of what it printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log_tail()
    }
}
