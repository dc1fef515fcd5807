//! The task that owns the connection: it writes what is queued, and answers everybody.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use mainstay_core::{Clock, Moment, Sleep};
use redis::{ServerErrorKind, Value};
use tokio::sync::mpsc;

use crate::{
    call::Reply,
    config::RedisConfig,
    error::{Cause, RedisError},
    job::{Answer, Job, Ticket},
    join::join,
    link::{Answers, BATCH, Batch, Identity, Link},
    place::Place,
    router::Router,
    script::Script,
    server::{Name, Primary},
};

/// The task that owns the connection.
pub(crate) struct Actor {
    place: Place,
    /// What messages call the server: its own name once it is known.
    name: Name,
    clock: Clock,
    config: Arc<RedisConfig>,
    router: Arc<Router>,
    jobs: mpsc::Receiver<Job>,
    /// Every handle is gone: finish what there is.
    closed: bool,
    /// Commands that were not written yet, in order.
    backlog: VecDeque<Job>,
    /// The connection before the next one.
    before: Option<Identity>,
    /// Why this connection is to be left once its answers are in, and how many commands at the head of the
    /// backlog it refused.
    leaving: Option<(Cause, usize)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Actor {
    pub(crate) fn new(
        place: Place,
        clock: Clock,
        config: Arc<RedisConfig>,
        router: Arc<Router>,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        let (name, backlog) = (place.name().clone(), VecDeque::new());
        let (closed, before, leaving, timer) = (false, None, None, None);
        Self { place, name, clock, config, router, jobs, closed, backlog, before, leaving, timer }
    }

    /// Works until every handle is gone and everybody is answered.
    pub(crate) async fn run(mut self) {
        while let Some(mut link) = self.connect().await {
            let overtaken = self.place.clone().overtaken(link.primary().clone());
            let cause = self.serve(&mut link, pin!(overtaken)).await;
            for batch in link.in_flight().drain(..) {
                self.lose(batch.tickets, &cause);
            }
            self.before = link.identity().cloned().or(self.before.take());
            self.leaving = None;
            tracing::debug!(server = ?self.name, %cause, "the connection to Redis is closed");
        }
    }

    /// Connects, with pauses. Between attempts commands are refused at once. `None` when it is over.
    async fn connect(&mut self) -> Option<Link> {
        let mut pause = Duration::ZERO;
        for attempt in 1.. {
            if self.is_over() {
                return None;
            }
            let cause = match self.attempt().await {
                Ok(link) => return Some(link),
                Err(cause) => cause,
            };
            tracing::warn!(server = ?self.place, attempt, %cause, "Redis cannot be reached");
            for job in self.backlog.drain(..).collect::<Vec<_>>() {
                self.refuse(job, &cause);
            }
            pause = self.config.retry.delay(attempt, pause);
            self.refuse_for(pause, &cause).await;
        }
        None
    }

    /// One attempt; commands wait for it within their budget.
    async fn attempt(&mut self) -> Result<Link, Cause> {
        let (place, router) = (self.place.clone(), self.router.clone());
        let before = self.before.clone();
        let opening = async move { Link::open(&place, &router, before).await };
        let mut opening = pin!(self.clock.timeout(self.config.connect_budget, opening));
        let opened = loop {
            self.set_timer(None);
            tokio::select! {
                opened = &mut opening => break opened,
                job = self.jobs.recv(), if self.may_take() => self.take(job),
                () = tick(&mut self.timer) => self.expire_backlog(),
            }
        };
        match opened {
            Ok(Ok(link)) => {
                self.before = None;
                self.name = link.name().clone();
                self.router.all_may_have_lost();
                Ok(link)
            }
            Ok(Err(cause)) => Err(cause),
            Err(_) => {
                Err(Cause::new(format!("no greeting within {:?}", self.config.connect_budget)))
            }
        }
    }

    async fn refuse_for(&mut self, pause: Duration, cause: &Cause) {
        let mut end = pin!(self.clock.sleep(pause));
        while !self.closed {
            tokio::select! {
                () = &mut end => return,
                job = self.jobs.recv() => match job {
                    Some(job) => self.refuse(job, cause),
                    None => self.closed = true,
                },
            }
        }
    }

    /// Works until the connection is lost, or everybody has gone home.
    async fn serve(
        &mut self,
        link: &mut Link,
        mut overtaken: Pin<&mut impl Future<Output = Cause>>,
    ) -> Cause {
        let mut taken = Vec::with_capacity(BATCH);
        loop {
            if self.leaving.is_none() {
                self.write(link).await;
            } else if link.is_idle() {
                return self.leaving.take().map_or_else(|| Cause::new("it is left"), |left| left.0);
            }
            if self.is_over() && link.is_idle() {
                return Cause::new("it is not needed any more");
            }
            self.set_timer(Some(link));
            tokio::select! {
                // Answers first: one that came in time is not overtaken by its deadline.
                biased;
                answered = link.answered() => {
                    let Some((batch, answers)) = answered else {
                        return Cause::new("the connection was closed");
                    };
                    if let Some(cause) = self.settle(batch, answers, link.primary()) {
                        return cause;
                    }
                }
                count = self.jobs.recv_many(&mut taken, BATCH), if self.may_take() => {
                    self.closed |= count == 0;
                    self.backlog.extend(taken.drain(..));
                }
                cause = &mut overtaken => return cause,
                () = tick(&mut self.timer) => {
                    if let Some(cause) = self.expire(link) {
                        return cause;
                    }
                }
            }
        }
    }

    /// Writes what is queued now, as far as the window allows.
    async fn write(&mut self, link: &mut Link) {
        while link.has_room() {
            // Nobody waits for the answer any more, and nothing was sent: leave it at that.
            self.backlog.retain(|job| !job.ticket.is_moot());
            if self.backlog.is_empty() {
                return;
            }
            let count = self.backlog.len().min(BATCH);
            link.write(join(self.backlog.drain(..count)), &self.clock).await;
        }
    }

    /// Hands out the answers to a batch. Why the connection is of no more use, if so.
    fn settle(
        &mut self,
        batch: Batch,
        (commands, answers): Answers,
        primary: &Arc<Primary>,
    ) -> Option<Cause> {
        let Batch { tickets, written, .. } = batch;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                let cause = Cause::new(error);
                self.lose(tickets, &cause);
                return Some(cause);
            }
        };
        let (mut answers, mut again) = (answers.into_iter(), Vec::new());
        for (mut ticket, command) in tickets.into_iter().zip(commands.cmd_iter()) {
            match answers.next() {
                Some(Value::ServerError(error)) => {
                    if forgot(&error) && ticket.reload() {
                        again.push(Job { command: command.clone(), ticket });
                        continue;
                    }
                    if self.place.is_watched() && is_demoted(&error) && !ticket.is_moot() {
                        self.leave(Job { command: command.clone(), ticket });
                        continue;
                    }
                    self.answer(ticket, Err(self.name.refused(&error)));
                }
                Some(value) => {
                    self.answer(ticket, Ok(Reply::new(value, written, primary.clone())));
                }
                None => self.lose(vec![ticket], &Cause::new("an answer is missing")),
            }
        }
        self.reload(again);
        None
    }

    /// Leaves a primary that became a replica: what it refused is done by the next one, in the same order.
    fn leave(&mut self, refused: Job) {
        let demoted = || (Cause::new("the primary became a replica"), 0);
        let (_, count) = self.leaving.get_or_insert_with(demoted);
        self.backlog.insert((*count).min(self.backlog.len()), refused);
        *count += 1;
    }

    /// Sends calls again whose script the server did not know, behind the script's text.
    fn reload(&mut self, again: Vec<Job>) {
        let mut scripts: Vec<&'static Script> = Vec::new();
        for job in again.into_iter().rev() {
            scripts.extend(job.ticket.script);
            self.backlog.push_front(job);
        }
        scripts.sort_unstable_by_key(|script| script.digest());
        scripts.dedup_by_key(|script| script.digest());
        for script in scripts {
            let deadline = self.backlog.front().map_or(Moment::NEVER, |job| job.ticket.deadline);
            self.backlog.push_front(Job::new(script.load(), None, Answer::Nobody, deadline));
        }
    }

    /// Tells those whose budget is spent. Why the connection is of no more use, if so.
    fn expire(&mut self, link: &mut Link) -> Option<Cause> {
        self.timer = None;
        self.expire_backlog();
        let (now, budget) = (self.clock.now(), self.config.budget);
        let silent = || Cause::new(format!("no answer within {budget:?}"));
        let mut silence = Duration::ZERO;
        let mut overdue = Vec::new();
        for batch in link.in_flight() {
            silence = silence.max(now.saturating_since(batch.written));
            batch.tickets.iter_mut().for_each(|ticket| ticket.take_overdue(now, &mut overdue));
        }
        for answer in overdue {
            self.tell(answer, Err(self.name.unknown(silent())));
        }
        let gave_up = silence >= self.config.give_up_after;
        gave_up.then(|| Cause::new(format!("no answer for {silence:?}, connection given up")))
    }

    fn expire_backlog(&mut self) {
        self.timer = None;
        let (now, budget) = (self.clock.now(), self.config.budget);
        let cause = Cause::new(format!("not written within {budget:?}"));
        while self.backlog.front().is_some_and(|job| job.ticket.deadline <= now) {
            if let Some(job) = self.backlog.pop_front() {
                self.refuse(job, &cause);
            }
        }
    }

    /// Sets the timer if it is not: deadlines come in order, so a timer that is set comes first.
    fn set_timer(&mut self, link: Option<&mut Link>) {
        if self.timer.is_some() {
            return;
        }
        let waiting = self.backlog.front().map(|job| job.ticket.deadline);
        let flying = link.and_then(|link| {
            let give_up = link.in_flight().front()?.written + self.config.give_up_after;
            let mut tickets = link.in_flight().iter().flat_map(|batch| &batch.tickets);
            let first = tickets.find(|ticket| ticket.is_open());
            Some(first.map_or(give_up, |ticket| ticket.deadline.min(give_up)))
        });
        let next = waiting.into_iter().chain(flying).min();
        self.timer = next.map(|at| Box::pin(self.clock.sleep_until(at)));
    }

    fn may_take(&self) -> bool {
        !self.closed && self.backlog.len() < self.config.queue.max(1)
    }

    fn take(&mut self, job: Option<Job>) {
        match job {
            Some(job) => self.backlog.push_back(job),
            None => self.closed = true,
        }
    }

    fn is_over(&self) -> bool {
        self.closed && self.backlog.is_empty()
    }

    fn refuse(&self, job: Job, cause: &Cause) {
        self.answer(job.ticket, Err(self.name.failed(cause.clone())));
    }

    fn lose(&self, tickets: Vec<Ticket>, cause: &Cause) {
        for ticket in tickets {
            self.answer(ticket, Err(self.name.unknown(cause.clone())));
        }
    }

    fn answer(&self, ticket: Ticket, answer: Result<Reply, RedisError>) {
        self.tell(ticket.answer, answer);
    }

    fn tell(&self, to: Answer, answer: Result<Reply, RedisError>) {
        match to {
            Answer::Caller(caller) => {
                // Gone meanwhile: the command is done all the same.
                let _ = caller.send(answer);
            }
            Answer::Handler(handler) => handler(answer),
            Answer::Parts(parts) => self.tell_parts(parts, answer),
            Answer::Listeners(channel) => {
                if let Err(error) = answer {
                    tracing::warn!(%error, "a subscription was refused");
                    self.router.may_have_lost(&channel);
                }
            }
            Answer::Nobody => {}
        }
    }

    /// Tells each of the calls that were one its part of the answer.
    fn tell_parts(&self, parts: Vec<Ticket>, answer: Result<Reply, RedisError>) {
        let answers = answer.and_then(|reply| reply.parts(parts.len()));
        match answers {
            Ok((answers, written, primary)) => {
                for (part, value) in parts.into_iter().zip(answers) {
                    let answer = match value {
                        Value::ServerError(error) => Err(self.name.refused(&error)),
                        value => Ok(Reply::new(value, written, primary.clone())),
                    };
                    self.answer(part, answer);
                }
            }
            Err(error) => parts.into_iter().for_each(|part| self.answer(part, Err(error.clone()))),
        }
    }
}

impl Ticket {
    /// Whether to send a call once more: somebody waits for it, and it did not happen too often.
    fn reload(&mut self) -> bool {
        let again = self.script.is_some() && !self.is_moot() && self.reloads < RELOADS;
        self.reloads += 1;
        again && self.is_open()
    }
}

fn forgot(error: &redis::ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::NoScript)
}

/// The server takes no writes because it is a replica now.
fn is_demoted(error: &redis::ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::ReadOnly)
}

async fn tick(timer: &mut Option<Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

/// How often a script is loaded again for one call.
const RELOADS: u8 = 3;
