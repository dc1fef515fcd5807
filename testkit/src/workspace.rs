use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::process::getuid;
use tempfile::TempDir;

use crate::{KitError, process::watchdog};

/// Sockets live in the folder, and the system caps their path at about 100 bytes.
const LONGEST: usize = 40;

/// A temporary folder of one server, removed with it.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: TempDir,
    user: Option<User>,
}

impl Workspace {
    /// A folder for a server that may run as root.
    pub(crate) fn new() -> Result<Self, KitError> {
        Self::owned_by(None)
    }

    /// A folder for a server that refuses to run as root: `name` owns it and runs it, when we are root.
    pub(crate) fn for_user(name: &'static str) -> Result<Self, KitError> {
        let root = getuid().is_root();
        Self::owned_by(root.then(|| User::named(name)).transpose()?)
    }

    fn owned_by(user: Option<User>) -> Result<Self, KitError> {
        let parent = Some(env::temp_dir()).filter(|dir| dir.as_os_str().len() <= LONGEST);
        let parent = parent.unwrap_or_else(|| PathBuf::from("/tmp"));
        let folder = tempfile::Builder::new()
            .prefix("mk")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(KitError::io("create a temporary folder"))?;
        watchdog::remove_at_end(folder.path())?;
        let workspace = Self { folder, user };
        workspace.give(workspace.path())?;
        Ok(workspace)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Who runs what lives here, when that is not us.
    pub(crate) fn user(&self) -> Option<User> {
        self.user
    }

    /// Makes a folder inside.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, KitError> {
        let path = self.path().join(name);
        fs::create_dir(&path).map_err(KitError::io(format!("create {path:?}")))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Writes a file inside.
    pub(crate) fn file(&self, name: &str, content: &str) -> Result<PathBuf, KitError> {
        let path = self.path().join(name);
        fs::write(&path, content).map_err(KitError::io(format!("write {path:?}")))?;
        self.give(&path)?;
        Ok(path)
    }

    fn give(&self, path: &Path) -> Result<(), KitError> {
        let Some(user) = self.user else {
            return Ok(());
        };
        chown(path, Some(user.uid), Some(user.gid))
            .map_err(KitError::io(format!("give {path:?} to the user of the server")))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        watchdog::removed(self.folder.path());
    }
}

/// An account of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    fn named(name: &'static str) -> Result<Self, KitError> {
        let file = PathBuf::from("/etc/passwd");
        let accounts = fs::read_to_string(&file).map_err(KitError::io("read /etc/passwd"))?;
        accounts
            .lines()
            .find_map(|line| Self::parse(line, name))
            .ok_or(KitError::NoUser { user: name, file })
    }

    /// `name:password:uid:gid:..`
    fn parse(line: &str, name: &str) -> Option<Self> {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { uid, gid })
    }
}

/// A name that no other test uses: for keys, databases and queues on a shared server.
///
/// Made of lower-case letters, digits and `_`, so that it needs no quoting anywhere.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = fastrand::u32(..);
    format!("{prefix}_{}_{number}_{random:08x}", process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_by_its_whole_name() {
        let line = "postgres:x:113:121:PostgreSQL:/var/lib/postgresql:/bin/bash";
        assert_eq!(User::parse(line, "postgres"), Some(User { uid: 113, gid: 121 }));
        assert_eq!(User::parse(line, "post"), None);
    }

    #[test]
    fn names_differ() {
        assert_ne!(unique("key"), unique("key"));
    }
}
