//! `cargo xtask bench`.

use crate::{Result, cargo::cargo, workspace::Workspace};

/// Runs the benchmarks, which are a workspace of their own: their dependencies are the libraries
/// that we compare with, and nothing else may compile them.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<bool> {
    let manifest = workspace.root.join("benches").join("Cargo.toml");
    if !manifest.is_file() {
        return Err(
            format!("there are no benchmarks yet: {} is missing", manifest.display()).into()
        );
    }
    // Two programs: one counts allocations for the other, which measures.
    let build = || ["--release", "--quiet", "--manifest-path"];
    if !cargo().arg("build").args(build()).arg(&manifest).status()?.success() {
        return Ok(false);
    }
    let mut bench = cargo();
    bench.arg("run").args(build()).arg(&manifest).arg("--").args(args);
    Ok(bench.status()?.success())
}
