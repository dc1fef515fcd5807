use std::{
    collections::HashSet,
    fs,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A process and its descendants.
///
/// A group would not do: PostgreSQL's backends and the Erlang machine leave theirs.
#[derive(Debug)]
pub(crate) struct Family {
    root: Pid,
    members: Vec<Pid>,
}

impl Family {
    /// The family of a child of ours that was not reaped yet, so that its id is still its own.
    pub(crate) fn of(child: &Child) -> Self {
        let root = Pid::from_child(child);
        Self { root, members: members(root, &table()) }
    }

    /// Signals everybody who is still there, the root last.
    pub(crate) fn signal(&self, signal: Signal) {
        for member in self.members.iter().rev() {
            // Gone already is what a kill wants, and a stop cannot stop it any more.
            let _ = kill_process(*member, signal);
        }
    }

    /// Kills everybody, and who was born between the look and the signal.
    pub(crate) fn stop_and_kill(&self) {
        let _ = kill_process(self.root, Signal::STOP);
        let mut known: HashSet<Pid> = self.members.iter().copied().collect();
        known.extend(members(self.root, &table()));
        known.remove(&self.root);
        for member in known {
            let _ = kill_process(member, Signal::KILL);
        }
        let _ = kill_process(self.root, Signal::KILL);
    }

    /// Everybody, the root first.
    pub(crate) fn into_members(self) -> Vec<Pid> {
        self.members
    }
}

/// True while a process runs; one that ended and was not waited for does not.
pub(crate) fn alive(pid: Pid) -> bool {
    match fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
        Ok(stat) => !stat.rsplit(") ").next().unwrap_or("").starts_with('Z'),
        Err(_) => !has_proc() && test_kill_process(pid).is_ok(),
    }
}

fn members(root: Pid, table: &[(Pid, Pid)]) -> Vec<Pid> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(table.iter().filter(|row| row.1 == parent).map(|row| row.0));
        next += 1;
    }
    found
}

/// Every process with its parent.
fn table() -> Vec<(Pid, Pid)> {
    if has_proc() { from_proc() } else { from_ps() }
}

fn has_proc() -> bool {
    fs::exists("/proc/self/stat").unwrap_or(false)
}

fn from_proc() -> Vec<(Pid, Pid)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent ..`; the name may hold blanks and brackets.
            let parent = stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()?;
            Some((Pid::from_raw(pid)?, Pid::from_raw(parent)?))
        })
        .collect()
}

/// For systems without `/proc`.
fn from_ps() -> Vec<(Pid, Pid)> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            let pid = Pid::from_raw(numbers.next()?.ok()?)?;
            Some((pid, Pid::from_raw(numbers.next()?.ok()?)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_of_descendants_belong_to_the_family() {
        let pid = |raw| Pid::from_raw(raw).unwrap();
        let table = [(2, 1), (5, 4), (4, 2), (3, 1), (6, 3)].map(|(a, b)| (pid(a), pid(b)));
        assert_eq!(members(pid(2), &table), [2, 4, 5].map(pid));
    }

    #[test]
    fn this_process_is_in_the_table_and_alive() {
        let me = rustix::process::getpid();
        assert!(table().iter().any(|(pid, _)| *pid == me));
        assert!(alive(me));
    }
}
