use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: answers.
    ToClient,
}

/// What is wrong now, and how often something struck so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) refuse: bool,
    pub(super) resets: u64,
    ways: [Way; 2],
}

/// What is wrong in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    pub(super) latency: Duration,
    pub(super) hole: bool,
    pub(super) drip: Option<Drip>,
    pub(super) half_closes: u64,
}

/// A trickle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drip {
    pub(super) bytes: usize,
    pub(super) gap: Duration,
}

impl Faults {
    pub(super) fn on(&mut self, direction: Direction) -> &mut Way {
        &mut self.ways[direction as usize]
    }

    pub(super) fn way(&self, direction: Direction) -> Way {
        self.ways[direction as usize]
    }

    /// Strikes stay counted: links compare the counts with what they were when they began.
    pub(super) fn clear(&mut self) {
        self.refuse = false;
        for way in &mut self.ways {
            *way = Way { half_closes: way.half_closes, ..Way::default() };
        }
    }
}

/// What went through a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Connections that ended with RST.
    pub reset: u64,
    /// Bytes delivered to the server.
    pub to_server: u64,
    /// Bytes delivered to the client.
    pub to_client: u64,
}

/// Counts while links work.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: AtomicU64,
    closed: AtomicU64,
    reset: AtomicU64,
    bytes: [AtomicU64; 2],
}

impl Tally {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self, reset: bool) {
        self.reset.fetch_add(u64::from(reset), Ordering::Relaxed);
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, direction: Direction, bytes: usize) {
        self.bytes[direction as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Counters {
        // Closed first: a link that closes in between must not make the difference negative.
        let closed = self.closed.load(Ordering::Relaxed);
        let accepted = self.accepted.load(Ordering::Relaxed);
        let bytes = |direction| self.bytes[direction as usize].load(Ordering::Relaxed);
        Counters {
            accepted,
            open: accepted.saturating_sub(closed),
            reset: self.reset.load(Ordering::Relaxed),
            to_server: bytes(Direction::ToServer),
            to_client: bytes(Direction::ToClient),
        }
    }
}
