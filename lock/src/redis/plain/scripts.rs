//! The scripts.

use mainstay_redis::Script;

pub(super) static ACQUIRE: Script = Script::new(include_str!("scripts/acquire.lua"));
pub(super) static RELEASE: Script = Script::new(include_str!("scripts/release.lua"));
pub(super) static RENEW: Script = Script::new(include_str!("scripts/renew.lua"));
pub(super) static FORCE: Script = Script::new(include_str!("scripts/force.lua"));
pub(super) static INSPECT: Script = Script::new(include_str!("scripts/inspect.lua"));
