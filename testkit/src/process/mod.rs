//! Processes that end with their handle, and at the latest with ours.

mod family;
pub(crate) mod watchdog;

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal};

use self::family::{Family, alive};
use crate::{KitError, eventually::eventually, workspace::User};

/// Waits for a line before it becomes the server, so that no server exists that the watchdog was
/// not told of. Without the line, because its parent is gone, it becomes nothing.
const GATE: &str = r#"IFS= read -r go && exec "$@" </dev/null"#;

/// Time for a process that got SIGKILL to be gone; only a busy machine needs it.
const DYING: Duration = Duration::from_secs(20);

/// How a server is started, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(&'static str, OsString)>,
    pub(crate) folder: PathBuf,
    pub(crate) user: Option<User>,
}

impl Launch {
    /// `program`, working in `folder`.
    pub(crate) fn new(name: impl Into<String>, program: PathBuf, folder: &Path) -> Self {
        Self {
            name: name.into(),
            program,
            args: Vec::new(),
            env: Vec::new(),
            folder: folder.to_owned(),
            user: None,
        }
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    pub(crate) fn user(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    /// Runs a command as this server's user in its folder, untouched by settings of the caller's shell.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("LC_ALL", "C")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
    }
}

/// A server process, or the place of one that was killed.
#[derive(Debug)]
pub(crate) struct Process {
    launch: Launch,
    child: Option<Child>,
    paused: AtomicBool,
}

impl Process {
    /// A place without a process.
    pub(crate) fn new(launch: Launch) -> Self {
        Self { launch, child: None, paused: AtomicBool::new(false) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.launch.name
    }

    pub(crate) fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Starts the process unless it runs.
    pub(crate) fn start(&mut self) -> Result<(), KitError> {
        if self.child.is_some() {
            return Ok(());
        }
        let log = File::options().append(true).create(true).open(self.log_file());
        let log = log.map_err(KitError::io(format!("open the log of {}", self.name())))?;
        let again = log.try_clone().map_err(KitError::io("share a log"))?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GATE, "sh"]);
        command.arg(&self.launch.program).args(&self.launch.args);
        self.launch.prepare(&mut command);
        command
            // Out of the terminal's group: a Ctrl-C ends us, and the watchdog then ends the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(again);
        let mut child = command.spawn().map_err(KitError::io(format!("start {}", self.name())))?;
        let mut gate = child.stdin.take().expect("stdin is piped above");
        watchdog::kill_at_end(child.id())?;
        self.child = Some(child);
        gate.write_all(b"go\n").map_err(KitError::io(format!("start {}", self.name())))
    }

    /// The process id, while there is a process.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// An error if the process ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), KitError> {
        let Some(child) = &mut self.child else {
            return Err(KitError::answer(&self.launch.name, "it was killed"));
        };
        match child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(KitError::Exited {
                server: self.launch.name.clone(),
                status: status.to_string(),
                log: self.log_tail(),
            }),
            Err(error) => Err(KitError::io(format!("look at {}", self.launch.name))(error)),
        }
    }

    /// Whether it runs; an error if it ended badly by itself.
    pub(crate) fn is_running(&mut self) -> Result<bool, KitError> {
        let Some(child) = &mut self.child else { return Ok(false) };
        match child.try_wait() {
            Ok(Some(status)) if status.success() => {
                watchdog::killed(child.id());
                self.child = None;
                Ok(false)
            }
            _ => self.check().map(|()| true),
        }
    }

    /// Kills the process and all its descendants (SIGKILL), and waits until they are gone.
    pub(crate) async fn kill(&mut self) -> Result<(), KitError> {
        let killed = self.kill_now();
        eventually(DYING, || async {
            let left: Vec<_> = killed.iter().filter(|pid| alive(**pid)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} live")) }
        })
        .await
        .map_err(|late| late.while_waiting_for(format!("the end of {}", self.name())))
    }

    /// Sends SIGKILL to the family and reaps the process; its descendants may be dying still.
    fn kill_now(&mut self) -> Vec<Pid> {
        let Some(mut child) = self.child.take() else {
            return Vec::new();
        };
        self.paused.store(false, Ordering::Relaxed);
        if matches!(child.try_wait(), Ok(Some(_))) {
            // It ended by itself, and its id may be another's now.
            watchdog::killed(child.id());
            return Vec::new();
        }
        let family = Family::of(&child);
        family.stop_and_kill();
        // A process that was not waited for keeps its id, and PostgreSQL believes its pid file then.
        let _ = child.wait();
        watchdog::killed(child.id());
        family.into_members()
    }

    /// Stops the process and all its descendants (SIGSTOP).
    pub(crate) fn pause(&self) -> Result<(), KitError> {
        self.signal(Signal::STOP)?;
        self.paused.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Lets a paused process go on (SIGCONT).
    pub(crate) fn resume(&self) -> Result<(), KitError> {
        self.signal(Signal::CONT)?;
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there is a process, and it was not stopped by [`pause`](Self::pause).
    pub(crate) fn is_awake(&self) -> bool {
        self.child.is_some() && !self.paused.load(Ordering::Relaxed)
    }

    fn signal(&self, signal: Signal) -> Result<(), KitError> {
        let Some(child) = &self.child else {
            return Err(KitError::answer(self.name(), "there is no process to signal"));
        };
        Family::of(child).signal(signal);
        Ok(())
    }

    /// The end of what the process printed.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn log_file(&self) -> PathBuf {
        self.launch.folder.join(format!("{}.log", self.launch.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_now();
    }
}
