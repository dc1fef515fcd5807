//! Commands that wait for a way.

use std::{collections::VecDeque, sync::Arc};

use mainstay_core::Moment;
use redis::ServerError;

use crate::{
    call::Reply,
    cluster::{
        Cluster,
        map::Address,
        table::{Table, Way},
    },
    error::{Cause, RedisError},
    job::{Answer, Job},
    lane::Rejected,
    router::Router,
    server::Name,
    tell::tell,
};

/// Commands that wait for a way, in the order of their calls.
pub(super) struct Queues {
    name: Name,
    router: Arc<Router>,
    /// Those that another node may have.
    asking: VecDeque<(Address, Job)>,
    /// Those that a node refused.
    refused: VecDeque<(Job, ServerError)>,
    /// Those that were not sent yet; they come after the refused ones.
    fresh: VecDeque<Job>,
    /// Answers to be handed out. Whoever hears one may call again, and looks at the table then: not under its
    /// lock.
    answers: Vec<(Answer, Result<Reply, RedisError>)>,
    /// Why the way is not known, as far as that is known.
    trouble: Option<Cause>,
}

impl Queues {
    pub(super) fn new(name: Name, router: Arc<Router>) -> Self {
        let (asking, refused, fresh, answers, trouble) = Default::default();
        Self { name, router, asking, refused, fresh, answers, trouble }
    }

    pub(super) fn hold(&mut self, job: Job) {
        self.fresh.push_back(job);
    }

    pub(super) fn refuse(&mut self, job: Job, error: ServerError) {
        self.refused.push_back((job, error));
    }

    pub(super) fn ask(&mut self, node: Address, job: Job) {
        self.asking.push_back((node, job));
    }

    /// Notes why the way is not known.
    pub(super) fn note(&mut self, cause: &Cause) {
        self.trouble = Some(cause.clone());
    }

    /// Sends those that have a way now.
    pub(super) fn send(&mut self, cluster: &Arc<Cluster>, table: &mut Table) {
        for (node, mut job) in std::mem::take(&mut self.asking) {
            job.ticket.strayed = true;
            self.sent(table.lane(cluster, &node).enqueue(job));
        }
        let refused = std::mem::take(&mut self.refused);
        let mut kept = |(job, error)| self.send_one(table, job).map(|job| (job, error));
        self.refused = refused.into_iter().filter_map(&mut kept).collect();
        let fresh = std::mem::take(&mut self.fresh);
        self.fresh = fresh.into_iter().filter_map(|job| self.send_one(table, job)).collect();
    }

    /// Sends a command if it has a way; it comes back if not.
    fn send_one(&mut self, table: &Table, mut job: Job) -> Option<Job> {
        let Some(Way::To(lane)) = job.ticket.slot.map(|slot| table.way(slot)) else {
            return Some(job);
        };
        job.ticket.strayed = true;
        self.sent(lane.enqueue(job));
        None
    }

    fn sent(&mut self, sent: Result<(), Rejected>) {
        if let Err(rejected) = sent {
            let (error, job) = *rejected;
            self.answers.push((job.ticket.answer, Err(error)));
        }
    }

    /// Takes out those whose budget is spent at `now`.
    pub(super) fn expire(&mut self, now: Moment) {
        let late = |job: &Job| job.ticket.deadline <= now || job.ticket.is_moot();
        for (job, error) in self.refused.extract_if_late(|(job, _)| late(job)) {
            self.answers.push((job.ticket.answer, Err(self.name.refused(&error))));
        }
        let cause = self.trouble.clone();
        let cause = cause.unwrap_or_else(|| Cause::new("nobody said in time who serves the slot"));
        for job in self.fresh.extract_if_late(late) {
            self.answers.push((job.ticket.answer, Err(self.name.failed(cause.clone()))));
        }
    }

    /// Tells those who were taken out; not under the lock of the table.
    pub(super) fn tell(&mut self) {
        for (to, answer) in self.answers.drain(..) {
            tell(&self.name, &self.router, to, answer);
        }
    }

    /// Tells everybody that nothing was done.
    pub(super) fn fail_all(&mut self, cause: &Cause) {
        let refused = self.refused.drain(..).map(|(job, _)| job);
        let asking = self.asking.drain(..).map(|(_, job)| job);
        for job in refused.chain(asking).chain(self.fresh.drain(..)) {
            let error = self.name.failed(cause.clone());
            tell(&self.name, &self.router, job.ticket.answer, Err(error));
        }
    }

    pub(super) fn first_deadline(&self) -> Option<Moment> {
        let refused = self.refused.iter().map(|(job, _)| job);
        refused.chain(&self.fresh).map(|job| job.ticket.deadline).min()
    }
}

/// Takes out what has waited too long, and keeps the order of the rest.
trait ExtractLate<T> {
    fn extract_if_late(&mut self, late: impl FnMut(&T) -> bool) -> Vec<T>;
}

impl<T> ExtractLate<T> for VecDeque<T> {
    fn extract_if_late(&mut self, mut late: impl FnMut(&T) -> bool) -> Vec<T> {
        if !self.iter().any(&mut late) {
            return Vec::new();
        }
        let (gone, kept): (Vec<T>, Vec<T>) = self.drain(..).partition(late);
        self.extend(kept);
        gone
    }
}
