//! The scripts, each behind what all of them share.

use mainstay_redis::Script;

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("scripts/lane.lua"), "\n", include_str!($file)))
    };
}

pub(super) static ACQUIRE: Script = script!("scripts/acquire.lua");
/// On a node of a quorum.
pub(super) static VOTE: Script = Script::new(concat!(
    include_str!("quorum/scripts/vote.lua"),
    "\n",
    include_str!("scripts/lane.lua"),
    "\n",
    include_str!("scripts/acquire.lua")
));
pub(super) static RELEASE: Script = script!("scripts/release.lua");
pub(super) static RENEW: Script = script!("scripts/renew.lua");
pub(super) static FORCE: Script = script!("scripts/force.lua");
pub(super) static INSPECT: Script = script!("scripts/inspect.lua");
