//! The server that everybody uses, and what it says about itself.

use std::{net::SocketAddr, sync::OnceLock};

use mainstay_testkit::redis::{Reply, Single, command};
use tokio::runtime::Runtime;

/// The server's address; the first call starts it. It ends with this process.
pub(super) fn addr() -> SocketAddr {
    static SERVER: OnceLock<(Single, Runtime)> = OnceLock::new();
    let (server, _) = SERVER.get_or_init(|| {
        let runtime = super::runtime();
        (runtime.block_on(Single::start()).expect("a redis-server starts"), runtime)
    });
    server.addr()
}

/// Its URL.
pub(super) fn url() -> String {
    format!("redis://{}/", addr())
}

/// Sends one command over a connection of its own.
pub(super) async fn ask(args: &[&str]) -> Reply {
    command(addr(), args).await.expect("the server answers")
}

/// Removes everything.
pub(super) async fn flush() {
    ask(&["FLUSHALL"]).await;
}

/// How many keys there are.
pub(super) async fn keys() -> f64 {
    match ask(&["DBSIZE"]).await {
        Reply::Int(keys) => keys as f64,
        other => panic!("DBSIZE answers {other}"),
    }
}

/// What the server has done so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Microseconds of CPU time.
    pub(super) cpu: f64,
    /// Commands, those called by scripts among them.
    pub(super) calls: f64,
}

impl Usage {
    /// As of now.
    pub(super) async fn now() -> Self {
        let cpu = ask(&["INFO", "cpu"]).await;
        let seconds = |name| cpu.field(name).and_then(|field| field.parse::<f64>().ok());
        let cpu = seconds("used_cpu_user").zip(seconds("used_cpu_sys"));
        let (user, system) = cpu.expect("INFO has the CPU time");
        Self { cpu: (user + system) * 1e6, calls: calls().await }
    }

    /// What was done since.
    pub(super) async fn since(self) -> Self {
        let now = Self::now().await;
        Self { cpu: now.cpu - self.cpu, calls: now.calls - self.calls }
    }
}

/// All but those that look at it.
async fn calls() -> f64 {
    let stats = ask(&["INFO", "commandstats"]).await;
    let lines = stats.text().unwrap_or_default().lines();
    let counted = lines.filter(|line| !line.starts_with("cmdstat_info:"));
    let calls = counted.filter_map(|line| {
        let (_, rest) = line.split_once(":calls=")?;
        rest.split(',').next()?.parse::<f64>().ok()
    });
    calls.sum()
}
