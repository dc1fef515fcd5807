//! Client processes and servers that are broken on purpose, and a judge of what they did.
//!
//! `cargo xtask chaos` runs it. The driver starts real servers and several processes of this program as
//! clients, breaks something every second by a plan that its seed repeats, and writes down what everybody
//! did, saw and was told. Then the judge reads the history alone: run again on the kept file, it comes to
//! the same verdict.

mod client;
mod driver;
mod event;
mod fault;
mod fleet;
mod judge;
mod plan;
mod planted;
mod report;
mod shape;
mod spawn;
mod world;

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    client::ClientArgs,
    driver::{Run, Scene},
    fault::Fault,
    judge::Violation,
    planted::{PLANTED, Planted},
    shape::Shape,
};

/// What everything here returns; the message is for a person.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Breaks servers and clients, and judges what the locks did.
#[derive(Parser)]
#[command(name = "cargo xtask chaos", bin_name = "cargo xtask chaos")]
struct Cli {
    #[command(subcommand)]
    what: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The lock
    Lock(LockArgs),
    /// The scene in which a planted bug must be caught; without a name, the bugs that there are
    #[command(hide = true)]
    Planted {
        /// Its name
        name: Option<String>,
        /// The bug is not there: nothing may be violated
        #[arg(long)]
        control: bool,
        /// Runs nothing, and copies the scripts in one folder to another, with the bug
        #[arg(long, num_args = 2)]
        scripts: Vec<PathBuf>,
    },
    /// One client; the driver starts it
    #[command(hide = true)]
    Client(ClientArgs),
}

#[derive(Args)]
struct LockArgs {
    /// Repeats a plan
    #[arg(long)]
    seed: Option<u64>,
    /// How long to break things, for all shapes together
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Where the locks are kept: everywhere in turn unless told
    #[arg(long, value_enum, value_delimiter = ',')]
    shape: Vec<Shape>,
    /// What to break; everything that a shape has unless told
    #[arg(long, value_enum, value_delimiter = ',')]
    fault: Vec<Fault>,
    /// Where the history is kept
    #[arg(long)]
    history: Option<PathBuf>,
    /// Runs nothing, and judges a history that was kept
    #[arg(long, conflicts_with_all = ["seed", "minutes", "shape", "fault", "history"])]
    judge: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().what {
        Command::Lock(args) => lock(args),
        Command::Planted { name: None, .. } => {
            let list =
                |bug: &Planted| println!("{}\t{}\t{}", bug.name, bug.stage.name, bug.mistake);
            PLANTED.iter().for_each(list);
            Ok(true)
        }
        Command::Planted { name: Some(name), control, scripts } => match &scripts[..] {
            [from, to] => bug(&name).and_then(|bug| bug.write_scripts(from, to)).map(|()| true),
            _ => planted(&name, control),
        },
        Command::Client(args) => runtime().and_then(|runtime| {
            runtime.block_on(client::run(args))?;
            Ok(true)
        }),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            // Not a verdict: the run itself broke.
            ExitCode::from(2)
        }
    }
}

/// True if nothing was violated.
fn lock(args: LockArgs) -> Result<bool> {
    let history = match args.judge {
        Some(history) => history,
        None => {
            let run = Run {
                seed: args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
                length: Duration::from_secs_f64(args.minutes * 60.0),
                shapes: if args.shape.is_empty() { Shape::usual() } else { args.shape },
                history: args.history,
                scene: Scene { faults: args.fault, ..Scene::default() },
            };
            runtime()?.block_on(driver::run(run))?
        }
    };
    let verdict = judge::judge_file(&history)?;
    report::print(&verdict, &history)?;
    Ok(verdict.violations.is_empty())
}

fn bug(name: &str) -> Result<&'static Planted> {
    Ok(Planted::named(name).ok_or_else(|| format!("there is no bug `{name}`"))?)
}

/// True if the bug was caught, or if without it there was nothing to catch.
fn planted(name: &str, control: bool) -> Result<bool> {
    let planted = bug(name)?;
    let kind = if control { "control" } else { "planted" };
    let history = std::env::temp_dir().join(format!("mainstay-chaos-{name}-{kind}.jsonl"));
    let run = Run {
        seed: SEED,
        length: Duration::from_secs(planted.stage.seconds),
        shapes: vec![planted.stage.shape],
        history: Some(history),
        scene: planted.stage.scene(),
    };
    let history = runtime()?.block_on(driver::run(run))?;
    let verdict = judge::judge_file(&history)?;
    report::print(&verdict, &history)?;
    let caught = |violation: &Violation| planted.rules.contains(&violation.rule);
    if control {
        Ok(verdict.violations.is_empty())
    } else {
        Ok(verdict.violations.iter().any(caught))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Of the scenes for planted bugs: they are short, and must not depend on luck.
const SEED: u64 = 11;
