//! Commands that run cargo.

use std::{env, process::Command};

use crate::workspace::Member;

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo told us about ourselves would look like a change to the build scripts of others.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// True if there is a `cargo nextest`.
pub(crate) fn has_nextest() -> bool {
    let version = cargo().args(["nextest", "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

/// `-p` for each member.
pub(crate) fn packages<'a>(members: &'a [&Member]) -> impl Iterator<Item = &'a str> {
    members.iter().flat_map(|member| ["-p", &member.name])
}
