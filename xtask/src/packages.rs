//! A published crate carries every file that it needs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    cargo::cargo,
    workspace::{Member, Workspace},
};

/// Files that a compiler does not miss until a user builds the package.
const KINDS: [&str; 3] = ["sql", "lua", "md"];
/// Where a crate keeps them, beside its top folder.
const FOLDERS: [&str; 3] = ["src", "migrations", "docs"];

/// Compares the files of each crate with what `cargo package` would pack.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut absent = Vec::new();
    for member in workspace.members.iter().filter(|member| member.is_published()) {
        let packed = packed(member)?;
        let files = files(member.folder())?;
        let left_out = files.iter().filter(|file| !packed.contains(*file));
        absent.extend(left_out.map(|file| format!("{}: {}", member.name, file.display())));
    }
    if absent.is_empty() {
        return Ok(());
    }
    Err(format!("not in the package: {}", absent.join(", ")).into())
}

fn packed(member: &Member) -> Result<BTreeSet<PathBuf>> {
    let mut package = cargo();
    package.args(["package", "--list", "--allow-dirty", "-p", &member.name]);
    let output = package.current_dir(member.folder()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let list = String::from_utf8(output.stdout)?;
    Ok(list.lines().map(PathBuf::from).collect())
}

/// The files of a crate that must be packed, relative to its folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, &mut found, false)?;
    for name in FOLDERS {
        let inside = folder.join(name);
        if inside.is_dir() {
            collect(&inside, &mut found, true)?;
        }
    }
    let relative = found.iter().map(|file| file.strip_prefix(folder));
    Ok(relative.map(|file| file.map(Path::to_owned)).collect::<std::result::Result<_, _>>()?)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>, deep: bool) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if deep {
                collect(&path, found, deep)?;
            }
        } else if path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known)) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate whose package leaves out what `exclude` names.
    fn crate_excluding(exclude: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let manifest = format!(
            "[package]\nname = \"packed\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             exclude = [{exclude}]\n[workspace]\n"
        );
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        fs::create_dir_all(folder.path().join("src/sql")).unwrap();
        fs::write(folder.path().join("src/lib.rs"), "").unwrap();
        fs::write(folder.path().join("src/sql/claim.sql"), "").unwrap();
        folder
    }

    #[test]
    fn a_statement_that_is_not_packed_is_named() {
        let folder = crate_excluding("\"*.sql\"");
        let workspace = Workspace::around(folder.path()).unwrap();
        let message = check(&workspace).unwrap_err().to_string();
        assert_eq!(message, "not in the package: packed: src/sql/claim.sql");
    }

    #[test]
    fn a_package_with_everything_passes() {
        let folder = crate_excluding("");
        check(&Workspace::around(folder.path()).unwrap()).unwrap();
    }
}
