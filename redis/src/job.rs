//! One command on its way.

use std::sync::Arc;

use mainstay_core::Moment;
use redis::Cmd;
use tokio::sync::oneshot;

use crate::{call::Reply, error::RedisError, script::Script};

/// One command on its way.
pub(crate) struct Job {
    pub(crate) command: Cmd,
    pub(crate) ticket: Ticket,
}

/// A command without its bytes: whom to tell, and until when.
pub(crate) struct Ticket {
    pub(crate) script: Option<&'static Script>,
    pub(crate) answer: Answer,
    pub(crate) deadline: Moment,
    /// How often the server forgot the script.
    pub(crate) reloads: u8,
}

/// Who is told of an answer.
pub(crate) enum Answer {
    Caller(oneshot::Sender<Result<Reply, RedisError>>),
    /// Those who listen to a channel.
    Listeners(Arc<str>),
    Nobody,
}

impl Job {
    pub(crate) fn new(
        command: Cmd,
        script: Option<&'static Script>,
        answer: Answer,
        deadline: Moment,
    ) -> Self {
        Self { command, ticket: Ticket { script, answer, deadline, reloads: 0 } }
    }
}

impl Ticket {
    /// Whether the caller went away or was told already.
    pub(crate) fn is_moot(&self) -> bool {
        match &self.answer {
            Answer::Caller(caller) => caller.is_closed(),
            Answer::Listeners(_) | Answer::Nobody => false,
        }
    }
}
