//! A connection: commands out, answers in.

mod dial;
mod frame;
mod login;

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use redis::{Cmd, PushInfo, PushKind, Value, parse_redis_value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use self::frame::Frame;
pub(crate) use self::{dial::dial, login::login};
use crate::{error::Cause, router::Router};

/// Bytes both ways, whatever carries them.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection: commands out, answers in. Whoever owns it reads and writes it: no other task is between, so
/// that an answer wakes one task and not two.
pub(crate) struct Socket {
    stream: Box<dyn Stream>,
    /// What is to be written, and how much of it was.
    output: Vec<u8>,
    written: usize,
    input: BytesMut,
    frame: Frame,
    /// Where pushes go, in between answers.
    router: Arc<Router>,
    /// Why nothing can be written any more. Answers to what was may come all the same.
    broken: Option<io::Error>,
}

impl Socket {
    fn new(stream: Box<dyn Stream>, router: Arc<Router>) -> Self {
        let (output, input) = (Vec::new(), BytesMut::new());
        Self { stream, output, written: 0, input, frame: Frame::new(), router, broken: None }
    }

    /// Puts a command behind those that are to be written.
    pub(crate) fn put(&mut self, command: &Cmd) {
        command.write_packed_command(&mut self.output);
    }

    /// Writes what it can now. The rest is written while answers are waited for.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) {
        if self.broken.is_none()
            && let Poll::Ready(Err(error)) = self.poll_write(cx)
        {
            self.broken = Some(error);
        }
    }

    /// Writes what it can and reads the next answer, or why there will be none. Pushes on the way go to their
    /// listeners.
    ///
    /// Dropping a future that polls this loses nothing.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Value, Cause>> {
        self.flush(cx);
        match self.poll_read(cx) {
            Poll::Pending => match self.broken.take() {
                Some(error) => Poll::Ready(Err(cause(error))),
                None => Poll::Pending,
            },
            answered @ Poll::Ready(_) => answered,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.output.clear();
        self.written = 0;
        self.output.shrink_to(KEPT);
        // What is encrypted may be held back till here.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Value, Cause>> {
        loop {
            while let Some(end) = self.frame.end(&self.input).map_err(Cause::new)? {
                let value = parse_redis_value(&self.input[..end]).map_err(Cause::new)?;
                self.input.advance(end);
                if let Some(answer) = self.route(value) {
                    return Poll::Ready(Ok(answer));
                }
            }
            if self.input.is_empty() && self.input.capacity() > KEPT {
                self.input = BytesMut::new();
            }
            self.input.reserve(CHUNK);
            let read = pin!(self.stream.read_buf(&mut self.input)).poll(cx);
            match ready!(read) {
                Ok(0) => return Poll::Ready(Err(Cause::new("the connection was closed"))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(cause(error))),
            }
        }
    }

    /// Hands a push to its listeners; back if it is an answer.
    fn route(&self, value: Value) -> Option<Value> {
        match value {
            Value::Push { kind, data } if !is_answer(&kind) => {
                self.router.deliver(PushInfo { kind, data });
                None
            }
            answer => Some(answer),
        }
    }
}

/// Why it broke, in words that say what to do where that is known.
fn cause(error: io::Error) -> Cause {
    #[cfg(feature = "tls")]
    return crate::tls::Mistrust::or(error);
    #[cfg(not(feature = "tls"))]
    Cause::new(error)
}

/// Whether a push is what a command is answered with.
fn is_answer(kind: &PushKind) -> bool {
    use PushKind::{PSubscribe, PUnsubscribe, SSubscribe, SUnsubscribe, Subscribe, Unsubscribe};
    matches!(kind, Subscribe | Unsubscribe | PSubscribe | PUnsubscribe | SSubscribe | SUnsubscribe)
}

/// Bytes that are read at once, at least.
const CHUNK: usize = 8 * 1024;

/// What a buffer holds on to while it is empty.
const KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests;
