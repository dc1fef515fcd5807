//! `cargo xtask chaos`.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{self, Receiver},
    thread,
};

use mainstay_testkit::Kind;

use crate::{Result, cargo::cargo, install, workspace::Workspace};

/// Hands a bug on to the compiler of the one crate that has it. A compiler wrapper, because flags for all
/// crates would rebuild them all.
const WRAPPER: &str = r#"#!/bin/sh
case " $* " in
    *" --crate-name mainstay_lock "*)
        exec "$@" --cfg mainstay_planted --cfg "mainstay_planted=\"$MAINSTAY_PLANTED\"" ;;
esac
exec "$@"
"#;

/// Runs the chaos program, a crate of its own: it needs the lock, a Redis driver and an SQL driver, and
/// this one is compiled before everything else.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<bool> {
    install::missing(&[Kind::Redis, Kind::Postgres].into())?;
    if args.iter().any(|arg| arg == "--planted") {
        let only: Vec<_> =
            args.iter().filter(|arg| !arg.starts_with('-') && *arg != "lock").collect();
        return planted(workspace, &only);
    }
    let mut chaos = cargo();
    chaos.current_dir(&workspace.root).args(["run", "--quiet", "-p", PACKAGE, "--"]);
    Ok(chaos.args(args).status()?.success())
}

/// A bug that can be planted.
struct Bug {
    name: String,
    /// The scene that it is looked for in.
    stage: String,
    mistake: String,
}

/// Whether the judge saw a bug, and nothing where it was not there.
struct Row<'a> {
    bug: &'a Bug,
    caught: bool,
    quiet: bool,
    /// What was violated, as the program printed it.
    seen: String,
}

/// Compiles the lock with each bug that can be planted, and runs the scene in which it must be caught; and
/// the same scene without it. True if all were.
fn planted(workspace: &Workspace, only: &[&String]) -> Result<bool> {
    let plain = build(workspace, None)?;
    let mut bugs = bugs(&plain)?;
    bugs.retain(|bug| only.is_empty() || only.iter().any(|one| **one == bug.name));
    let rows = thread::scope(|scope| {
        // The next one is compiled while a scene is played.
        let (built, programs) = mpsc::sync_channel(1);
        let (bugs, plain) = (&bugs, &plain);
        scope.spawn(move || {
            let programs = bugs.iter().map(|bug| plant(workspace, plain, bug));
            programs
                .map(|program| program.map_err(|error| error.to_string()))
                .try_for_each(|program| built.send(program))
        });
        play(plain, bugs, &programs)
    });
    // Nobody is to run the last bug unawares.
    build(workspace, None)?;
    let rows = rows?;
    print_table(&rows);
    Ok(!rows.is_empty() && rows.iter().all(|row| row.caught && row.quiet))
}

fn bugs(plain: &Path) -> Result<Vec<Bug>> {
    let listed = Command::new(plain).arg("planted").output()?;
    let bug = |line: &str| {
        let mut fields = line.splitn(3, '\t').map(str::to_owned);
        let mut field = || fields.next().ok_or("a name, a scene and a mistake");
        Ok(Bug { name: field()?, stage: field()?, mistake: field()? })
    };
    String::from_utf8(listed.stdout)?.lines().map(bug).collect()
}

/// Plays the scene of each bug. Those of several are the same; without a bug each is played once.
fn play<'a>(plain: &Path, bugs: &'a [Bug], programs: &Receiver<Built>) -> Result<Vec<Row<'a>>> {
    let (mut rows, mut quiet) = (Vec::new(), BTreeMap::new());
    for bug in bugs {
        eprintln!("\n==> {}: {}", bug.name, bug.mistake);
        let quiet = match quiet.entry(&bug.stage) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(scene(plain, &[&bug.name, "--control"])?.0),
        };
        let (caught, seen) = scene(&programs.recv()??, &[&bug.name])?;
        rows.push(Row { bug, caught, quiet, seen });
    }
    Ok(rows)
}

/// Compiles the program with a bug.
fn plant(workspace: &Workspace, plain: &Path, bug: &Bug) -> Result<PathBuf> {
    let scripts = workspace.root.join("target/planted").join(format!("{}-lua", bug.name));
    let from = workspace.root.join("lock/src/redis/scripts");
    let mut copy = Command::new(plain);
    copy.args(["planted", &bug.name, "--scripts"]).arg(from).arg(scripts.join("scripts"));
    if !copy.status()?.success() {
        return Err(format!("{} cannot be planted", bug.name).into());
    }
    build(workspace, Some((&bug.name, &scripts)))
}

/// Where a program is that was compiled with a bug, or why there is none.
type Built = std::result::Result<PathBuf, String>;

/// Runs a scene. Whether it went as it must, and what was violated.
fn scene(program: &Path, args: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(program).arg("planted").args(args).output()?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{}", line.trim_end());
    let verdict: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
    Ok((output.status.success(), verdict["violated"].to_string()))
}

/// Builds the program, with a bug or without; where it is. What is not ours is built once for both, and of
/// what is ours only the lock and the program again for each bug.
fn build(workspace: &Workspace, bug: Option<(&str, &Path)>) -> Result<PathBuf> {
    let target = workspace.root.join("target");
    let folder = target.join("planted");
    fs::create_dir_all(&folder)?;
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--quiet", "-p", PACKAGE]);
    build.arg("--target-dir").arg(&target);
    if let Some((bug, scripts)) = bug {
        build.env("RUSTC_WORKSPACE_WRAPPER", wrapper(&folder)?).env("MAINSTAY_PLANTED", bug);
        build.env("MAINSTAY_PLANTED_SCRIPTS", scripts);
    }
    if !build.status()?.success() {
        return Err(format!("{PACKAGE} does not build").into());
    }
    // The next build puts its program in the same place.
    let program = folder.join(bug.map_or("none", |(name, _)| name));
    fs::copy(target.join("debug").join(PACKAGE), &program)?;
    Ok(program)
}

fn wrapper(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("wrapper.sh");
    fs::write(&path, WRAPPER)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn print_table(rows: &[Row<'_>]) {
    println!("\n{:<22} {:<8} {:<8} what was seen", "bug", "caught", "control");
    let yes = |yes| if yes { "yes" } else { "NO" };
    for row in rows {
        let (caught, quiet) = (yes(row.caught), if row.quiet { "quiet" } else { "NOT QUIET" });
        let Bug { name, mistake, .. } = row.bug;
        println!("{name:<22} {caught:<8} {quiet:<8} {mistake}  {}", row.seen);
    }
    let caught = rows.iter().filter(|row| row.caught).count();
    println!("{caught} of {} planted bugs were caught\n", rows.len());
}

const PACKAGE: &str = "mainstay-chaos";
