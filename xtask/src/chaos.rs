//! `cargo xtask chaos`.

use mainstay_testkit::Kind;

use crate::{Result, cargo::cargo, install, workspace::Workspace};

/// Runs the chaos program, a crate of its own: it needs the lock, a Redis driver and an SQL driver, and
/// this one is compiled before everything else.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<bool> {
    install::missing(&[Kind::Redis, Kind::Postgres].into())?;
    let mut chaos = cargo();
    chaos.current_dir(&workspace.root).args(["run", "--quiet", "-p", "mainstay-chaos", "--"]);
    Ok(chaos.args(args).status()?.success())
}
