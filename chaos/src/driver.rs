//! A run: servers, clients, and what is broken.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use fastrand::Rng;
use mainstay_core::Clock;
use mainstay_testkit::{eventually, history::read, postgres::Postgres};
use tempfile::TempDir;

use crate::{
    Result,
    client::{Habit, SCHEMA},
    event::{Event, What, now},
    fault::Fault,
    fleet::{Fleet, Terms},
    plan::{Step, plan},
    shape::Shape,
    world::{Elections, World},
};

/// What to run.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) history: Option<PathBuf>,
    pub(crate) scene: Scene,
}

/// Who does what, and what is broken.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) tasks: u32,
    pub(crate) keys: u32,
    pub(crate) habit: Habit,
    /// All that the shape has, if there are none.
    pub(crate) faults: Vec<Fault>,
    /// How long clients work after everything is mended.
    pub(crate) calm: Duration,
    /// What is broken for all clients while they leave, and mended before they lose patience.
    pub(crate) parting: Option<Fault>,
}

impl Default for Scene {
    fn default() -> Self {
        // The calm is longer than the waits and leases of the time before.
        let calm = Duration::from_secs(6);
        let (tasks, keys, parting) = (6, 6, None);
        Self { tasks, keys, habit: Habit::Mixed, faults: Vec::new(), calm, parting }
    }
}

/// Runs each shape on servers of its own; where the history is.
pub(crate) async fn run(run: Run) -> Result<PathBuf> {
    let history = run
        .history
        .unwrap_or_else(|| std::env::temp_dir().join(format!("mainstay-chaos-{}.jsonl", run.seed)));
    let store = Postgres::start().await?;
    let mut file = BufWriter::new(File::create(&history)?);
    let share = run.length / u32::try_from(run.shapes.len().max(1))?;
    let mut clients = 0;
    for shape in run.shapes {
        eprintln!("chaos: seed {}, {} for {share:?}", run.seed, shape.name());
        let session = Session::start(run.seed, shape, &run.scene, &store, clients).await?;
        let plan = plan(run.seed, shape, &run.scene.faults, share);
        clients = session.run(plan, share, &run.scene, &mut file).await?;
    }
    file.flush()?;
    Ok(history)
}

/// One shape's part of a run.
struct Session<'a> {
    store: &'a Postgres,
    world: World,
    elections: Option<Elections>,
    fleet: Fleet,
    clock: Clock,
    log: Vec<Event>,
    folder: TempDir,
}

impl<'a> Session<'a> {
    async fn start(
        seed: u64,
        shape: Shape,
        scene: &Scene,
        store: &'a Postgres,
        clients: u32,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        store.query("DROP TABLE IF EXISTS counter").await?;
        store.query(SCHEMA).await?;
        let terms = Terms {
            shape,
            store: store.url(),
            folder: folder.path().to_owned(),
            seats: SEATS,
            tasks: scene.tasks,
            keys: scene.keys,
            habit: scene.habit,
        };
        let world = World::start(shape, SEATS).await?;
        let rng = Rng::with_seed(seed ^ CLIENTS);
        let log = vec![Event { at: now(), client: 0, what: What::Began { seed, shape } }];
        let elections = world.elections();
        let fleet = Fleet::start(terms, &world, rng, clients)?;
        Ok(Self { store, world, elections, fleet, clock: Clock::boot(), log, folder })
    }

    /// How many clients there have been.
    async fn run(
        mut self,
        plan: Vec<Step>,
        length: Duration,
        scene: &Scene,
        history: &mut impl Write,
    ) -> Result<u32> {
        // Breaking and mending take time of their own: the end of the plan may be left out.
        let end = self.clock.now() + length;
        for (number, step) in (0..).zip(&plan) {
            if self.clock.now() >= end {
                break;
            }
            self.clock.sleep(step.gap).await;
            self.fleet.check()?;
            let lossy = self.world.is_lossy(step);
            self.note(What::Strikes { number, fault: step.fault, lossy });
            self.step(step).await.map_err(|error| format!("{:?}: {error}", step.fault))?;
            self.note(What::Mended { number });
        }
        self.calm_down(scene).await?;
        self.write(history)?;
        Ok(self.fleet.started())
    }

