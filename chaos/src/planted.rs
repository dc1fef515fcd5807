//! Bugs that are planted on purpose, and the scene in which each must be caught.
//!
//! A library that was compiled with `--cfg mainstay_planted="NAME"` has the bug; `cargo xtask chaos lock
//! --planted` compiles it with each in turn. In the same scene without the bug nothing is violated.

use std::{fs, path::Path, time::Duration};

use crate::{
    Result,
    client::Habit,
    driver::Scene,
    fault::Fault::{self, *},
    judge::Rule,
    shape::Shape,
};

/// A mistake that others have made.
pub(crate) struct Planted {
    pub(crate) name: &'static str,
    pub(crate) mistake: &'static str,
    pub(crate) stage: &'static Stage,
    /// Any of these catches it.
    pub(crate) rules: &'static [Rule],
    /// What is changed in the scripts; other bugs are behind a `cfg!` with their name.
    patches: &'static [Patch],
}

/// What happens while a bug is looked for.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    habit: Habit,
    tasks: u32,
    keys: u32,
    faults: &'static [Fault],
    /// Seconds in which things are broken, and in which they are not any more.
    pub(crate) seconds: u64,
    calm: u64,
    parting: Option<Fault>,
}

/// A change of a script.
struct Patch {
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

impl Planted {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        PLANTED.iter().find(|planted| planted.name == name)
    }

    /// Copies the scripts in `from` to `to`, with the bug.
    pub(crate) fn write_scripts(&self, from: &Path, to: &Path) -> Result<()> {
        fs::create_dir_all(to)?;
        for entry in from.read_dir()? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut text = fs::read_to_string(&path)?;
            for patch in self.patches.iter().filter(|patch| patch.file == name) {
                if !text.contains(patch.from) {
                    return Err(format!(
                        "{name} has no `{}` to plant {} in",
                        patch.from, self.name
                    )
                    .into());
                }
                text = text.replace(patch.from, patch.to);
            }
            fs::write(to.join(name), text)?;
        }
        Ok(())
    }
}

impl Stage {
    pub(crate) fn scene(&self) -> Scene {
        let (tasks, keys, habit, parting) = (self.tasks, self.keys, self.habit, self.parting);
        let calm = Duration::from_secs(self.calm);
        Scene { tasks, keys, habit, faults: self.faults.to_vec(), calm, parting }
    }
}

/// Short leases that are held to the end, and beyond: clients are stopped, or hear late.
static OVER_THE_END: Stage = Stage {
    name: "over_the_end",
    shape: Shape::Single,
    habit: Habit::Exhaust,
    tasks: 8,
    keys: 8,
    faults: &[ClientStop, Delay],
    seconds: 6,
    calm: 1,
    parting: None,
};

/// Long leases on locks that are mostly free, whose answers are late or lost or not waited for; and everybody
/// leaves while nobody can be reached.
static NOBODY_LISTENS: Stage = Stage {
    name: "nobody_listens",
    shape: Shape::Single,
    habit: Habit::Hasty,
    tasks: 3,
    keys: 60,
    faults: &[Delay, Unanswered],
    seconds: 3,
    calm: 1,
    parting: Some(Refuse),
};

/// Waiters whose pushes are lost.
static PUSHES_LOST: Stage = Stage {
    name: "pushes_lost",
    shape: Shape::Single,
    habit: Habit::Patient,
    tasks: 3,
    keys: 2,
    faults: &[Refuse],
    seconds: 3,
    calm: 0,
    parting: None,
};

/// A server that forgets.
static FORGOTTEN: Stage = Stage {
    name: "forgotten",
    shape: Shape::Single,
    habit: Habit::Mixed,
    tasks: 3,
    keys: 2,
    faults: &[FlushAll],
    seconds: 2,
    calm: 1,
    parting: None,
};

/// Locks that go from hand to hand in a process that hears nothing.
static IN_LINE: Stage = Stage {
    name: "in_line",
    shape: Shape::Single,
    habit: Habit::Relay,
    tasks: 18,
    keys: 6,
    faults: &[BlackHole],
    seconds: 6,
    calm: 1,
    parting: None,
};

/// A primary that is cut off from a replica, or both.
static CUT_OFF: Stage = Stage {
    name: "cut_off",
    shape: Shape::Replicated,
    habit: Habit::Keep,
    tasks: 3,
    keys: 2,
    faults: &[Split, Alone],
    seconds: 2,
    calm: 1,
    parting: None,
};

