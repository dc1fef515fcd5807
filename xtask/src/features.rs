//! Each feature of each crate compiles alone.

use crate::{
    Result,
    cargo::cargo,
    workspace::{Member, Workspace},
};

/// Checks every crate without its default features, and with each feature alone.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut broken = Vec::new();
    for member in &workspace.members {
        // The tests of a crate must also be there for who turns everything off.
        if !compiles(member, &["--tests"])? {
            broken.push(format!("{} without default features", member.name));
        }
        let features = member.features.keys();
        for feature in features.filter(|feature| *feature != "default") {
            if !compiles(member, &["--features", feature])? {
                broken.push(format!("{} with `{feature}` alone", member.name));
            }
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(broken.join("; ").into())
}

/// Clippy rather than check: it refuses warnings without a rebuild of all dependencies.
fn compiles(member: &Member, what: &[&str]) -> Result<bool> {
    println!("  {} {}", member.name, what.join(" "));
    let mut clippy = cargo();
    clippy.args(["clippy", "--quiet", "--no-deps", "--no-default-features"]);
    clippy.args(["-p", &member.name]).args(what);
    Ok(clippy.args(["--", "-D", "warnings"]).status()?.success())
}
