//! Where it was measured, and with what.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command, thread};

use serde::Serialize;

/// Where it was measured, and with what.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Threads of the processor.
    pub cores: usize,
    /// The processor, as it calls itself.
    pub processor: String,
    /// The system's kernel.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// Load of the last minute before it began: 0 on a machine that does nothing else.
    pub load: String,
    /// What else it did meanwhile, if somebody said so.
    pub beside: Option<String>,
    /// Versions of what ours is compared with.
    pub peers: BTreeMap<String, String>,
}

/// What ours is compared with, by package.
const PEERS: [&str; 14] = [
    "async-redis-lock",
    "distributed-lock-redis",
    "failsafe",
    "governor",
    "lockable",
    "recloser",
    "redis",
    "redisson",
    "rslock",
    "sqlx",
    "tokio",
    "tower",
    "tower-resilience-bulkhead",
    "tower-resilience-circuitbreaker",
];

impl Machine {
    /// This one; `home` is the folder with the lock file.
    pub fn here(home: &Path) -> Self {
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: processor().unwrap_or_else(|| env::consts::ARCH.into()),
            kernel: kernel(),
            rustc: rustc().unwrap_or_else(|| "unknown".into()),
            beside: None,
            load: load().unwrap_or_else(|| "unknown".into()),
            peers: peers(&home.join("Cargo.lock")),
        }
    }
}

fn kernel() -> String {
    let name = rustix::system::uname();
    format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
}

fn rustc() -> Option<String> {
    let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program).arg("-V").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn load() -> Option<String> {
    let loads = fs::read_to_string("/proc/loadavg").ok()?;
    loads.split(' ').next().map(str::to_owned)
}

/// Versions from the lock file, where each package is a block of lines.
fn peers(lock: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(lock).unwrap_or_default();
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_matches(['"', ' ', '=']).to_owned())
    };
    let package = |block: &str| Some((field(block, "name")?, field(block, "version")?));
    let packages = text.split("[[package]]").filter_map(package);
    packages.filter(|(name, _)| PEERS.contains(&name.as_str())).collect()
}
