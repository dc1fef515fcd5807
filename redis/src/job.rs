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
    /// The slot of its keys, in a Cluster.
    pub(crate) slot: Option<u16>,
    /// Whether to go in front of a slot that is on its way to the node.
    pub(crate) asking: bool,
    /// Whether others with a later deadline may be in front of it.
    pub(crate) strayed: bool,
}

/// What is done with an answer.
pub(crate) type Handler = Box<dyn FnOnce(Result<Reply, RedisError>) + Send>;

/// Who is told of an answer.
pub(crate) enum Answer {
    Caller(oneshot::Sender<Result<Reply, RedisError>>),
    Handler(Handler),
    /// The calls that were joined to this one, each with a part of the answer.
    Parts(Vec<Ticket>),
    /// Those who listen to a channel; `afar` if others may publish before they are known to listen.
    Listeners {
        channel: Arc<str>,
        afar: bool,
    },
    Nobody,
}

impl Job {
    pub(crate) fn new(
        command: Cmd,
        script: Option<&'static Script>,
        answer: Answer,
        deadline: Moment,
    ) -> Self {
        Self { command, ticket: Ticket::new(script, answer, deadline) }
    }
}

impl Ticket {
    pub(crate) fn new(script: Option<&'static Script>, answer: Answer, deadline: Moment) -> Self {
        let (reloads, slot, asking, strayed) = (0, None, false, false);
        Self { script, answer, deadline, reloads, slot, asking, strayed }
    }

    /// Whether the caller went away or was told already.
    pub(crate) fn is_moot(&self) -> bool {
        match &self.answer {
            Answer::Caller(caller) => caller.is_closed(),
            Answer::Parts(parts) => parts.iter().all(Self::is_moot),
            Answer::Handler(_) | Answer::Listeners { .. } | Answer::Nobody => false,
        }
    }

    /// Whether a command that was not done is worth sending again.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_open() && !self.is_moot()
    }

    /// Whether somebody is still to be told.
    pub(crate) fn is_open(&self) -> bool {
        match &self.answer {
            Answer::Nobody => false,
            Answer::Parts(parts) => parts.iter().any(Self::is_open),
            Answer::Caller(_) | Answer::Handler(_) | Answer::Listeners { .. } => true,
        }
    }

    /// Takes out those whose budget is spent at `now`.
    pub(crate) fn take_overdue(&mut self, now: Moment, overdue: &mut Vec<Answer>) {
        if self.deadline > now {
            return;
        }
        match &mut self.answer {
            Answer::Parts(parts) => {
                parts.iter_mut().for_each(|part| part.take_overdue(now, overdue));
                let open = parts.iter().filter(|part| part.is_open());
                self.deadline = open.map(|part| part.deadline).min().unwrap_or(Moment::NEVER);
            }
            answer => overdue.push(std::mem::replace(answer, Answer::Nobody)),
        }
    }
}
