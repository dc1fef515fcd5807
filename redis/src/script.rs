//! Constant scripts.

use std::{fmt, sync::OnceLock};

use redis::{Cmd, ToRedisArgs};

use crate::{
    call::{Call, Reply},
    error::RedisError,
    handle::Redis,
};

/// A Lua script of the program, kept in a `static`.
///
/// It is sent by its digest. A server that does not know it (new, restarted, flushed) is given the
/// text once, and the call goes on: its caller notices nothing.
///
/// # Examples
///
/// ```
/// use mainstay_redis::Script;
///
/// static ADD: Script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
/// assert_eq!(ADD.digest().len(), 40);
/// ```
pub struct Script {
    text: &'static str,
    digest: OnceLock<String>,
    /// How many keys each of the calls has that are joined; 0 where none are.
    joined_keys: usize,
}

impl Script {
    /// The script with this text. Values belong in keys and arguments, never in the text.
    pub const fn new(text: &'static str) -> Self {
        Self { text, digest: OnceLock::new(), joined_keys: 0 }
    }

    /// A script that does many calls in one: those that are written together become a single one.
    ///
    /// Each call has one key, or as many as [`keys_each`](Self::keys_each) says. The script finds the keys of all
    /// calls in `KEYS` and their arguments in `ARGV`, one call after the other, and answers with a list of one answer for each, in their order. An answer
    /// that is an error is the error of its call alone; an error of the script is that of all of them, and
    /// a part of them may be done.
    ///
    /// # Cost
    ///
    /// A server spends more on starting a script than on a command inside it. At most 32 calls are joined, so
    /// that nobody else waits for long.
    pub const fn joined(text: &'static str) -> Self {
        Self { text, digest: OnceLock::new(), joined_keys: 1 }
    }

    /// The same with so many keys in each call: in a Cluster, whatever must not be worked on while a part of it is
    /// on another node.
    #[must_use]
    pub const fn keys_each(mut self, keys: usize) -> Self {
        self.joined_keys = keys;
        self
    }

    /// How many keys each of the calls has that are joined; 0 where none are.
    pub(crate) fn joined_keys(&self) -> usize {
        self.joined_keys
    }

    /// The text.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// The SHA-1 digest that the server knows it by.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned())
    }

    pub(crate) fn load(&self) -> Cmd {
        redis::cmd("SCRIPT").arg("LOAD").arg(self.text).take()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.digest()).finish()
    }
}

/// A call of a script; finish with [`call`](Self::call).
#[must_use = "nothing is sent before `call`"]
pub struct Invocation<'a> {
    redis: &'a Redis,
    script: &'static Script,
    command: Cmd,
}

impl<'a> Invocation<'a> {
    pub(crate) fn new<K: ToRedisArgs>(
        redis: &'a Redis,
        script: &'static Script,
        keys: impl ExactSizeIterator<Item = K>,
    ) -> Self {
        let mut command = Cmd::with_capacity(ARGS, BYTES);
        command.arg("EVALSHA").arg(script.digest()).arg(keys.len());
        for key in keys {
            command.arg(key);
        }
        Self { redis, script, command }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.command.arg(arg);
        self
    }

    /// Puts the call into the queue, before it returns, and gives the future of its answer.
    pub fn call(self) -> Call {
        self.redis.send(self.command, Some(self.script))
    }

    /// Puts the call into the queue, before it returns; `handler` gets the answer.
    ///
    /// It runs on the connection's task, or here if the call is refused at once: it must not wait for
    /// anything. A runtime that stops drops it without a call, and the script may have run.
    pub fn call_with(self, handler: impl FnOnce(Result<Reply, RedisError>) + Send + 'static) {
        self.redis.send_with(self.command, Some(self.script), Box::new(handler));
    }
}

impl fmt::Debug for Invocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").field("script", &self.script).finish_non_exhaustive()
    }
}

/// Room for most calls.
const ARGS: usize = 16;
const BYTES: usize = 256;
