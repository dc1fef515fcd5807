use std::{fs, path::PathBuf};

use crate::{KitError, Tool, find, process::Launch, workspace::Workspace};

/// What lets a process see another time than the machine's.
pub(super) const FAKETIME: Tool = Tool {
    program: "libfaketime.so.1",
    folders: &["/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime"],
    install: "`apt-get install libfaketime`; there is none for macOS here",
};

/// A server's clock, which a test may set.
#[derive(Debug)]
pub(super) struct ServerClock {
    /// How far it is off, in seconds; read by the process whenever it looks at its clock.
    file: PathBuf,
}

impl ServerClock {
    pub(super) fn new(workspace: &Workspace) -> Result<Self, KitError> {
        Ok(Self { file: workspace.file("clock", "+0")? })
    }

    /// A server that looks at this clock. Its timers run on: only the time of day is another one.
    pub(super) fn worn_by(&self, launch: Launch) -> Result<Launch, KitError> {
        // The allocator that servers are linked with looks at the clock while it sets itself up, which the
        // library does not survive: so memory comes from the C library.
        let mut preload = find(FAKETIME)?.into_os_string();
        preload.push(":libc.so.6");
        let launch = launch.env("LD_PRELOAD", preload);
        let launch = launch.env("FAKETIME_TIMESTAMP_FILE", &self.file);
        Ok(launch.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
    }

    /// Removes what the library left where all processes see it, once the process has it.
    pub(super) fn tidy(pid: u32) {
        for name in ["faketime_shm_", "sem.faketime_sem_"] {
            let _ = fs::remove_file(format!("/dev/shm/{name}{pid}"));
        }
    }

    pub(super) fn set(&self, millis: i64) -> Result<(), KitError> {
        let seconds = millis as f64 / 1_000.0;
        // Never seen half written.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+.3}"))
            .and_then(|()| fs::rename(&next, &self.file))
            .map_err(KitError::io(format!("write {:?}", self.file)))
    }
}
