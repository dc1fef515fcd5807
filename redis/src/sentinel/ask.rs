//! One question to all Sentinels.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use redis::cmd;

use crate::{
    call::{Call, Reply},
    error::{Cause, RedisError},
    handle::Redis,
};

/// A primary, in the words of one Sentinel.
pub(super) struct Named {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) epoch: u64,
}

/// What came back.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) named: Vec<Named>,
    /// Why one of the others said nothing.
    pub(super) trouble: Option<Cause>,
}

/// Asks all of them at once, and waits for the answers of most, or for what there is.
pub(super) async fn ask(sentinels: &[Redis], primary: &str) -> Answers {
    let ask = |redis: &Redis| Some(redis.call(cmd("SENTINEL").arg("MASTER").arg(primary).take()));
    let mut calls: Vec<_> = sentinels.iter().map(ask).collect();
    let mut answers = Answers::default();
    poll_fn(|cx| {
        calls.iter_mut().for_each(|call| answers.hear(call, cx));
        let most = answers.named.len() * 2 > sentinels.len();
        if most || calls.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers
}

impl Answers {
    fn hear(&mut self, waiting: &mut Option<Call>, cx: &mut Context<'_>) {
        let Some(call) = waiting else { return };
        let Poll::Ready(answer) = Pin::new(call).poll(cx) else { return };
        *waiting = None;
        match answer.and_then(read) {
            Ok(named) => self.named.push(named),
            Err(error) => self.trouble = Some(Cause::new(error)),
        }
    }
}

fn read(reply: Reply) -> Result<Named, RedisError> {
    let fields: HashMap<String, String> = reply.read()?;
    let number = |name: &str| fields.get(name).and_then(|number| number.parse::<u64>().ok());
    let named = || {
        let port = u16::try_from(number("port")?).ok()?;
        Some(Named { host: fields.get("ip")?.clone(), port, epoch: number("config-epoch")? })
    };
    named().ok_or_else(|| RedisError::unreadable("a Sentinel names no address and epoch".into()))
}