    async fn step(&mut self, step: &Step) -> Result<()> {
        let seat = usize::try_from(step.pick % SEATS as u64)?;
        match step.fault {
            Fault::ClientStop => {
                let victim = self.fleet.number(seat);
                self.note(What::Stops { victim });
                self.fleet.pause(seat)?;
                self.clock.sleep(step.lasts).await;
                self.fleet.resume(seat)?;
                self.note(What::Continued { victim });
            }
            Fault::ClientKill => {
                // Its server does not know: until its leases end nobody else may believe, dead or not.
                self.fleet.kill(seat).await?;
                self.note(What::Kills { victim: self.fleet.number(seat) });
                self.fleet.replace(seat, &self.world)?;
            }
            _ => {
                self.world.strike(step).await?;
                self.clock.sleep(step.lasts).await;
                self.world.mend(step).await?;
            }
        }
        Ok(())
    }

    /// Lets everybody finish, and looks at what is left.
    async fn calm_down(&mut self, scene: &Scene) -> Result<()> {
        self.note(What::Calm);
        self.fleet.tell("calm")?;
        self.clock.sleep(scene.calm).await;
        self.fleet.check()?;
        match scene.parting {
            Some(fault) => self.part(fault).await?,
            None => self.fleet.tell("stop")?,
        }
        let stuck = self.fleet.end(PATIENCE).await?;
        stuck.into_iter().for_each(|what| self.note(what));
        // Sooner than the leases of the calm: those who left have said so.
        let clean = || async {
            let left = self.world.leftovers().await.map_err(|error| error.to_string())?;
            if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
        };
        let _ = eventually(CLEAN, clean).await;
        let keys = self.world.leftovers().await?;
        self.note(What::Leftovers { keys });
        let rows = self.store.query("SELECT key, value FROM counter ORDER BY key").await?;
        for row in rows.lines() {
            let (key, value) = row.split_once('|').ok_or("a row of two fields")?;
            self.note(What::Counter { key: key.to_owned(), value: value.parse()? });
        }
        Ok(())
    }

    /// Has everybody leave while something is broken.
    async fn part(&mut self, fault: Fault) -> Result<()> {
        let number = u64::MAX;
        let step = Step { gap: Duration::ZERO, fault, lasts: PARTING, pick: 0, all: true };
        self.note(What::Strikes { number, fault, lossy: self.world.is_lossy(&step) });
        self.world.strike(&step).await?;
        self.fleet.tell("stop")?;
        self.clock.sleep(step.lasts).await;
        self.world.mend(&step).await?;
        self.note(What::Mended { number });
        Ok(())
    }

    /// Writes everybody's history in the order of time.
    fn write(&mut self, history: &mut impl Write) -> Result<()> {
        let mut events = std::mem::take(&mut self.log);
        events.extend(self.elections.iter().flat_map(Elections::take));
        for entry in self.folder.path().read_dir()? {
            let path = entry?.path();
            if is_history(&path) {
                events.extend(read::<Event>(&path)?);
            }
        }
        // The run begins before and the counters come after whatever happened at the same time.
        events.sort_by_key(|event| event.at);
        for event in &events {
            serde_json::to_writer(&mut *history, event)?;
            history.write_all(b"\n")?;
        }
        Ok(())
    }

    fn note(&mut self, what: What) {
        self.log.push(Event { at: now(), client: 0, what });
    }
}

fn is_history(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl")
}

const SEATS: usize = 4;
/// Clients choose by another sequence than the plan.
const CLIENTS: u64 = 0x00c1_1e47;
/// Shorter than a client's shutdown.
const PARTING: Duration = Duration::from_secs(1);
/// Longer than the waits of the calm.
const PATIENCE: Duration = Duration::from_secs(30);
/// Shorter than the leases of the calm.
const CLEAN: Duration = Duration::from_secs(3);
