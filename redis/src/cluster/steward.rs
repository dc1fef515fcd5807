//! The task that sees to commands that cannot go straight to a node.

mod look;
mod queues;

use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use mainstay_core::{Clock, Moment};
use redis::cmd;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};

use self::{look::Look, queues::Queues};
use super::{
    Cluster,
    map::{Address, SlotMap},
    refusal::{Refusal, Refused},
    slot::SLOTS,
    table::{Table, Way},
};
use crate::{call::Call, error::Cause, job::Job, join::split, lane::Lane};

/// Keeps the table of slots, and sees to commands that cannot go straight to a node.
///
/// When a node does not serve a slot any more, commands of its slots are held back until it has answered
/// everything that was sent to it: then what it refused goes to the new node first, and what was held back
/// after that. So the order of calls holds.
pub(super) struct Steward {
    cluster: Weak<Cluster>,
    clock: Clock,
    held: Receiver<Job>,
    redirected: UnboundedReceiver<Refused>,
    queues: Queues,
    /// What was refused since the last turn: the slot, and by whom.
    moved: Vec<(u16, Box<str>)>,
    later: Vec<u16>,
    /// What nodes said of single slots since the last look.
    told: HashMap<u16, Address>,
    /// Nodes that are being drained, and those that are empty.
    draining: Vec<(Arc<Lane>, Call)>,
    drained: Vec<Arc<Lane>>,
    /// Slots that are tried again later.
    pausing: BTreeMap<u16, Moment>,
    look: Option<Look>,
    look_at: Moment,
    /// The map that the table shows, if it does so without exception.
    shown: Option<SlotMap>,
    left_at: Option<Moment>,
}

enum News {
    Drained(Arc<Lane>),
    Looked(Result<SlotMap, Cause>),
}

