//! Installs the servers that the tests need.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, IsTerminal},
    path::PathBuf,
    process::Command,
};

use mainstay_testkit::Kind;

use crate::Result;

/// Installs packages without starting a service.
const SCRIPT: &str = include_str!("install.sh");

/// Installs what is missing of `kinds`, or says what to install by hand.
pub(crate) fn missing(kinds: &BTreeSet<Kind>) -> Result<()> {
    let absent: Vec<_> = kinds.iter().filter(|kind| !kind.missing().is_empty()).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> =
        absent.iter().flat_map(|kind| kind.debian_packages().iter().copied()).collect();
    match installer() {
        Some(mut installer) => {
            println!("installing {}", packages.join(", "));
            let status = installer.args(packages).status()?;
            if !status.success() {
                return Err(format!("the installation failed ({status})").into());
            }
        }
        None => {
            println!("these servers cannot be installed here: no apt-get, or no right to use it");
        }
    }
    complain(kinds)
}

/// An error with everything that is still missing, and where it was looked for.
fn complain(kinds: &BTreeSet<Kind>) -> Result<()> {
    let missing: Vec<_> =
        kinds.iter().flat_map(|kind| kind.missing()).map(|error| error.to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(missing.join("\n       ").into())
}

/// A command that installs the packages it is given, if this system has one and we may use it.
fn installer() -> Option<Command> {
    in_path("apt-get")?;
    let mut command = if is_root() {
        Command::new("sh")
    } else {
        let mut sudo = Command::new(in_path("sudo")?);
        if !io::stdin().is_terminal() {
            // Nobody is there to type a password.
            sudo.arg("-n");
        }
        sudo.arg("sh");
        sudo
    };
    command.args(["-c", SCRIPT, "install"]);
    Some(command)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut files = env::split_paths(&path).map(|folder| folder.join(program));
    files.find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file()))
}
