//! The scripts, each behind what all of them share.

use mainstay_redis::Script;

#[cfg(not(mainstay_planted))]
macro_rules! lua {
    ($file:expr) => {
        include_str!($file)
    };
}

/// A copy with a bug in it, made by `cargo xtask chaos lock --planted`.
#[cfg(mainstay_planted)]
macro_rules! lua {
    ($file:expr) => {
        include_str!(concat!(env!("MAINSTAY_PLANTED_SCRIPTS"), "/", $file))
    };
}

/// The text of a script: its parts, in their order.
macro_rules! text {
    ($($part:literal)*) => {
        concat!($(lua!(concat!("scripts/", $part, ".lua")), "\n"),*)
    };
}

pub(super) static COMMIT: Script = Script::joined(text!("head" "quick" "lane" "commit"));
pub(super) static COMMIT_IN_CLUSTER: Script =
    Script::joined(text!("head" "quick" "lane" "cluster" "commit"));
/// On a node of a quorum.
pub(super) static VOTE: Script = Script::joined(concat!(
    text!("head"),
    include_str!("quorum/scripts/vote.lua"),
    "\n",
    text!("quick" "lane" "commit")
));
/// The same for readers.
pub(super) static VOTE_SHARE: Script = Script::joined(concat!(
    text!("head"),
    include_str!("quorum/scripts/vote.lua"),
    "\n",
    text!("lane" "readers" "share")
));
pub(super) static RENEW: Script = Script::new(text!("head" "extend" "lane" "renew"));
pub(super) static SHARE: Script = Script::joined(text!("head" "lane" "readers" "share"));
pub(super) static SHARE_IN_CLUSTER: Script =
    Script::joined(text!("head" "lane" "cluster" "readers" "share")).keys_each(3);
pub(super) static SHARE_RENEW: Script = Script::new(text!("head" "lane" "readers" "share_renew"));
pub(super) static SHARE_RENEW_IN_CLUSTER: Script =
    Script::new(text!("head" "lane" "cluster" "readers" "share_renew"));
pub(super) static FORCE: Script = Script::new(text!("head" "lane" "readers" "force"));
pub(super) static FORCE_IN_CLUSTER: Script =
    Script::new(text!("head" "lane" "cluster" "readers" "force"));
pub(super) static INSPECT: Script = Script::new(text!("head" "lane" "readers" "inspect"));
pub(super) static INSPECT_IN_CLUSTER: Script =
    Script::new(text!("head" "lane" "cluster" "readers" "inspect"));