impl Steward {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        held: Receiver<Job>,
        redirected: UnboundedReceiver<Refused>,
    ) -> Self {
        let clock = cluster.clock.clone();
        let look_at = clock.now();
        let queues = Queues::new(cluster.name.clone(), cluster.router.clone());
        let (moved, later, told) = (Vec::new(), Vec::new(), HashMap::new());
        let (draining, drained, pausing) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (cluster, look, shown, left_at) = (Arc::downgrade(cluster), None, None, None);
        Self {
            cluster,
            clock,
            held,
            redirected,
            queues,
            moved,
            later,
            told,
            draining,
            drained,
            pausing,
            look,
            look_at,
            shown,
            left_at,
        }
    }

    /// Works until every handle is gone.
    pub(super) async fn run(mut self) {
        while let Some(cluster) = self.cluster.upgrade() {
            self.turn(&cluster);
            drop(cluster);
            let wake = self.clock.sleep_until(self.next());
            let (draining, look) = (&mut self.draining, &mut self.look);
            let news = tokio::select! {
                refused = self.redirected.recv() => {
                    let Some(refused) = refused else { break };
                    self.hear(refused);
                    None
                }
                job = self.held.recv() => {
                    let Some(job) = job else { break };
                    self.queues.hold(job);
                    None
                }
                news = poll_fn(|cx| poll_news(draining, look, cx)) => Some(news),
                () = wake => None,
            };
            match news {
                Some(News::Drained(lane)) => self.drained.push(lane),
                Some(News::Looked(map)) => self.looked(map),
                None => {}
            }
        }
        self.queues.fail_all(&Cause::new("every handle of the Cluster is gone"));
    }

    fn hear(&mut self, Refused { mut job, refusal, error, by }: Refused) {
        let Some(slot) = job.ticket.slot else { return };
        job.ticket.asking = false;
        match refusal {
            Refusal::Moved(to) => {
                self.told.insert(slot, to);
                self.moved.push((slot, by));
            }
            Refusal::Ask(to) => {
                job.ticket.asking = true;
                return self.queues.ask(to, *job);
            }
            Refusal::Later => {
                let torn = error.kind() == Some(redis::ServerErrorKind::TryAgain);
                // While the slot migrates, what was joined is about keys of two nodes: each call has one of its own.
                let jobs = if torn { split(*job) } else { vec![*job] };
                if jobs.len() == 1 {
                    self.later.push(slot);
                }
                jobs.into_iter().for_each(|job| self.queues.refuse(job, error.clone()));
                return;
            }
        }
        self.queues.refuse(*job, error);
    }

    /// Sends whatever can be sent now.
    fn turn(&mut self, cluster: &Arc<Cluster>) {
        let mut table = cluster.write();
        // Under the lock, so that nothing is still on its way here.
        while let Ok(refused) = self.redirected.try_recv() {
            self.hear(refused);
        }
        while let Ok(job) = self.held.try_recv() {
            self.queues.hold(job);
        }
        let now = self.clock.now();
        self.queues.expire(now);
        self.follow(cluster, &mut table);
        self.pause(&mut table, now);
        self.release(cluster, &mut table);
        self.queues.send(cluster, &mut table);
        drop(table);
        self.queues.tell();
        if self.look.is_none() && self.look_at <= now {
            self.look = Some(Look::through(cluster));
        }
    }

    /// Drains the nodes that sent commands elsewhere.
    fn follow(&mut self, cluster: &Arc<Cluster>, table: &mut Table) {
        for (slot, by) in std::mem::take(&mut self.moved) {
            match table.way(slot).clone() {
                Way::To(lane) if **lane.place().name().text() == *by => {
                    self.drain(cluster, table, &lane);
                }
                Way::Unknown => self.look_at = self.clock.now(),
                _ => {}
            }
        }
    }

    /// Holds back what would go to a node, until it has answered what it has.
    fn drain(&mut self, cluster: &Arc<Cluster>, table: &mut Table, lane: &Arc<Lane>) {
        let theirs = |way: &Way| matches!(way, Way::To(to) if Arc::ptr_eq(to, lane));
        for way in table.slots.iter_mut().filter(|way| theirs(way)) {
            *way = Way::Draining(lane.clone());
        }
        self.shown = None;
        // Answers come in order: once this one is here, so are those to everything before.
        self.draining.push((lane.clone(), cluster.ask(lane, cmd("PING"))));
        self.look_at = self.clock.now();
    }

    /// Tries slots again later, and those whose pause is over now.
    fn pause(&mut self, table: &mut Table, now: Moment) {
        for slot in std::mem::take(&mut self.later) {
            if let Way::To(lane) = table.way(slot).clone() {
                table.set(slot, Way::Pausing(lane));
                self.pausing.insert(slot, now + PAUSE);
                self.look_at = self.look_at.min(now + SOON);
            }
        }
        self.pausing.retain(|slot, until| {
            let over = *until <= now;
            if let (true, Way::Pausing(lane)) = (over, table.way(*slot).clone()) {
                table.set(*slot, Way::To(lane));
            }
            !over
        });
    }

    /// Lets single slots of drained nodes go where the nodes said.
    fn release(&mut self, cluster: &Arc<Cluster>, table: &mut Table) {
        for (slot, to) in &self.told {
            let free = match table.way(*slot) {
                Way::Unknown => true,
                Way::Draining(lane) => self.drained.iter().any(|empty| Arc::ptr_eq(empty, lane)),
                Way::To(_) | Way::Pausing(_) => false,
            };
            if free {
                let lane = table.lane(cluster, to);
                table.set(*slot, Way::To(lane));
            }
        }
    }

    fn looked(&mut self, map: Result<SlotMap, Cause>) {
        let Some(cluster) = self.cluster.upgrade() else { return };
        let now = self.clock.now();
        match map {
            Ok(map) => {
                self.look_at = now + LOOK_EVERY;
                if self.shown.as_ref() != Some(&map) {
                    cluster.anywhere.know(&map.primaries(), cluster.like());
                    self.show(&cluster, map);
                }
            }
            Err(cause) => {
                tracing::debug!(%cause, cluster = ?cluster.name, "the map of the slots is not known");
                self.queues.note(&cause);
                self.look_at = now + SOON;
                // Another node may know. Listeners are disturbed by that, so not all the time.
                if self.left_at.is_none_or(|left| left + LOOK_EVERY <= now) {
                    self.left_at = Some(now);
                    cluster.anywhere.leave();
                }
            }
        }
    }

    /// Lets the table show a map, but for slots of nodes that have to answer first.
    fn show(&mut self, cluster: &Arc<Cluster>, map: SlotMap) {
        let mut table = cluster.write();
        let (mut whole, mut leaving) = (true, Vec::<Arc<Lane>>::new());
        for (slot, owner) in (0..SLOTS as u16).zip(map.owners()) {
            let owner = self.told.get(&slot).or(owner);
            let owner = owner.map(|owner| table.lane(cluster, owner));
            let way = match (table.way(slot), owner) {
                (Way::To(lane), Some(owner)) if !Arc::ptr_eq(lane, &owner) => {
                    if !leaving.iter().any(|left| Arc::ptr_eq(left, lane)) {
                        leaving.push(lane.clone());
                    }
                    continue;
                }
                (Way::Unknown, Some(owner)) => Way::To(owner),
                (Way::Draining(lane), owner) if self.is_drained(lane) => {
                    owner.map_or(Way::Unknown, Way::To)
                }
                (Way::Pausing(_), Some(owner)) => Way::Pausing(owner),
                (Way::To(_), _) => continue,
                (Way::Unknown | Way::Draining(_) | Way::Pausing(_), _) => {
                    whole = false;
                    continue;
                }
            };
            table.set(slot, way);
        }
        self.drained.clear();
        whole &= leaving.is_empty() && self.told.is_empty();
        self.told.clear();
        for lane in leaving {
            self.drain(cluster, &mut table, &lane);
        }
        table.prune();
        self.shown = whole.then_some(map);
        if !whole {
            self.look_at = self.look_at.min(self.clock.now() + SOON);
        }
    }

    fn is_drained(&self, lane: &Arc<Lane>) -> bool {
        self.drained.iter().any(|empty| Arc::ptr_eq(empty, lane))
    }

    /// When there is something to do next, if nothing happens before.
    fn next(&self) -> Moment {
        let look = self.look.is_none().then_some(self.look_at);
        let pauses = self.pausing.values().copied();
        pauses.chain(look).chain(self.queues.first_deadline()).min().unwrap_or(Moment::NEVER)
    }
}

fn poll_news(
    draining: &mut Vec<(Arc<Lane>, Call)>,
    look: &mut Option<Look>,
    cx: &mut Context<'_>,
) -> Poll<News> {
    for index in 0..draining.len() {
        // Whatever the answer is: everything before it is answered too.
        if std::pin::Pin::new(&mut draining[index].1).poll(cx).is_ready() {
            return Poll::Ready(News::Drained(draining.swap_remove(index).0));
        }
    }
    if let Some(looking) = look
        && let Poll::Ready(map) = looking.poll(cx)
    {
        *look = None;
        return Poll::Ready(News::Looked(map));
    }
    Poll::Pending
}

/// Redirections tell of changes sooner; this is for those that nobody runs into.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// While something is amiss.
const SOON: Duration = Duration::from_millis(100);
/// Before a command goes out again that a node refused for the moment.
const PAUSE: Duration = Duration::from_millis(50);
