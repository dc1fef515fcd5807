//! The client processes of a run.

use std::{fs, future::ready, path::PathBuf, time::Duration};

use fastrand::Rng;
use mainstay_core::Clock;
use mainstay_testkit::{Worker, eventually};

use crate::{Result, client::Habit, event::What, shape::Shape, world::World};

/// What all clients of a fleet are told.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) shape: Shape,
    pub(crate) store: String,
    pub(crate) folder: PathBuf,
    pub(crate) seats: usize,
    pub(crate) tasks: u32,
    pub(crate) keys: u32,
    pub(crate) habit: Habit,
}

/// A client process in each seat.
pub(crate) struct Fleet {
    terms: Terms,
    seats: Vec<Seat>,
    rng: Rng,
    started: u32,
}

struct Seat {
    number: u32,
    worker: Worker,
}

impl Fleet {
    /// Starts a client in every seat. Numbers go on after `started`.
    pub(crate) fn start(terms: Terms, world: &World, rng: Rng, started: u32) -> Result<Self> {
        let mut fleet = Self { terms, seats: Vec::new(), rng, started };
        for seat in 0..fleet.terms.seats {
            let client = fleet.client(seat, world)?;
            fleet.seats.push(client);
        }
        Ok(fleet)
    }

    /// The number of a seat's client.
    pub(crate) fn number(&self, seat: usize) -> u32 {
        self.seats[seat].number
    }

    /// How many clients there have been.
    pub(crate) fn started(&self) -> u32 {
        self.started
    }

    pub(crate) fn pause(&self, seat: usize) -> Result<()> {
        Ok(self.seats[seat].worker.pause()?)
    }

    pub(crate) fn resume(&self, seat: usize) -> Result<()> {
        Ok(self.seats[seat].worker.resume()?)
    }

    pub(crate) async fn kill(&mut self, seat: usize) -> Result<()> {
        Ok(self.seats[seat].worker.kill().await?)
    }

    /// Starts another client in a seat whose client was killed.
    pub(crate) fn replace(&mut self, seat: usize, world: &World) -> Result<()> {
        self.seats[seat] = self.client(seat, world)?;
        Ok(())
    }

    /// Fails if a client ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        for seat in &mut self.seats {
            if !seat.worker.is_running()? {
                return Err(
                    format!("client {} ended early: {}", seat.number, seat.worker.log()).into()
                );
            }
        }
        Ok(())
    }

    /// Tells every client something.
    pub(crate) fn tell(&self, order: &str) -> Result<()> {
        // Whole at once: a client must not read half a word.
        let (new, file) = (self.terms.folder.join("control.new"), self.control());
        fs::write(&new, order)?;
        Ok(fs::rename(new, file)?)
    }

    /// Waits until every client has ended; those that do not are killed and returned.
    pub(crate) async fn end(&mut self, patience: Duration) -> Result<Vec<What>> {
        let end = Clock::boot().now() + patience;
        let mut stuck = Vec::new();
        for seat in &mut self.seats {
            let left = end.saturating_since(Clock::boot().now()).max(Duration::from_millis(1));
            let ended = eventually(left, || ready(ended(&mut seat.worker)));
            if let Err(late) = ended.await {
                let log = format!("{late}: {}", seat.worker.log());
                stuck.push(What::Stuck { victim: seat.number, log });
                seat.worker.kill().await?;
            }
        }
        Ok(stuck)
    }

    fn client(&mut self, seat: usize, world: &World) -> Result<Seat> {
        self.started += 1;
        let (number, terms) = (self.started, &self.terms);
        let mut args = vec!["client".to_owned()];
        let mut add = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        add("number", number.to_string());
        add("seed", self.rng.u64(..).to_string());
        add("shape", terms.shape.name());
        add("store", terms.store.clone());
        add("history", terms.folder.join(format!("client-{number}.jsonl")).display().to_string());
        add("control", self.terms.folder.join(CONTROL).display().to_string());
        add("tasks", terms.tasks.to_string());
        add("keys", terms.keys.to_string());
        add("habit", terms.habit.name());
        for url in world.urls(seat) {
            add("url", url);
        }
        let program = std::env::current_exe()?;
        Ok(Seat { number, worker: Worker::start(format!("client-{number}"), &program, args)? })
    }

    fn control(&self) -> PathBuf {
        self.terms.folder.join(CONTROL)
    }
}

fn ended(worker: &mut Worker) -> std::result::Result<(), String> {
    match worker.is_running() {
        Ok(false) => Ok(()),
        Ok(true) => Err("it runs".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

const CONTROL: &str = "control";
