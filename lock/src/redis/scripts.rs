//! The scripts, each behind what all of them share.

use mainstay_redis::Script;

#[cfg(not(mainstay_planted))]
macro_rules! lua {
    ($file:literal) => {
        include_str!($file)
    };
}

/// A copy with a bug in it, made by `cargo xtask chaos lock --planted`.
#[cfg(mainstay_planted)]
macro_rules! lua {
    ($file:literal) => {
        include_str!(concat!(env!("MAINSTAY_PLANTED_SCRIPTS"), "/", $file))
    };
}

macro_rules! text {
    ($file:literal) => {
        concat!(lua!("scripts/lane.lua"), "\n", lua!($file))
    };
    (readers, $file:literal) => {
        concat!(lua!("scripts/lane.lua"), "\n", lua!("scripts/readers.lua"), "\n", lua!($file))
    };
}

macro_rules! in_cluster {
    ($file:literal) => {
        concat!(lua!("scripts/lane.lua"), "\n", lua!("scripts/cluster.lua"), "\n", lua!($file))
    };
    (readers, $file:literal) => {
        concat!(
            lua!("scripts/lane.lua"),
            "\n",
            lua!("scripts/cluster.lua"),
            "\n",
            lua!("scripts/readers.lua"),
            "\n",
            lua!($file)
        )
    };
}

pub(super) static COMMIT: Script = Script::joined(text!("scripts/commit.lua"));
/// On a node of a quorum.
pub(super) static VOTE: Script = Script::joined(concat!(
    include_str!("scripts/lane.lua"),
    "\n",
    include_str!("quorum/scripts/vote.lua"),
    "\n",
    include_str!("scripts/commit.lua")
));
pub(super) static RENEW: Script = Script::new(text!("scripts/renew.lua"));
pub(super) static COMMIT_IN_CLUSTER: Script = Script::joined(in_cluster!("scripts/commit.lua"));
pub(super) static FORCE_IN_CLUSTER: Script = Script::new(in_cluster!(readers, "scripts/force.lua"));
pub(super) static SHARE_IN_CLUSTER: Script =
    Script::joined(in_cluster!(readers, "scripts/share.lua")).keys_each(3);
pub(super) static SHARE_RENEW_IN_CLUSTER: Script =
    Script::new(in_cluster!(readers, "scripts/share_renew.lua"));
pub(super) static SHARE: Script = Script::joined(text!(readers, "scripts/share.lua"));
pub(super) static SHARE_RENEW: Script = Script::new(text!(readers, "scripts/share_renew.lua"));
pub(super) static FORCE: Script = Script::new(text!(readers, "scripts/force.lua"));
pub(super) static INSPECT: Script = Script::new(text!(readers, "scripts/inspect.lua"));
