//! What the workspace is made of, in cargo's words.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use mainstay_testkit::Kind;
use serde::Deserialize;

use crate::{Result, cargo::cargo};

/// The members of the workspace.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "packages")]
    pub(crate) members: Vec<Member>,
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
}

/// One crate.
#[derive(Clone, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    targets: Vec<Target>,
    publish: Option<Vec<String>>,
    metadata: Option<Metadata>,
}

#[derive(Clone, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct Metadata {
    #[serde(default)]
    servers: Servers,
}

/// `[package.metadata.servers]`: what the tests of a crate need.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Servers {
    /// Kinds that tests start for themselves.
    #[serde(default)]
    own: Vec<String>,
    /// Kinds of which tests share one.
    #[serde(default)]
    shared: Vec<String>,
}

impl Workspace {
    /// The workspace that `folder` is in.
    pub(crate) fn around(folder: &Path) -> Result<Self> {
        let mut metadata = cargo();
        metadata.args(["metadata", "--no-deps", "--format-version=1"]);
        let output = metadata.current_dir(folder).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let workspace: Self = serde_json::from_slice(&output.stdout)?;
        Ok(workspace)
    }

    /// The members that `names` name, by folder or by crate name; all of them if there are no names.
    pub(crate) fn select(&self, names: &[String]) -> Result<Vec<&Member>> {
        if names.is_empty() {
            return Ok(self.members.iter().collect());
        }
        names.iter().map(|name| self.find(name)).collect()
    }

    fn find(&self, name: &str) -> Result<&Member> {
        let long = format!("mainstay-{name}");
        let mut members = self.members.iter();
        members.find(|member| member.name == name || member.name == long).ok_or_else(|| {
            let names: Vec<_> = self.members.iter().map(Member::short_name).collect();
            format!("there is no crate `{name}`; there are: {}", names.join(", ")).into()
        })
    }
}

impl Member {
    /// Its name as people say it.
    pub(crate) fn short_name(&self) -> &str {
        self.name.strip_prefix("mainstay-").unwrap_or(&self.name)
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        let folder = self.manifest_path.parent();
        folder.expect("cargo gives the path of a file")
    }

    /// True if it has a library, and so may have doctests.
    pub(crate) fn has_library(&self) -> bool {
        let kinds = self.targets.iter().flat_map(|target| &target.kind);
        kinds.into_iter().any(|kind| kind == "lib" || kind == "proc-macro")
    }

    /// True if it goes to the registry.
    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|to| !to.is_empty())
    }

    /// Kinds of server that its tests need, shared or not.
    pub(crate) fn needs(&self) -> Result<BTreeSet<Kind>> {
        let mut kinds = self.shares()?;
        kinds.extend(self.kinds(|servers| &servers.own)?);
        Ok(kinds)
    }

    /// Kinds of server of which its tests share one.
    pub(crate) fn shares(&self) -> Result<BTreeSet<Kind>> {
        self.kinds(|servers| &servers.shared)
    }

    fn kinds(&self, list: impl Fn(&Servers) -> &Vec<String>) -> Result<BTreeSet<Kind>> {
        let Some(metadata) = &self.metadata else {
            return Ok(BTreeSet::new());
        };
        let names = list(&metadata.servers).iter();
        names
            .map(|name| {
                Kind::named(name).ok_or_else(|| {
                    let file = self.manifest_path.display();
                    format!("{file}: `{name}` is no kind of server").into()
                })
            })
            .collect()
    }
}
