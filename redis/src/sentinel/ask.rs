//! One question to all Sentinels.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
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

/// What is asked of one Sentinel.
///
/// In this order: while an election is carried out its leader knows the new epoch already, and in the
/// answer to `MASTER` still the old address. That must never be taken for a primary of the new epoch.
struct Question {
    epoch: Option<Call>,
    address: Call,
    as_of: u64,
}

/// Asks all of them at once, and waits for the answers of most, or for what there is.
pub(super) async fn ask(sentinels: &[Redis], primary: &str) -> Answers {
    let ask = |redis: &Redis| {
        let about = |word| redis.call(cmd("SENTINEL").arg(word).arg(primary).take());
        let epoch = Some(about("MASTER"));
        Some(Question { epoch, address: about("GET-MASTER-ADDR-BY-NAME"), as_of: 0 })
    };
    let mut questions: Vec<_> = sentinels.iter().map(ask).collect();
    let mut answers = Answers::default();
    poll_fn(|cx| {
        questions.iter_mut().for_each(|question| answers.hear(question, cx));
        let most = answers.named.len() * 2 > sentinels.len();
        if most || questions.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers
}

impl Answers {
    fn hear(&mut self, waiting: &mut Option<Question>, cx: &mut Context<'_>) {
        let Some(question) = waiting else { return };
        let Poll::Ready(answer) = question.poll(cx) else { return };
        *waiting = None;
        match answer {
            Ok(named) => self.named.push(named),
            // While one of them may be back soon, trying again is of use.
            Err(error) if self.trouble.as_ref().is_none_or(Cause::is_lasting) => {
                self.trouble = Some(Cause::new(error));
            }
            Err(_) => {}
        }
    }
}

impl Question {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Named, RedisError>> {
        if let Some(epoch) = &mut self.epoch {
            self.as_of = ready!(Pin::new(epoch).poll(cx)).and_then(epoch_in)?;
            self.epoch = None;
        }
        let address = ready!(Pin::new(&mut self.address).poll(cx))?;
        let (host, port) = address.read()?;
        Poll::Ready(Ok(Named { host, port, epoch: self.as_of }))
    }
}

fn epoch_in(reply: Reply) -> Result<u64, RedisError> {
    let fields: HashMap<String, String> = reply.read()?;
    let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok());
    epoch.ok_or_else(|| RedisError::unreadable("a Sentinel names no epoch".into()))
}
