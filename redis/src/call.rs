//! The answer to one command.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mainstay_core::Moment;
use redis::{FromRedisValue, ParsingError, Value};
use tokio::sync::oneshot;

use crate::{
    error::{Cause, RedisError},
    server::{Name, Primary},
};

/// Future of a command's answer. The command is in the queue already.
///
/// # Cancel safety
///
/// Dropped before the command was written, nothing is sent; after it, the command is done and its
/// answer thrown away.
#[must_use = "without its answer nobody knows what became of the command"]
pub struct Call {
    state: State,
    name: Name,
}

enum State {
    Refused(Option<RedisError>),
    Waiting(oneshot::Receiver<Result<Reply, RedisError>>),
}

impl Call {
    pub(crate) fn refused(name: Name, error: RedisError) -> Self {
        Self { state: State::Refused(Some(error)), name }
    }

    pub(crate) fn waiting(
        name: Name,
        answer: oneshot::Receiver<Result<Reply, RedisError>>,
    ) -> Self {
        Self { state: State::Waiting(answer), name }
    }
}

impl Future for Call {
    type Output = Result<Reply, RedisError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = match &mut this.state {
            State::Refused(error) => error.take().map(Err),
            // Only a runtime that stops drops the other end, and it may have written the command.
            State::Waiting(answer) => ready!(Pin::new(answer).poll(cx)).ok(),
        };
        Poll::Ready(answer.unwrap_or_else(|| {
            Err(this.name.unknown(Cause::new("the runtime of the connection stopped")))
        }))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("server", &self.name).finish_non_exhaustive()
    }
}

/// What a server answered. Errors of the server are [`RedisError::Refused`] instead.
#[derive(Clone, PartialEq)]
pub struct Reply {
    value: Value,
    written: Moment,
    primary: Arc<Primary>,
}

impl Reply {
    pub(crate) fn new(value: Value, written: Moment, primary: Arc<Primary>) -> Self {
        Self { value, written, primary }
    }

    /// The answers to `count` calls that were one, when it was written, and who answered.
    pub(crate) fn parts(self, count: usize) -> Result<Parts, RedisError> {
        match self.value {
            Value::Array(values) if values.len() == count => {
                Ok((values, self.written, self.primary))
            }
            _ => Err(RedisError::unreadable(ParsingError::from(
                "a joined script answers with one value for each call",
            ))),
        }
    }

    /// A reading of the clock taken just before the command was written: a lease that the command
    /// began is not older than this.
    pub fn written(&self) -> Moment {
        self.written
    }

    /// Which server answered.
    pub fn primary(&self) -> &Primary {
        &self.primary
    }

    /// The answer as it came.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The answer as a `T`.
    ///
    /// # Errors
    ///
    /// [`RedisError::Unreadable`].
    pub fn read<T: FromRedisValue>(self) -> Result<T, RedisError> {
        redis::from_redis_value(self.value).map_err(RedisError::unreadable)
    }
}

/// The answers to calls that were one, when it was written, and who answered.
pub(crate) type Parts = (Vec<Value>, Moment, Arc<Primary>);

/// Never shows the answer, which is the user's data.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reply = f.debug_struct("Reply");
        reply.field("written", &self.written).field("primary", &self.primary);
        reply.finish_non_exhaustive()
    }
}
