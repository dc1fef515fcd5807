//! Events put together: one record for each request.

use std::collections::BTreeMap;

use mainstay_testkit::history::Span;

use crate::event::{Event, Left, What};

/// One request and what followed from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Op {
    pub(crate) id: u64,
    pub(crate) client: u32,
    pub(crate) key: String,
    /// Whether it shares the lock with others that do.
    pub(crate) reads: bool,
    pub(crate) asked: u64,
    pub(crate) wait: u64,
    pub(crate) lease: u64,
    pub(crate) answer: Option<(u64, Answer)>,
    pub(crate) fence: i64,
    pub(crate) nested: Vec<i64>,
    /// Until when the guard said that it is held.
    pub(crate) until: u64,
    /// When the client began to give it back.
    pub(crate) leaves: Option<u64>,
    pub(crate) left: Option<(u64, Left)>,
    pub(crate) lost: Option<(u64, String)>,
    pub(crate) writes: Vec<Write>,
}

/// What a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted,
    Refused,
    Failed,
    Unknown,
    /// The client did not wait for it.
    Dropped,
}

/// One write to the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) sent: u64,
    /// When the store's word was there, and what it was.
    pub(crate) answer: Option<(u64, bool)>,
}

/// A time in which something was broken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken {
    pub(crate) span: Span,
    pub(crate) lossy: bool,
}

/// A history, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    pub(crate) all: Vec<Op>,
    pub(crate) broken: Vec<Broken>,
    /// When each client was killed.
    pub(crate) killed: BTreeMap<u32, u64>,
    pub(crate) stopped: BTreeMap<u32, Vec<Span>>,
    /// When each client had done everything.
    pub(crate) done: BTreeMap<u32, u64>,
    pub(crate) counters: BTreeMap<String, i64>,
    /// When nothing was broken any more.
    pub(crate) calm: Option<u64>,
}

impl Ops {
    pub(crate) fn read(events: &[Event]) -> Self {
        let mut ops = Self::default();
        let mut places = BTreeMap::new();
        let mut struck = BTreeMap::new();
        for event in events {
            ops.driver(event, &mut struck);
            if let What::Asked { op, .. } = &event.what {
                places.insert(*op, ops.all.len());
                ops.all.push(Op { id: *op, client: event.client, ..Op::default() });
            }
            if let Some(at) = op_of(&event.what).and_then(|op| places.get(&op)) {
                ops.all[*at].note(event.at, &event.what);
            }
        }
        ops
    }

    /// The requests of each lock that were granted, in the order of their grants.
    pub(crate) fn grants(&self) -> BTreeMap<&str, Vec<&Op>> {
        let mut grants: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
        for op in self.all.iter().filter(|op| op.granted().is_some()) {
            grants.entry(&op.key).or_default().push(op);
        }
        for ops in grants.values_mut() {
            ops.sort_by_key(|op| op.granted());
        }
        grants
    }

    fn driver(&mut self, event: &Event, struck: &mut BTreeMap<u64, usize>) {
        let at = event.at;
        match &event.what {
            What::Strikes { number, lossy, .. } => {
                struck.insert(*number, self.broken.len());
                self.broken.push(Broken { span: Span { start: at, end: u64::MAX }, lossy: *lossy });
            }
            What::Mended { number } => {
                if let Some(place) = struck.get(number) {
                    self.broken[*place].span.end = at;
                }
            }
            What::Elected { lossy, .. } => {
                let (start, end) = (at.saturating_sub(ELECTION), at + MOVE);
                self.broken.push(Broken { span: Span { start, end }, lossy: *lossy });
            }
            What::Kills { victim } => _ = self.killed.insert(*victim, at),
            What::Stops { victim } => {
                let spans = self.stopped.entry(*victim).or_default();
                spans.push(Span { start: at, end: u64::MAX });
            }
            What::Continued { victim } => {
                if let Some(span) = self.stopped.get_mut(victim).and_then(|spans| spans.last_mut())
                {
                    span.end = at;
                }
            }
            What::Calm => self.calm = Some(at),
            What::Done => _ = self.done.insert(event.client, at),
            What::Counter { key, value } => _ = self.counters.insert(key.clone(), *value),
            _ => {}
        }
    }
}

impl Op {
    /// When it was granted, if it was.
    pub(crate) fn granted(&self) -> Option<u64> {
        self.answer.and_then(|(at, answer)| (answer == Answer::Granted).then_some(at))
    }

    /// While the client believes that it holds the lock: from the grant until it gives it back, is told
    /// that it is lost, or the guard's own word runs out.
    pub(crate) fn belief(&self) -> Span {
        let start = self.granted().unwrap_or(u64::MAX);
        let told = self.lost.as_ref().map_or(u64::MAX, |(at, _)| *at);
        // A guard was handed out: for a moment at least its client believes in it.
        let until = self.until.max(start.saturating_add(1));
        Span { start, end: until.min(self.leaves.unwrap_or(u64::MAX)).min(told) }
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        format!("request {:#x} of client {} (fence {})", self.id, self.client, self.fence)
    }

    fn note(&mut self, at: u64, what: &What) {
        match what {
            What::Asked { key, reads, wait, lease, .. } => {
                self.key.clone_from(key);
                self.reads = *reads;
                (self.asked, self.wait, self.lease) = (at, *wait, *lease);
            }
            What::Granted { fence, until, .. } => {
                self.answer = Some((at, Answer::Granted));
                (self.fence, self.until) = (*fence, *until);
            }
            What::Holds { until, .. } => self.until = *until,
            What::Nested { fence, .. } => self.nested.push(*fence),
            What::Refused { .. } => self.answer = Some((at, Answer::Refused)),
            What::Failed { .. } => self.answer = Some((at, Answer::Failed)),
            What::Unknown { .. } => self.answer = Some((at, Answer::Unknown)),
            What::Dropped { .. } => self.answer = Some((at, Answer::Dropped)),
            What::Leaves { .. } => self.leaves = Some(at),
            What::Left { outcome, .. } => self.left = Some((at, *outcome)),
            What::Lost { reason, .. } => self.lost = Some((at, reason.clone())),
            What::Writes { .. } => self.writes.push(Write { sent: at, answer: None }),
            What::Wrote { accepted, .. } => {
                if let Some(write) = self.writes.last_mut() {
                    write.answer = Some((at, *accepted));
                }
            }
            _ => {}
        }
    }
}

/// Longer than it takes the driver to see an election.
const ELECTION: u64 = 200_000_000;
/// Longer than it takes clients to hear of one, and to leave a primary that is none any more.
const MOVE: u64 = 1_500_000_000;

fn op_of(what: &What) -> Option<u64> {
    match what {
        What::Asked { op, .. }
        | What::Granted { op, .. }
        | What::Holds { op, .. }
        | What::Nested { op, .. }
        | What::Refused { op }
        | What::Failed { op, .. }
        | What::Unknown { op, .. }
        | What::Dropped { op }
        | What::Leaves { op }
        | What::Left { op, .. }
        | What::Lost { op, .. }
        | What::Writes { op }
        | What::Wrote { op, .. }
        | What::WroteUnknown { op, .. } => Some(*op),
        _ => None,
    }
}
