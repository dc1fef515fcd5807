//! `cargo xtask chaos`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
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

/// A planted bug, and whether the judge saw it, and nothing where it was not there.
struct Row {
    name: String,
    mistake: String,
    caught: bool,
    quiet: bool,
    /// What was violated, as the program printed it.
    seen: String,
}

/// Compiles the lock with each bug that can be planted, and runs the scene in which it must be caught; and
/// the same scene without it. True if all were.
fn planted(workspace: &Workspace, only: &[&String]) -> Result<bool> {
    let plain = build(workspace, None)?;
    let listed = Command::new(&plain).arg("planted").output()?;
    let mut rows = Vec::new();
    for line in String::from_utf8(listed.stdout)?.lines() {
        let (name, mistake) = line.split_once('\t').ok_or("a name and a mistake")?;
        if !only.is_empty() && !only.iter().any(|one| *one == name) {
            continue;
        }
        eprintln!("\n==> {name}: {mistake}");
        let (quiet, _) = scene(&plain, &[name, "--control"])?;
        let scripts = workspace.root.join("target/planted").join(format!("{name}-lua"));
        let from = workspace.root.join("lock/src/redis/scripts");
        let mut copy = Command::new(&plain);
        copy.args(["planted", name, "--scripts"]).arg(from).arg(scripts.join("scripts"));
        if !copy.status()?.success() {
            return Err(format!("{name} cannot be planted").into());
        }
        let (caught, seen) = scene(&build(workspace, Some((name, &scripts)))?, &[name])?;
        rows.push(Row { name: name.into(), mistake: mistake.into(), caught, quiet, seen });
    }
    print_table(&rows);
    Ok(!rows.is_empty() && rows.iter().all(|row| row.caught && row.quiet))
}

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

fn print_table(rows: &[Row]) {
    println!("\n{:<22} {:<8} {:<8} what was seen", "bug", "caught", "control");
    let yes = |yes| if yes { "yes" } else { "NO" };
    for row in rows {
        let (caught, quiet) = (yes(row.caught), if row.quiet { "quiet" } else { "NOT QUIET" });
        println!("{:<22} {caught:<8} {quiet:<8} {}  {}", row.name, row.mistake, row.seen);
    }
    let caught = rows.iter().filter(|row| row.caught).count();
    println!("{caught} of {} planted bugs were caught\n", rows.len());
}

const PACKAGE: &str = "mainstay-chaos";
