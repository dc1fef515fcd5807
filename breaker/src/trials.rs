//! Trial permits of one half-open phase.

/// At most `permits` trial calls count or run at a time; each has a deadline.
#[derive(Debug, Default)]
pub(crate) struct Trials {
    permits: u32,
    needed: u32,
    good: u32,
    bad: u32,
    last_id: u32,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    id: u32,
    ends: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Passed,
    Failed { failed: u32, permits: u32 },
    Undecided,
}

impl Trials {
    pub(crate) fn new(permits: u32, needed: u32) -> Self {
        let permits = permits.max(1);
        Self { permits, needed: needed.clamp(1, permits), ..Self::default() }
    }

    /// Starts a trial call that must end before `ends`; `None` when every permit is taken or used.
    pub(crate) fn start(&mut self, ends: u64) -> Option<u32> {
        if !self.has_room() {
            return None;
        }
        // Zero means "no trial" in a ticket.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.running.push(Running { id: self.last_id, ends });
        Some(self.last_id)
    }

    /// Takes the result of a trial call: good, bad, or nothing at all. False if it is not running.
    pub(crate) fn end(&mut self, id: u32, good: Option<bool>) -> bool {
        let Some(at) = self.running.iter().position(|running| running.id == id) else {
            return false;
        };
        self.running.swap_remove(at);
        match good {
            Some(true) => self.good += 1,
            Some(false) => self.bad += 1,
            None => {}
        }
        true
    }

    /// Counts trial calls that did not end in time as bad.
    pub(crate) fn expire(&mut self, now: u64) {
        let before = self.running.len();
        self.running.retain(|running| running.ends > now);
        let expired = before - self.running.len();
        self.bad = self.bad.saturating_add(u32::try_from(expired).unwrap_or(u32::MAX));
    }

    pub(crate) fn decision(&self) -> Decision {
        if self.bad > self.permits - self.needed {
            Decision::Failed { failed: self.bad, permits: self.permits }
        } else if self.good >= self.needed {
            Decision::Passed
        } else {
            Decision::Undecided
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        let running = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        self.good.saturating_add(self.bad).saturating_add(running) < self.permits
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// When the first running trial call has to have ended.
    pub(crate) fn first_end(&self) -> Option<u64> {
        self.running.iter().map(|running| running.ends).min()
    }
}
