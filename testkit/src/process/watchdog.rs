//! A process beside ours that outlives it by a moment, to kill our servers.
//!
//! It reads a pipe that only we hold. However we end, by return, panic, Ctrl-C or SIGKILL, the pipe
//! closes, and the watchdog kills every process and removes every folder that it was told of.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use crate::KitError;

const SCRIPT: &str = include_str!("watchdog.sh");

static PIPE: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Kills the process `id` and its descendants when we end.
pub(crate) fn kill_at_end(id: u32) -> Result<(), KitError> {
    tell(&format!("kill {id}"))
}

/// Forgets a process that was killed: its id may be another's soon.
pub(crate) fn killed(id: u32) {
    // A watchdog that is gone has nothing to forget.
    let _ = tell(&format!("spare {id}"));
}

/// Removes a folder when we end.
pub(crate) fn remove_at_end(folder: &Path) -> Result<(), KitError> {
    tell(&format!("remove {}", folder.display()))
}

/// Forgets a folder that was removed.
pub(crate) fn removed(folder: &Path) {
    let _ = tell(&format!("keep {}", folder.display()));
}

fn tell(line: &str) -> Result<(), KitError> {
    let mut pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    if pipe.is_none() {
        *pipe = Some(start()?);
    }
    let pipe = pipe.as_mut().expect("started above");
    writeln!(pipe, "{line}").map_err(KitError::io("speak to the watchdog"))
}

fn start() -> Result<ChildStdin, KitError> {
    let mut watchdog = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        // A Ctrl-C, or a test runner that kills our group, must not reach it.
        .process_group(0)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(KitError::io("start the watchdog"))?;
    Ok(watchdog.stdin.take().expect("stdin is piped above"))
}
