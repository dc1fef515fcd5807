//! No file is longer than a reader can hold in mind.

use std::{fs, process::Command};

use crate::{Result, workspace::Workspace};

/// Lines that a file may have.
const LIMIT: usize = 600;
/// What counts as a file to read; data and lock files do not.
const PATTERNS: [&str; 6] = ["*.rs", "*.sql", "*.lua", "*.sh", "*.md", "*Cargo.toml"];

/// Finds files that are too long, among those that git knows or would add.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--"])
        .args(PATTERNS)
        .current_dir(&workspace.root)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let mut long = Vec::new();
    for name in String::from_utf8(output.stdout)?.lines() {
        // A file that was deleted and not committed is listed still.
        let Ok(text) = fs::read_to_string(workspace.root.join(name)) else {
            continue;
        };
        let lines = text.lines().count();
        if lines > LIMIT {
            long.push(format!("{name} has {lines}"));
        }
    }
    if long.is_empty() {
        return Ok(());
    }
    Err(format!("more than {LIMIT} lines: {}", long.join(", ")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_the_limit_is_named_and_one_at_the_limit_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let git = Command::new("git").arg("init").arg("-q").arg(&root).status();
        assert!(git.unwrap().success());
        fs::write(root.join("long.sql"), "x\n".repeat(LIMIT + 1)).unwrap();
        fs::write(root.join("full.rs"), "x\n".repeat(LIMIT)).unwrap();
        fs::write(root.join("data.csv"), "x\n".repeat(2 * LIMIT)).unwrap();
        let members = Vec::new();
        let message = check(&Workspace { members, root }).unwrap_err().to_string();
        assert_eq!(message, "more than 600 lines: long.sql has 601");
    }
}
