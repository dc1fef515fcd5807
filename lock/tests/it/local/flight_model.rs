//! Shared calls beside a plain model: who runs, who shares, and how old a result may be.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    task::Poll,
};

use mainstay_lock::local::SingleFlight;
use proptest::prelude::*;

use super::poll;

#[derive(Clone, Debug)]
enum Step {
    Arrive(u8),
    /// The call of a caller ends, if it runs.
    Finish(prop::sample::Index),
    Panic(prop::sample::Index),
    Drop(prop::sample::Index),
    Write(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..2_u8).prop_map(Step::Arrive),
        2 => index().prop_map(Step::Finish),
        1 => index().prop_map(Step::Panic),
        2 => index().prop_map(Step::Drop),
        2 => (0..2_u8).prop_map(Step::Write),
    ]
}

/// What the calls do; a call's number is its caller's.
#[derive(Default)]
struct Calls {
    now: usize,
    started: BTreeMap<usize, usize>,
    ends: BTreeMap<usize, End>,
}

#[derive(Clone, Copy)]
enum End {
    Finish,
    Panic,
}

struct Caller {
    key: u8,
    arrived: usize,
    once: Pin<Box<dyn Future<Output = usize>>>,
}

/// Callers of one flight, in line; the first one runs.
type Flight = VecDeque<usize>;

struct World {
    flights: SingleFlight<u8, usize>,
    calls: Rc<RefCell<Calls>>,
    callers: BTreeMap<usize, Caller>,
    /// The last one of a key can be joined unless it was cut off.
    expected: Vec<(u8, Flight, bool)>,
    writes: Vec<(u8, usize)>,
}

impl World {
    fn new() -> Self {
        let (flights, calls) = (SingleFlight::new(), Rc::default());
        let (callers, expected, writes) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { flights, calls, callers, expected, writes }
    }

    fn arrive(&mut self, key: u8, id: usize) {
        let calls = self.calls.clone();
        let call = poll_fn(move |_| {
            let mut calls = calls.borrow_mut();
            let now = calls.now;
            calls.started.entry(id).or_insert(now);
            match calls.ends.get(&id) {
                Some(End::Finish) => Poll::Ready(id),
                Some(End::Panic) => {
                    drop(calls);
                    // Without a message to read.
                    resume_unwind(Box::new("on purpose"))
                }
                None => Poll::Pending,
            }
        });
        let once = Box::pin(self.flights.once(key, call));
        self.callers.insert(id, Caller { key, arrived: self.calls.borrow().now, once });
        match self.expected.iter_mut().find(|(other, _, open)| *other == key && *open) {
            Some((_, flight, _)) => flight.push_back(id),
            None => self.expected.push((key, Flight::from([id]), true)),
        }
        assert!(self.poll_one(id).is_none(), "its call has not ended");
    }

    fn pick(&self, at: &prop::sample::Index) -> Option<usize> {
        self.callers.keys().nth(at.index(self.callers.len().max(1))).copied()
    }

    fn end(&mut self, at: &prop::sample::Index, end: End) {
        if let Some(id) = self.pick(at) {
            self.calls.borrow_mut().ends.insert(id, end);
        }
    }

    fn leave(&mut self, id: usize) {
        self.callers.remove(&id);
        for (_, flight, _) in &mut self.expected {
            flight.retain(|other| *other != id);
        }
        self.expected.retain(|(_, flight, _)| !flight.is_empty());
    }

    fn poll_one(&mut self, id: usize) -> Option<usize> {
        match poll(self.callers.get_mut(&id).unwrap().once.as_mut()) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    fn write(&mut self, key: u8) {
        let done = poll(std::pin::pin!(self.flights.write(key, async {})));
        assert!(done.is_ready());
        self.writes.push((key, self.calls.borrow().now));
        for (other, _, open) in &mut self.expected {
            *open &= *other != key;
        }
    }

    /// Polls everybody, last come first, until nothing changes.
    fn look(&mut self) {
        // First whoever runs: the others can only have what it brings.
        for (key, flight, _) in self.expected.clone() {
            let first = flight[0];
            let polled = catch_unwind(AssertUnwindSafe(|| self.poll_one(first)));
            let end = self.calls.borrow().ends.get(&first).copied();
            match (polled, end) {
                (Ok(None), None) => {}
                (Ok(Some(result)), Some(End::Finish)) => {
                    assert_eq!(result, first);
                    self.land(key, first, &flight);
                }
                (Err(_), Some(End::Panic)) => {
                    self.leave(first);
                    return self.look();
                }
                _ => panic!("call {first} ended otherwise than told"),
            }
        }
        for id in self.callers.keys().copied().rev().collect::<Vec<_>>() {
            assert_eq!(self.poll_one(id), None, "{id} has a result too early");
        }
        let running: Vec<_> = self.expected.iter().map(|(_, flight, _)| flight[0]).collect();
        for id in self.callers.keys() {
            let started = self.calls.borrow().started.contains_key(id);
            assert_eq!(started, running.contains(id), "whether {id} runs");
        }
        let open = self.expected.iter().filter(|(_, _, open)| *open).count();
        assert_eq!(self.flights.len(), open);
    }

    /// Everybody on the flight gets what `by` brought, and it is not too old for any of them.
    fn land(&mut self, key: u8, by: usize, flight: &Flight) {
        let began = self.calls.borrow().started[&by];
        for id in flight {
            if *id != by {
                assert_eq!(self.poll_one(*id), Some(by));
            }
            let arrived = self.callers[id].arrived;
            assert_eq!(self.callers[id].key, key);
            let stale = |(other, at): &(u8, usize)| *other == key && began < *at && *at < arrived;
            assert!(
                !self.writes.iter().any(stale),
                "{id} came after a write and got a read before it"
            );
        }
        for id in flight {
            self.leave(*id);
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_list_of_flights_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for (id, step) in steps.iter().enumerate() {
            world.calls.borrow_mut().now += 1;
            match step {
                Step::Arrive(key) => world.arrive(*key, id),
                Step::Write(key) => world.write(*key),
                Step::Finish(at) => world.end(at, End::Finish),
                Step::Panic(at) => world.end(at, End::Panic),
                Step::Drop(at) => {
                    if let Some(id) = world.pick(at) {
                        world.leave(id);
                    }
                }
            }
            world.look();
        }
    }
}