/// Every bug that can be planted.
pub(crate) const PLANTED: &[Planted] = &[
    Planted {
        name: "release_any",
        mistake: "a release does not look whose lock it is",
        stage: &OVER_THE_END,
        rules: &[Rule::Overlap, Rule::Vanished],
        patches: &[Patch {
            file: "quick.lua",
            from: "if record and string.sub(record, 1, OWNER) == owner then",
            to: "if record then",
        }],
    },
    Planted {
        name: "renew_after_release",
        mistake: "a renewal runs on after the release and brings the lock back",
        stage: &NOBODY_LISTENS,
        rules: &[Rule::Orphan, Rule::Starved],
        patches: &[Patch {
            file: "renew.lua",
            from: "  if holder == owner and lease > 0 then",
            to: "  if not holder and lease > 0 then\n    \
                 write(held, owner, now, '', now + lease * 1000, false)\n  end\n  \
                 if holder == owner and lease > 0 then",
        }],
    },
    Planted {
        name: "lease_from_reply",
        mistake: "the lease is counted from the reply",
        stage: &OVER_THE_END,
        rules: &[Rule::Overlap],
        patches: &[],
    },
    Planted {
        name: "no_check_after_wait",
        mistake: "a grant is handed out without a look at what is left of its lease",
        stage: &OVER_THE_END,
        // Also one that is handed out behind a later one, whose holder has just left.
        rules: &[Rule::Overlap, Rule::FenceOrder],
        patches: &[],
    },
    Planted {
        name: "held_without_clock",
        mistake: "a lock counts as held until the timer says otherwise",
        stage: &OVER_THE_END,
        rules: &[Rule::Overlap],
        patches: &[],
    },
    Planted {
        name: "no_poll",
        mistake: "a waiter trusts pushes alone",
        stage: &PUSHES_LOST,
        rules: &[Rule::Starved],
        patches: &[],
    },
    Planted {
        name: "drop_forgets_wire",
        mistake: "a dropped request forgets what is on the wire",
        stage: &NOBODY_LISTENS,
        rules: &[Rule::Orphan, Rule::Starved],
        patches: &[],
    },
    Planted {
        name: "unknown_is_failure",
        mistake: "an acquire without an answer counts as refused",
        stage: &NOBODY_LISTENS,
        rules: &[Rule::Orphan, Rule::Starved],
        patches: &[],
    },
    Planted {
        name: "early_shutdown",
        mistake: "a shutdown does not wait for what is being given back",
        stage: &NOBODY_LISTENS,
        rules: &[Rule::Orphan],
        patches: &[],
    },
    Planted {
        name: "wait_reported",
        mistake: "as many replicas must have a lock as the primary says that it has",
        stage: &CUT_OFF,
        rules: &[Rule::Overlap],
        patches: &[],
    },
    Planted {
        name: "hand_off_late",
        mistake: "a lock is handed on in its process without a look at what is left of its lease",
        stage: &IN_LINE,
        rules: &[Rule::Overlap],
        patches: &[],
    },
    Planted {
        name: "fence_incr",
        mistake: "a fence is the next number of a counter",
        stage: &FORGOTTEN,
        rules: &[Rule::FenceOrder, Rule::FenceTwice],
        patches: &[
            Patch {
                file: "quick.lua",
                from: "in_time(at) and call('SET'",
                to: "in_time(at) and false and call('SET'",
            },
            Patch {
                file: "commit.lua",
                from: "math.max(now, last + 1)",
                to: "call('INCR', held .. ':n') * SPAN",
            },
            Patch {
                file: "lane.lua",
                from: "math.max(now, last + 1)",
                to: "call('INCR', held .. ':n') * SPAN",
            },
            Patch {
                file: "share.lua",
                from: "math.max(now, last + 1)",
                to: "call('INCR', held .. ':n') * SPAN",
            },
            Patch {
                file: "share.lua",
                from: "math.max(now, fence + APART)",
                to: "call('INCR', held .. ':n') * SPAN",
            },
            Patch {
                file: "readers.lua",
                from: "math.max(now, fence + APART)",
                to: "call('INCR', held .. ':n') * SPAN",
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_in_a_script_finds_its_place() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lock/src/redis/scripts");
        for bug in PLANTED {
            let folder = tempfile::tempdir().unwrap();
            bug.write_scripts(&scripts, folder.path()).unwrap();
            for patch in bug.patches {
                let file = |folder: &Path| fs::read_to_string(folder.join(patch.file)).unwrap();
                assert_ne!(file(folder.path()), file(&scripts), "{}", bug.name);
            }
        }
    }
}
