//! Clusters: each command goes to the node that serves its slot.

mod anywhere;
mod map;
mod refusal;
mod slot;
mod steward;
mod table;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mainstay_core::Clock;
use redis::Cmd;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::{
    anywhere::Anywhere,
    refusal::Refused,
    slot::{slot_of, slot_of_command},
};
use self::{
    map::Address,
    steward::Steward,
    table::{Table, Way},
};
use crate::{
    call::Call,
    config::RedisConfig,
    error::Cause,
    job::{Answer, Job},
    lane::{Lane, Rejected},
    place::Place,
    router::Router,
    server::{Name, Server},
    spawn,
};

/// A Cluster: one lane to each node that serves slots, and one to anywhere.
pub(crate) struct Cluster {
    name: Name,
    seeds: Vec<Server>,
    clock: Clock,
    config: Arc<RedisConfig>,
    router: Arc<Router>,
    anywhere: Arc<Anywhere>,
    to_anywhere: Lane,
    table: RwLock<Table>,
}

impl Cluster {
    /// The Cluster that `seeds` belong to; at least one.
    pub(crate) fn new(
        seeds: Vec<Server>,
        clock: Clock,
        config: Arc<RedisConfig>,
        router: Arc<Router>,
    ) -> Self {
        let names: Vec<_> = seeds.iter().map(|seed| seed.name().text().to_string()).collect();
        let name = Name::new(format!("cluster of {}", names.join(", ")));
        let anywhere = Arc::new(Anywhere::new(name.clone(), seeds.clone()));
        let place = Place::Anywhere(anywhere.clone());
        let to_anywhere = Lane::new(place, clock.clone(), config.clone(), router.clone(), None);
        let table = RwLock::new(Table::new());
        Self { name, seeds, clock, config, router, anywhere, to_anywhere, table }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// The nodes that were named.
    pub(crate) fn seeds(&self) -> &[Server] {
        &self.seeds
    }

    /// Puts a command into the queue of its node.
    pub(crate) fn enqueue(self: &Arc<Self>, job: Job) -> Result<(), Rejected> {
        let Some(slot) = job.ticket.slot else { return self.to_anywhere.enqueue(job) };
        let mut table = self.read();
        if !table.has_steward() {
            drop(table);
            if !self.appoint() {
                let cause = Cause::new("there is no tokio runtime to connect on");
                return Err(Box::new((self.name.failed(cause), job)));
            }
            table = self.read();
        }
        // Sent under the lock: whoever changes the way of the slot finds the command where it was sent.
        if let Way::To(lane) = table.way(slot) {
            return lane.enqueue(job);
        }
        match &table.held {
            Some(held) => held.try_send(job).map_err(|full| {
                let cause = Cause::new("too many commands wait for the Cluster to be known");
                Box::new((self.name.failed(cause), full.into_inner()))
            }),
            None => Err(Box::new((self.name.failed(Cause::new("nobody is in charge")), job))),
        }
    }

    /// Hands a refused command to the steward; back if there is none.
    pub(crate) fn redirect(&self, refused: Refused) -> Result<(), Box<Job>> {
        match &self.read().refused {
            Some(steward) => steward.send(refused).map_err(|error| error.0.job),
            None => Err(refused.job),
        }
    }

    /// Starts the steward if there is none. False without a runtime.
    fn appoint(self: &Arc<Self>) -> bool {
        let mut table = self.write();
        if table.has_steward() {
            return true;
        }
        let (held, to_do) = mpsc::channel(self.config.queue.max(1));
        let (refused, redirected) = mpsc::unbounded_channel();
        let steward = Steward::new(self, to_do, redirected);
        if !spawn::detach(steward.run()) {
            return false;
        }
        // What an earlier steward held back has gone with it.
        table.slots.fill(Way::Unknown);
        (table.held, table.refused) = (Some(held), Some(refused));
        true
    }

    /// A lane to a node. Its pushes are nobody's: channels are listened to anywhere.
    fn node(self: &Arc<Self>, address: &Address) -> Lane {
        let server = self.like().at(&address.host, address.port);
        let (clock, config) = (self.clock.clone(), self.config.clone());
        let cluster = Some(Arc::downgrade(self));
        Lane::new(Place::Node(server), clock, config, Arc::default(), cluster)
    }

    /// A server for the user of this Cluster, encrypted if its seeds are.
    fn like(&self) -> &Server {
        self.seeds.first().expect("the builder refuses a Cluster without seeds")
    }

    /// The lanes to the nodes that are known to serve slots.
    pub(crate) fn lanes(&self) -> Vec<Arc<Lane>> {
        self.read().lanes.values().cloned().collect()
    }

    /// Asks one lane a question of our own.
    pub(crate) fn ask(&self, lane: &Lane, question: Cmd) -> Call {
        let (answer, answered) = oneshot::channel();
        let deadline = self.clock.now() + self.config.budget;
        let name = lane.place().name().clone();
        match lane.enqueue(Job::new(question, None, Answer::Caller(answer), deadline)) {
            Ok(()) => Call::waiting(name, answered),
            Err(refused) => Call::refused(name, refused.0),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}
