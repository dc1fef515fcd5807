//! The bank seen from the run that starts it.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use super::{BankConfig, Stats, ledger};
use crate::{
    Result,
    books::{Book, Entry},
    http::Http,
    time,
};

/// How often a run looks whether the bank is done.
const LOOK: Duration = Duration::from_millis(50);

/// Time for a bank that was told to close.
const CLOSING: Duration = Duration::from_secs(5);

/// A running bank. Dropping it ends its process.
#[derive(Debug)]
pub(crate) struct BankProcess {
    child: Child,
    url: String,
    ledger: PathBuf,
    http: Http,
}

impl BankProcess {
    /// Starts this program again in the bank's role.
    pub(crate) async fn start(config: &BankConfig) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--role", "bank"])
            .args(["--port", &config.port.to_string()])
            .args(["--seed", &config.seed.to_string()])
            .args(["--limit", &config.limit.to_string()])
            .args(["--outage-after", &config.outage_after.to_string()])
            .args(["--outage-ms", &config.outage.as_millis().to_string()])
            .args(["--silence-ms", &config.silence.as_millis().to_string()])
            .arg("--ledger")
            .arg(&config.ledger)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let port = read_port(&mut child).await?;
        Ok(Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            ledger: config.ledger.clone(),
            http: Http::new(),
        })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it counted so far.
    pub(crate) async fn stats(&self) -> Result<Stats> {
        let answer = self.http.get(&format!("{}/stats", self.url)).await?;
        Ok(answer.json()?)
    }

    /// Waits until it works on nothing and has no notice left, at most for `limit`.
    pub(crate) async fn quiet(&self, limit: Duration) -> Result<Stats> {
        let quiet = async {
            loop {
                let stats = self.stats().await?;
                if stats.is_quiet() {
                    return Ok(stats);
                }
                time::sleep(LOOK).await;
            }
        };
        match time::within(limit, quiet).await {
            Some(stats) => stats,
            None => self.stats().await,
        }
    }

    /// Closes the bank and reads the ledger that it leaves.
    pub(crate) async fn close(mut self) -> Result<Book> {
        // It watches its standard input: the end of it means that its parent is gone.
        drop(self.child.stdin.take());
        if time::within(CLOSING, self.child.wait()).await.is_none() {
            self.child.kill().await?;
        }
        read_book(&self.ledger)
    }
}

async fn read_port(child: &mut Child) -> Result<u16> {
    let stdout = child.stdout.take().ok_or("the bank has no standard output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await?;
    let port = line.trim().strip_prefix("port ").map(str::parse);
    match port {
        Some(Ok(port)) => Ok(port),
        _ => Err(format!("the bank did not open: it said `{}`", line.trim()).into()),
    }
}

fn read_book(path: &Path) -> Result<Book> {
    let charges = ledger::read(path)?.into_iter();
    Ok(Book::new(
        "bank's ledger",
        charges.map(|charge| Entry { order_id: charge.reference, cents: charge.cents }),
    ))
}

/// Returns when the parent has closed our standard input, or died.
pub(super) async fn parent_gone() {
    let mut sink = [0; 64];
    let mut stdin = tokio::io::stdin();
    loop {
        match stdin.read(&mut sink).await {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}
