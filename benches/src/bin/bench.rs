//! Measures, compares, and writes `results/`.

use std::{
    env,
    error::Error,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use clap::Parser;
use mainstay_benches::{
    groups,
    harness::{Effort, calls::Allocations, wall},
    report::{Machine, Report},
};
use tokio::runtime::Builder;

/// Measures our crates beside the libraries that do the same.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Args {
    /// What to measure; everything unless told
    #[arg(value_parser = groups::ALL.map(|(name, _)| name))]
    groups: Vec<String>,
    /// Fails if a bar is missed
    #[arg(long)]
    check: bool,
    /// Measures less, and writes nothing: to see that everything works
    #[arg(long)]
    quick: bool,
    /// Runs only sides with this text in their name, and writes nothing: for a profile
    #[arg(long, value_name = "TEXT", conflicts_with = "check")]
    side: Option<String>,
    /// What else the machine did meanwhile, to be told in the report
    #[arg(long, value_name = "TEXT")]
    beside: Option<String>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let (start, home) = (wall(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let machine = Machine { beside: args.beside.clone(), ..Machine::here(home) };
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let allocations = allocations(&args.groups)?;
    let mut missed = Vec::new();
    for (name, make) in groups::ALL {
        if !groups::is_wanted(name, &args.groups) {
            continue;
        }
        let mut group = make();
        if let Some(text) = &args.side {
            group.only(text);
        }
        let title = group.title;
        let say = |what: &str| eprintln!("[{:>4}s] {name}: {what}", (wall() - start).as_secs());
        let (tables, bars) = group.measure(effort, runtime.handle(), &allocations, say);
        let verdicts = bars.iter().map(|bar| bar.judge(&tables)).collect();
        let report = Report { name, title, machine: machine.clone(), tables, verdicts };
        if !args.quick && args.side.is_none() {
            report.write(&home.join("results"))?;
        }
        println!("\n{title}\n\n{}", report.bars());
        missed.extend(report.missed().map(|verdict| format!("{name}: {}", verdict.what)));
    }
    println!("{} bars missed, {} s", missed.len(), (wall() - start).as_secs());
    for bar in &missed {
        println!("missed: {bar}");
    }
    Ok(if args.check && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs the program that counts them, which was built beside this one.
fn allocations(groups: &[String]) -> Result<Allocations, Box<dyn Error>> {
    let program = env::current_exe()?.with_file_name("allocations");
    let output = Command::new(&program).args(groups).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{} does not run: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("{} failed", program.display()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
