//! The task that owns the connection: it writes what is queued, and answers everybody.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{Arc, Weak},
    time::Duration,
};

use mainstay_core::{Clock, Moment, Sleep};
use redis::{Cmd, ServerError, ServerErrorKind, Value};
use tokio::sync::mpsc;

use crate::{
    call::Reply,
    cluster::{Cluster, Refused},
    config::RedisConfig,
    error::{Cause, RedisError},
    job::{Answer, Job, Ticket},
    join::{AT_ONCE, join},
    lane::Lane,
    link::{BATCH, Batch, ENOUGH, Identity, Link},
    place::Place,
    router::Router,
    server::{Name, Primary},
    tell::tell,
};

/// The task that owns the connection.
pub(crate) struct Actor {
    place: Place,
    /// What messages call the server: its own name once it is known.
    name: Name,
    clock: Clock,
    config: Arc<RedisConfig>,
    router: Arc<Router>,
    cluster: Option<Weak<Cluster>>,
    jobs: mpsc::Receiver<Job>,
    /// Every handle is gone: finish what there is.
    closed: bool,
    /// Commands that were not written yet, in order.
    backlog: VecDeque<Job>,
    /// Whether deadlines are out of order, because commands came late from somewhere else.
    jumbled: bool,
    /// The connection before the next one.
    before: Option<Identity>,
    /// How many commands at the head of the backlog were refused and go out again. Until everything on its
    /// way is answered nothing else is written: more of them may come, and they keep their order.
    refused: usize,
    /// Why this connection is to be left then.
    leaving: Option<Cause>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Actor {
    pub(crate) fn new(lane: &Lane, jobs: mpsc::Receiver<Job>) -> Self {
        let (place, cluster) = (lane.place.clone(), lane.cluster.clone());
        let (clock, config, router) =
            (lane.clock.clone(), lane.config.clone(), lane.router.clone());
        let (name, backlog) = (place.name().clone(), VecDeque::new());
        let (closed, jumbled) = (false, false);
        let (refused, before, leaving, timer) = (0, None, None, None);
        Self {
            place,
            name,
            clock,
            config,
            router,
            cluster,
            jobs,
            closed,
            backlog,
            jumbled,
            before,
            refused,
            leaving,
            timer,
        }
    }

    /// Works until every handle is gone and everybody is answered.
    pub(crate) async fn run(mut self) {
        while let Some(mut link) = self.connect().await {
            let overtaken = self.place.clone().overtaken(link.primary().clone());
            let cause = self.serve(&mut link, pin!(overtaken)).await;
            for batch in link.in_flight().drain(..) {
                self.lose(batch.jobs, &cause);
            }
            self.before = link.identity().cloned().or(self.before.take());
            (self.leaving, self.refused) = (None, 0);
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
            if link.is_idle() {
                if let Some(cause) = self.leaving.take() {
                    return cause;
                }
                self.resume();
            }
            if self.refused == 0 && self.leaving.is_none() {
                self.write(link).await;
            }
            if self.is_over() && link.is_idle() {
                return Cause::new("it is not needed any more");
            }
            self.set_timer(Some(link));
            tokio::select! {
                // Answers first: one that came in time is not overtaken by its deadline.
                biased;
                answered = link.answered() => {
                    match answered {
                        Ok(batch) => self.settle(batch, link.primary()),
                        Err(cause) => return cause,
                    }
                    // Those who were answered together are about to call together.
                    self.gather(CALL_AGAIN).await;
                }
                count = self.jobs.recv_many(&mut taken, BATCH), if self.may_take() => {
                    self.closed |= count == 0;
                    taken.drain(..).for_each(|job| self.take(Some(job)));
                    self.gather(CALL).await;
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
        while link.has_room(self.backlog.len()) {
            // Nobody waits for the answer any more, and nothing was sent: leave it at that.
            self.backlog.retain(|job| !job.ticket.is_moot());
            if self.backlog.is_empty() {
                return;
            }
            // With nothing on its way there is nothing to overlap with: calls made together go together.
            let most = if link.is_idle() { AT_ONCE } else { ENOUGH };
            let count = self.backlog.len().min(most);
            link.write(join(self.backlog.drain(..count)), count, &self.clock).await;
        }
    }

    /// Hands out the answers to a batch.
    fn settle(&mut self, batch: Batch, primary: &Arc<Primary>) {
        let Batch { jobs, answers, written, .. } = batch;
        for (Job { command, mut ticket }, answer) in jobs.into_iter().zip(answers) {
            match answer {
                Value::ServerError(error) => {
                    if forgot(&error) && ticket.reload() {
                        self.keep(command, ticket);
                        continue;
                    }
                    if self.place.is_watched() && is_demoted(&error) && ticket.is_wanted() {
                        self.leaving = Some(Cause::new("the primary became a replica"));
                        self.keep(command, ticket);
                        continue;
                    }
                    if let Some(ticket) = self.redirect(command, ticket, &error) {
                        self.answer(ticket, Err(self.name.refused(&error)));
                    }
                }
                value => self.answer(ticket, Ok(Reply::new(value, written, primary.clone()))),
            }
        }
    }

    /// Hands a command that belongs to another node to the Cluster; back if it is about something else.
    fn redirect(&self, command: Cmd, ticket: Ticket, error: &ServerError) -> Option<Ticket> {
        let cluster = self.cluster.as_ref().and_then(Weak::upgrade);
        let Some(cluster) = cluster.filter(|_| ticket.is_wanted()) else { return Some(ticket) };
        let job = Box::new(Job { command, ticket });
        let refused = Refused::read(job, error, self.name.text());
        refused.and_then(|refused| cluster.redirect(refused)).err().map(|job| job.ticket)
    }

    /// Keeps a command that the server has not done. It goes out again, in front of those that were not
    /// written yet and behind those that were refused before it, once everything on its way is answered.
    fn keep(&mut self, command: Cmd, ticket: Ticket) {
        let at = self.refused.min(self.backlog.len());
        self.backlog.insert(at, Job { command, ticket });
        self.refused = at + 1;
    }

    /// Sends what was refused again, behind the texts of the scripts that the server did not know.
    fn resume(&mut self) {
        let refused = self.backlog.iter().take(std::mem::take(&mut self.refused));
        let unknown = refused.filter(|job| job.ticket.reloads > 0);
        let mut scripts: Vec<_> = unknown.filter_map(|job| job.ticket.script).collect();
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
            batch.jobs.iter_mut().for_each(|job| job.ticket.take_overdue(now, &mut overdue));
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
        let late = |job: &Job| job.ticket.deadline <= now;
        if self.jumbled {
            let (late, kept): (Vec<_>, Vec<_>) = self.backlog.drain(..).partition(late);
            self.backlog.extend(kept);
            late.into_iter().for_each(|job| self.refuse(job, &cause));
        }
        while self.backlog.front().is_some_and(late) {
            if let Some(job) = self.backlog.pop_front() {
                self.refused = self.refused.saturating_sub(1);
                self.refuse(job, &cause);
            }
        }
    }

    /// Sets the timer if it is not: deadlines come in order, so a timer that is set comes first.
    fn set_timer(&mut self, link: Option<&mut Link>) {
        if self.timer.is_some() {
            return;
        }
        // Where they are jumbled, all of them are looked at, and whoever comes late sets the timer anew.
        let count = if self.jumbled { usize::MAX } else { 1 };
        let waiting = self.backlog.iter().take(count).map(|job| job.ticket.deadline).min();
        let flying = link.and_then(|link| {
            let give_up = link.in_flight().front()?.written + self.config.give_up_after;
            let tickets = link.in_flight().iter().flat_map(|batch| &batch.jobs);
            let open = tickets.map(|job| &job.ticket).filter(|ticket| ticket.is_open()).take(count);
            Some(open.map(|ticket| ticket.deadline.min(give_up)).min().unwrap_or(give_up))
        });
        self.jumbled &= waiting.is_some() || flying.is_some();
        let next = waiting.into_iter().chain(flying).min();
        self.timer = next.map(|at| Box::pin(self.clock.sleep_until(at)));
    }

    fn may_take(&self) -> bool {
        !self.closed && self.backlog.len() < self.config.queue.max(1)
    }

    /// Lets other tasks run and takes what they call, at most a batch: what is written together costs less.
    async fn gather(&mut self, rounds: usize) {
        for _ in 0..rounds {
            tokio::task::yield_now().await;
            while self.may_take() && self.backlog.len() < BATCH {
                match self.jobs.try_recv() {
                    Ok(job) => self.take(Some(job)),
                    Err(_) => break,
                }
            }
        }
    }

    fn take(&mut self, job: Option<Job>) {
        match job {
            Some(job) => {
                if job.ticket.strayed {
                    self.jumbled = true;
                    self.timer = None;
                }
                self.backlog.push_back(job);
            }
            None => self.closed = true,
        }
    }

    fn is_over(&self) -> bool {
        self.closed && self.backlog.is_empty()
    }

    fn refuse(&self, job: Job, cause: &Cause) {
        self.answer(job.ticket, Err(self.name.failed(cause.clone())));
    }

    fn lose(&self, jobs: Vec<Job>, cause: &Cause) {
        for job in jobs {
            self.answer(job.ticket, Err(self.name.unknown(cause.clone())));
        }
    }

    fn answer(&self, ticket: Ticket, answer: Result<Reply, RedisError>) {
        self.tell(ticket.answer, answer);
    }

    fn tell(&self, to: Answer, answer: Result<Reply, RedisError>) {
        tell(&self.name, &self.router, to, answer);
    }
}

/// How often others may run before what one of them called is written.
const CALL: usize = 1;

/// How often they may where they were answered: those whom another worker of the runtime took over need a bit longer.
const CALL_AGAIN: usize = 2;

impl Ticket {
    /// Whether to send a call once more: somebody waits for it, and it did not happen too often.
    fn reload(&mut self) -> bool {
        let again = self.script.is_some() && !self.is_moot() && self.reloads < RELOADS;
        self.reloads += 1;
        again && self.is_open()
    }
}

fn forgot(error: &ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::NoScript)
}

/// The server takes no writes because it is a replica now.
fn is_demoted(error: &ServerError) -> bool {
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
