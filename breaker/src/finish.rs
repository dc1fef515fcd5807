//! One breaker: what a call's end means.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mainstay_core::Outcome;

use crate::{
    State,
    books::Books,
    inner::{Inner, Ticket},
    observe::{CallEvent, Event},
    policy::{Hot, Policy},
    recovery::millis,
    rules::Judgement,
    window::Sample,
};

impl Inner {
    /// Takes the outcome of an admitted call. `hint` is how long the other side asked to be left alone.
    #[inline]
    pub(crate) fn finish(
        self: &Arc<Self>,
        ticket: Ticket,
        outcome: Outcome,
        hint: Option<Duration>,
    ) {
        let hot = self.group.hot();
        let mut at = ticket.at;
        // A call admitted when nobody needed the time may end when somebody does.
        if outcome.is_bad() || hot.looks_for_slow() || (at == 0 && hot.is_timed()) {
            at = self.group.coarse_millis();
        }
        let took = at.saturating_sub(ticket.at);
        let slow = hot.looks_for_slow() && ticket.at != 0 && took >= hot.slow_millis();
        self.group.tell_call(|| self.finished(ticket, outcome));

        let word = self.gate.word();
        let plain = outcome == Outcome::Success && !slow && word.is_closed() && !word.is_watched();
        if plain && ticket.is_of(word) {
            self.count(hot, word.generation(), at, Sample::GOOD);
            self.end_row();
        } else {
            self.finish_otherwise(ticket, outcome, (slow, at), hint);
        }
    }

    #[inline(never)]
    fn finish_otherwise(
        self: &Arc<Self>,
        ticket: Ticket,
        outcome: Outcome,
        (slow, at): (bool, u64),
        hint: Option<Duration>,
    ) {
        let word = self.gate.word();
        let Some(sample) = Sample::new(outcome, slow) else {
            return self.ignored(ticket);
        };
        let Some(generation) = ticket.generation(word) else {
            return self.came_late(outcome);
        };
        match word.state() {
            State::Closed | State::Ramping => {
                self.count(self.group.hot(), generation, at, sample);
                self.judge(ticket, outcome, slow, hint);
            }
            State::Disabled => self.count(self.group.hot(), generation, at, sample),
            State::Open | State::HalfOpen | State::ForcedOpen => {
                self.settle(ticket, Some(outcome == Outcome::Success && !slow), hint);
            }
        }
    }

    /// Takes note of a call that ended without a result: its future was dropped.
    pub(crate) fn dropped(self: &Arc<Self>, ticket: Ticket) {
        let limit = self.group.policy().dropped;
        let ran = self.group.coarse_millis().saturating_sub(ticket.at);
        let unknown = ticket.at != 0 && limit.is_some_and(|limit| ran >= limit);
        self.finish(ticket, if unknown { Outcome::Unknown } else { Outcome::Ignored }, None);
    }

    /// A good call ends a row of bad ones. Mostly there is none: a load then, not a store.
    #[inline]
    fn end_row(&self) {
        if self.row.load(Ordering::Relaxed) != 0 {
            self.row.store(0, Ordering::Relaxed);
        }
    }

    #[inline]
    fn count(&self, hot: Hot, generation: u64, at: u64, sample: Sample) {
        let era = hot.era(generation);
        if !hot.is_timed() {
            let policy = self.group.policy();
            return self.gate.lock().record_counted(policy.count.unwrap_or(1), era, sample);
        }
        if let Some(ring) = self.own_ring() {
            return ring.record(hot.shift(), era, at, sample);
        }
        let mut books = self.gate.try_lock().unwrap_or_else(|| {
            self.make_rings();
            self.gate.lock()
        });
        books.record_timed(hot, era, at, sample);
    }

    #[cold]
    fn judge(
        self: &Arc<Self>,
        ticket: Ticket,
        outcome: Outcome,
        slow: bool,
        hint: Option<Duration>,
    ) {
        let (policy, now) = (self.group.policy(), self.group.coarse_millis());
        self.change(now, &policy, |books, changes| {
            let Some(generation) = ticket.generation(books.machine_mut().word()) else { return };
            if let Some(wait) = hint {
                books.machine_mut().hint(now, &policy.recovery, millis(wait));
            }
            let row = self.lengthen_row(&policy, outcome);
            let judgement = self.judge_books(books, &policy, generation, row, now);
            let machine = books.machine_mut();
            match judgement {
                Judgement::Trip(reason) => {
                    machine.trip(now, &policy.recovery, generation, reason, changes);
                }
                Judgement::Watch => machine.watch(generation, true),
                Judgement::Calm => machine.watch(generation, false),
            }
            let good = outcome == Outcome::Success && !slow;
            let numbers = (generation, ticket.trial());
            machine.settle(now, &policy.recovery, numbers, Some(good), changes);
        });
    }

    fn judge_books(
        &self,
        books: &mut Books,
        policy: &Policy,
        generation: u64,
        row: u32,
        now: u64,
    ) -> Judgement {
        let word = books.machine_mut().word();
        let percent = if word.state() == State::Ramping { word.level() } else { 100 };
        policy.rules.judge(&self.tally(books, policy, generation, now), row, percent)
    }

    fn lengthen_row(&self, policy: &Policy, outcome: Outcome) -> u32 {
        let row = self.row.load(Ordering::Relaxed);
        let row = match outcome {
            Outcome::Success => 0,
            Outcome::Failure => row.saturating_add(1),
            Outcome::Unknown if policy.rules.unknown_counts() => row.saturating_add(1),
            Outcome::Unknown | Outcome::Ignored => row,
        };
        self.row.store(row, Ordering::Relaxed);
        row
    }

    /// Gives a trial permit back, with what the trial call found.
    #[cold]
    fn settle(self: &Arc<Self>, ticket: Ticket, good: Option<bool>, hint: Option<Duration>) {
        let (policy, now) = (self.group.policy(), self.group.coarse_millis());
        let counted = self.change(now, &policy, |books, changes| {
            let machine = books.machine_mut();
            if let Some(wait) = hint {
                machine.hint(now, &policy.recovery, millis(wait));
            }
            ticket.generation(machine.word()).is_some_and(|generation| {
                let numbers = (generation, ticket.trial());
                machine.settle(now, &policy.recovery, numbers, good, changes)
            })
        });
        // In shadow mode calls without a permit come back here, and mean nothing.
        if !counted && ticket.trial() != 0 && good.is_some() {
            self.came_late(if good == Some(true) { Outcome::Success } else { Outcome::Failure });
        }
    }

    fn ignored(self: &Arc<Self>, ticket: Ticket) {
        if ticket.trial() != 0 {
            self.settle(ticket, None, None);
        }
    }

    #[cold]
    fn came_late(&self, outcome: Outcome) {
        self.lazy().late.fetch_add(1, Ordering::Relaxed);
        self.group.observer.tell(|| Event::Late { name: self.name.clone(), outcome });
    }

    fn finished(&self, ticket: Ticket, outcome: Outcome) -> CallEvent {
        let took = || Duration::from_millis(self.group.coarse_millis().saturating_sub(ticket.at));
        CallEvent::Finished { name: self.name.clone(), outcome, took: (ticket.at != 0).then(took) }
    }
}
