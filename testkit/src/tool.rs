use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use crate::{KitError, time::within};

/// How long a tool such as `initdb` may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program, or a library, that a server needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// File name.
    pub program: &'static str,
    /// Folders beside those of `PATH`; `*` as a whole part stands for any folder, the last in order first.
    pub folders: &'static [&'static str],
    /// How to get it.
    pub install: &'static str,
}

/// Where a tool is.
///
/// # Errors
///
/// [`KitError::MissingProgram`] with the places that were looked at.
pub fn find(tool: Tool) -> Result<PathBuf, KitError> {
    let folders = folders(tool);
    folders.iter().map(|folder| folder.join(tool.program)).find(|file| is_program(file)).ok_or_else(
        || KitError::MissingProgram {
            program: tool.program,
            looked_in: folders
                .iter()
                .map(|folder| folder.display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
            install: tool.install,
        },
    )
}

/// The tool's own folders come first: what `PATH` has may be a wrapper that changes the user.
fn folders(tool: Tool) -> Vec<PathBuf> {
    let own = tool.folders.iter().flat_map(|pattern| expand(pattern));
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps daemons where ordinary users do not look.
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    own.chain(env::split_paths(&path)).chain(usual).collect()
}

/// Folders that a pattern stands for; the pattern itself if there is none, for the error message.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once("/*/") else {
        return vec![PathBuf::from(pattern)];
    };
    let entries = fs::read_dir(before).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path().join(after)).collect();
    found.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    if found.is_empty() {
        found.push(PathBuf::from(pattern));
    }
    found
}

/// Numbers in a path, so that 15 comes after 9.
fn version(folder: &Path) -> Vec<u64> {
    let text = folder.to_string_lossy();
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let is_library = file.to_string_lossy().contains(".so");
    fs::metadata(file)
        .is_ok_and(|meta| meta.is_file() && (is_library || meta.permissions().mode() & 0o111 != 0))
}

/// Runs a tool to its end and returns what it printed.
pub(crate) async fn run(mut command: Command) -> Result<String, KitError> {
    let line = format!("{:?}", command.as_std());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = within(PATIENCE, command.output())
        .await
        .ok_or_else(|| KitError::TimedOut {
            what: line.clone(),
            waited: PATIENCE,
            last: "still running".to_owned(),
        })?
        .map_err(KitError::io(format!("run {line}")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complained = String::from_utf8_lossy(&output.stderr);
    Err(KitError::Tool {
        command: line,
        status: output.status.to_string(),
        output: format!("{said}{complained}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_an_error_that_says_where_and_how() {
        let tool = Tool {
            program: "mainstay-no-such-program",
            folders: &["/no/*/bin"],
            install: "apt install nothing",
        };
        let message = find(tool).unwrap_err().to_string();
        for part in ["mainstay-no-such-program", "/no/*/bin", "apt install nothing"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn newer_folders_come_first() {
        assert!(version(Path::new("/pg/15/bin")) > version(Path::new("/pg/9/bin")));
    }
}
