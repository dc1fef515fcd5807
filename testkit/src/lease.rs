//! Ports and start slots that tests of several processes do not take twice.
//!
//! A lease is a locked file in a folder that all processes of one user share. The system drops the
//! lock when its holder ends, however it ends.

use std::{
    env, fs,
    fs::File,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    process::getuid,
};

use crate::{KitError, time::pause};

/// Below the ports that systems give to outgoing connections, so that none is taken between two starts.
const PORTS: std::ops::Range<u16> = 15_000..22_000;
/// A Redis Cluster node listens on its port plus this for its peers, one with TLS for its clients.
const BUS: u16 = 10_000;
/// Ports to look at before giving up.
const TRIES: usize = 200;

/// A port that nobody else uses while this value lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lease: Lease,
}

impl Port {
    /// Finds a free port whose [`bus`](Self::bus) is free as well.
    pub(crate) fn free() -> Result<Self, KitError> {
        for _ in 0..TRIES {
            let number = fastrand::u16(PORTS);
            let Some(lease) = Lease::attempt(&format!("port-{number}"))? else {
                continue;
            };
            let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            if free(number) && free(number + BUS) {
                return Ok(Self { number, _lease: lease });
            }
        }
        Err(KitError::NoPort { from: PORTS.start, to: PORTS.end, tries: TRIES })
    }

    /// The port.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// The second port that comes with it.
    pub(crate) fn bus(&self) -> u16 {
        Self::bus_of(self.number)
    }

    /// The second port that comes with the port of this number.
    pub(crate) fn bus_of(number: u16) -> u16 {
        number + BUS
    }
}

/// The right to start a server: as many start at once as the machine has cores.
///
/// Only the start is bounded, never the life, so a test may hold any number of servers.
#[derive(Debug)]
pub(crate) struct StartSlot {
    _lease: Lease,
}

impl StartSlot {
    /// Waits for its turn; others' starts have limits of their own, so the wait ends.
    pub(crate) async fn take() -> Result<Self, KitError> {
        let slots = thread::available_parallelism().map_or(1, |cores| cores.get().max(2));
        loop {
            for slot in 0..slots {
                if let Some(lease) = Lease::attempt(&format!("start-{slot}"))? {
                    return Ok(Self { _lease: lease });
                }
            }
            pause(Duration::from_millis(50)).await;
        }
    }
}

/// A locked file.
#[derive(Debug)]
struct Lease {
    path: PathBuf,
    _file: File,
}

impl Lease {
    /// Locks `name`, or says that somebody else has it.
    fn attempt(name: &str) -> Result<Option<Self>, KitError> {
        let folder = env::temp_dir().join(format!("mainstay-kit-{}", getuid().as_raw()));
        fs::create_dir_all(&folder).map_err(KitError::io(format!("create {folder:?}")))?;
        let path = folder.join(name);
        let file = File::create(&path).map_err(KitError::io(format!("create {path:?}")))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(KitError::io(format!("lock {path:?}"))(error.into())),
        }
        // The holder before us removes the file: what we locked may no longer be what others find.
        let same = match (file.metadata(), fs::metadata(&path)) {
            (Ok(ours), Ok(found)) => (ours.dev(), ours.ino()) == (found.dev(), found.ino()),
            _ => false,
        };
        Ok(same.then_some(Self { path, _file: file }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The lock goes with the file; a file left behind does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_port_is_given_once_while_it_is_held() {
        let ports: Vec<_> = (0..50).map(|_| Port::free().unwrap()).collect();
        let numbers: HashSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }

    #[test]
    fn a_lease_is_exclusive_until_it_is_dropped() {
        let name = crate::unique("lease");
        let held = Lease::attempt(&name).unwrap();
        assert!(held.is_some());
        assert!(Lease::attempt(&name).unwrap().is_none());
        drop(held);
        assert!(Lease::attempt(&name).unwrap().is_some());
    }
}
