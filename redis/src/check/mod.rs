//! A look at a Redis before it is relied on.

mod finding;

use std::{fmt, sync::Arc};

use redis::{Arg, Cmd, cmd};

pub use self::finding::Finding;
use crate::{
    call::{Call, Reply},
    error::RedisError,
    handle::Redis,
    script::Script,
};

/// A look at a Redis before it is relied on; finish with [`run`](Self::run).
///
/// It asks the server, the primary that the Sentinels name, or every primary of a Cluster, and changes
/// nothing.
///
/// # Examples
///
/// ```no_run
/// # async fn example(redis: mainstay_redis::Redis) -> Result<(), mainstay_redis::RedisError> {
/// for finding in redis.check().replicas(2).durable().run().await? {
///     eprintln!("{finding}");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is asked before `run`"]
pub struct Check<'a> {
    redis: &'a Redis,
    replicas: Option<usize>,
    durable: bool,
    needed: Vec<Cmd>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(redis: &'a Redis) -> Self {
        Self { redis, replicas: None, durable: false, needed: Vec::new() }
    }

    /// Counts on this many replicas of each primary.
    pub fn replicas(mut self, expected: usize) -> Self {
        self.replicas = Some(expected);
        self
    }

    /// Counts on data that survive a restart.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Counts on being allowed this command, beside what the crate itself needs. It is done, once on each
    /// server, so let it be one that changes nothing.
    pub fn allowed(mut self, command: Cmd) -> Self {
        self.needed.push(command);
        self
    }

    /// Asks, and says what is wrong; nothing is if the list is empty.
    ///
    /// # Errors
    ///
    /// If a server gives no answer.
    pub async fn run(self) -> Result<Vec<Finding>, RedisError> {
        let mut findings = Vec::new();
        for server in self.redis.servers().await? {
            self.look(&*server, &mut findings).await?;
        }
        Ok(findings)
    }

    async fn look(&self, ask: &Ask<'_>, findings: &mut Vec<Finding>) -> Result<(), RedisError> {
        let mut commands = vec![info("server"), info("replication"), info("memory")];
        commands.push(info("persistence"));
        commands.push(cmd("CLIENT").arg("INFO").take());
        commands.push(LOOK.load());
        commands.push(cmd("EVALSHA").arg(LOOK.digest()).arg(0).take());
        commands.extend(self.needed.iter().cloned());
        // All at once: they are in the queue before the first answer is waited for.
        let calls: Vec<_> = commands.iter().map(|command| ask(command.clone())).collect();
        let mut infos = Vec::new();
        for (command, call) in commands.iter().zip(calls) {
            match call.await {
                Ok(reply) if infos.len() < INFOS => infos.push(Info::read(reply)?),
                Ok(_) => {}
                Err(RedisError::Refused { server, code, message }) => {
                    if *code == *"NOPERM" {
                        let command = name(command);
                        let allowed = Finding::NotAllowed { server, command, reason: message };
                        findings.push(allowed);
                    }
                    if infos.len() < INFOS {
                        infos.push(Info::default());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if let [server, replication, memory, persistence] = &infos[..] {
            server.judge_version(findings);
            replication.judge_replication(self.replicas, findings);
            memory.judge_memory(findings);
            persistence.judge_persistence(self.durable, findings);
        }
        Ok(())
    }
}

impl fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut check = f.debug_struct("Check");
        check.field("redis", &self.redis).field("replicas", &self.replicas);
        check.field("durable", &self.durable).finish_non_exhaustive()
    }
}

/// Asks one server.
pub(crate) type Ask<'a> = dyn Fn(Cmd) -> Call + Send + Sync + 'a;

/// One section of `INFO`; empty where it may not be read.
#[derive(Default)]
struct Info {
    server: Arc<str>,
    text: String,
}

impl Info {
    fn read(reply: Reply) -> Result<Self, RedisError> {
        Ok(Self { server: reply.primary().address().into(), text: reply.read()? })
    }

    fn field(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ str| line.strip_prefix(name)?.strip_prefix(':').map(str::len);
        let line = self.text.lines().find(|line| value(line).is_some())?;
        Some(line[name.len() + 1..].trim())
    }

    fn judge_version(&self, findings: &mut Vec<Finding>) {
        let Some(version) = self.field("redis_version") else { return };
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        if (parts.next(), parts.next()) < (Some(6), Some(2)) {
            let server = self.server.clone();
            findings.push(Finding::TooOld { server, version: version.to_owned() });
        }
    }

    fn judge_replication(&self, expected: Option<usize>, findings: &mut Vec<Finding>) {
        let server = self.server.clone();
        if self.field("role") == Some("slave") {
            return findings.push(Finding::Replica { server });
        }
        let connected = self.field("connected_slaves").and_then(|count| count.parse().ok());
        if let (Some(expected), Some(connected)) = (expected, connected)
            && expected != connected
        {
            findings.push(Finding::Replicas { server, connected, expected });
        }
    }

    fn judge_memory(&self, findings: &mut Vec<Finding>) {
        let limited = self.field("maxmemory").is_some_and(|limit| limit != "0");
        let policy = self.field("maxmemory_policy").filter(|policy| *policy != "noeviction");
        if let (true, Some(policy)) = (limited, policy) {
            let (server, policy) = (self.server.clone(), policy.to_owned());
            findings.push(Finding::Evicts { server, policy });
        }
    }

    fn judge_persistence(&self, durable: bool, findings: &mut Vec<Finding>) {
        if durable && self.field("aof_enabled") == Some("0") {
            findings.push(Finding::NotDurable { server: self.server.clone() });
        }
    }
}

fn info(section: &str) -> Cmd {
    cmd("INFO").arg(section).take()
}

/// The command's words up to the first that is the user's.
fn name(command: &Cmd) -> String {
    let mut words = command.args_iter().filter_map(|arg| match arg {
        Arg::Simple(word) => Some(String::from_utf8_lossy(word).to_uppercase()),
        _ => None,
    });
    let first = words.next().unwrap_or_default();
    let two = ["CLIENT", "SCRIPT", "CLUSTER", "ACL", "CONFIG", "INFO"].contains(&&*first);
    match words.next().filter(|_| two) {
        Some(second) => format!("{first} {second}"),
        None => first,
    }
}

/// Sections of `INFO` that are read.
const INFOS: usize = 4;

/// Whether scripts may be run.
static LOOK: Script = Script::new("return 1");
