//! What the scripts answer and push.

use std::{sync::Arc, time::Duration};

use mainstay_core::Key;
use mainstay_redis::{RedisError, Reply, redis::Value};

use crate::{
    backend::{BackendError, GivenBack, Owner},
    fence::Fence,
    inspect::{Holder, LockInfo},
    mode::Mode,
};

/// What became of a claim, as the server says; `now` is its time in microseconds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Granted {
        fence: Fence,
        now: i64,
    },
    Queued {
        /// None if it is the last of those it knows of.
        place: Option<usize>,
        left: Option<Duration>,
        now: i64,
    },
    Busy {
        left: Option<Duration>,
    },
    Gone,
    /// Done too late, so not at all.
    Late {
        now: i64,
    },
}

pub(super) fn asked(reply: Reply) -> Result<Asked, BackendError> {
    if let Value::Int(fence) = *reply.value() {
        return Ok(Asked::Granted { fence: Fence::new(fence), now: fence });
    }
    let numbers: Vec<i64> = reply.read().map_err(failure)?;
    Ok(match numbers[..] {
        [1, fence, now] => Asked::Granted { fence: Fence::new(fence), now },
        [2, place, left, now] => {
            let place = usize::try_from(place).ok().filter(|place| *place > 0);
            Asked::Queued { place, left: millis(left), now }
        }
        [0, left, _] => Asked::Busy { left: millis(left) },
        [3, _] => Asked::Gone,
        [4, now] => Asked::Late { now },
        _ => return Err(strange()),
    })
}

pub(super) fn given_back(reply: Reply) -> Result<GivenBack, BackendError> {
    match reply.read().map_err(failure)? {
        0 => Ok(GivenBack::NotHeld),
        1 => Ok(GivenBack::Released),
        _ => Err(strange()),
    }
}

/// The owner that the scripts call `name`, and how it wants its lock.
fn owner_named(name: &str) -> Option<(Owner, Mode)> {
    let (channel, owner) = name.split_at_checked(CHANNEL_LENGTH + 1)?;
    let mode = if channel.ends_with(SHARES) { Mode::Shared } else { Mode::Exclusive };
    Some((owner_of(owner)?, mode))
}

/// An owner as the scripts know it: behind its channel, and always of the same length.
pub(super) fn name_of(channel: u64, owner: Owner, mode: Mode) -> String {
    let mut name = String::with_capacity(3 * CHANNEL_LENGTH + 2);
    push_hex(&mut name, channel);
    name.push(if mode == Mode::Shared { SHARES } else { ':' });
    push_hex(&mut name, owner.client());
    name.push(':');
    push_hex(&mut name, owner.number());
    name
}

/// Every call has three of them: `format!` takes much longer.
fn push_hex(text: &mut String, number: u64) {
    let digit = |at: usize| HEX[usize::from((number >> (60 - 4 * at)) as u8 & 15)];
    let digits: [u8; CHANNEL_LENGTH] = std::array::from_fn(digit);
    text.push_str(str::from_utf8(&digits).unwrap_or_default());
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const CHANNEL_LENGTH: usize = 16;
const SHARES: char = '~';

/// What an inspection shows: who holds it, and how many wait.
pub(super) fn shown(key: &Key, reply: Reply) -> Result<LockInfo, BackendError> {
    let fields: Vec<Value> = reply.read().map_err(failure)?;
    let [waiters, now, holders @ ..] = &fields[..] else { return Err(strange()) };
    let (waiters, now) = (count(waiters)?, number(now)?);
    let info = |holder| LockInfo::new(key.clone(), holder, waiters);
    match holders {
        [] => Ok(info(None)),
        [_, readers, shown @ ..] if shown.len() % 4 == 0 && is_mark(&holders[0]) => {
            let shown: Result<_, _> = shown.chunks(4).map(|fields| holder(fields, now)).collect();
            Ok(info(None).with_readers(shown?, count(readers)?))
        }
        alone => Ok(info(Some(holder(alone, now)?))),
    }
}

/// Whether readers share the name, see `readers.lua`.
fn is_mark(holder: &Value) -> bool {
    matches!(holder, Value::BulkString(text) if text == b"readers")
}

fn holder(fields: &[Value], now: i64) -> Result<Holder, BackendError> {
    let [owner, fence, left, metadata] = fields else { return Err(strange()) };
    // A fence is the time of its grant, unless the server's clock stepped back.
    let held_for = micros(now.saturating_sub(number(fence)?));
    let left = millis(number(left)?).unwrap_or_default();
    let (owner, _) = owner_named(&text(owner)?).ok_or_else(strange)?;
    let holder = Holder::new(owner, Fence::new(number(fence)?), held_for, left);
    let metadata = text(metadata)?;
    Ok(if metadata.is_empty() { holder } else { holder.with_metadata(metadata) })
}

/// What the scripts publish.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A waiter has the lock in its mode; `at` is the server's time.
    Grant { owner: Owner, mode: Mode, fence: Fence, at: i64, lease: Duration, holder: String },
    /// It is the turn of one who wants to share, who is to ask for that.
    Turn { owner: Owner, fence: Fence, holder: String },
    /// A waiter is to ask.
    Look { owner: Owner },
    /// A holder has it no longer.
    Lose { owner: Owner, reason: Arc<str> },
}

pub(super) fn news(message: &[u8]) -> Option<News> {
    let text = str::from_utf8(message).ok()?;
    let (kind, rest) = text.split_once(' ')?;
    match kind {
        "grant" | "share" => {
            let mut fields = rest.splitn(5, ' ');
            let mut next = || fields.next();
            let (owner, mode) = owner_named(next()?)?;
            let fence = Fence::new(next()?.parse().ok()?);
            let at = next()?.parse().ok()?;
            let lease = Duration::from_millis(next()?.parse().ok()?);
            let holder = next()?.to_owned();
            Some(match mode {
                Mode::Shared if kind == "grant" => News::Turn { owner, fence, holder },
                _ => News::Grant { owner, mode, fence, at, lease, holder },
            })
        }
        "lose" => {
            let (owner, reason) = rest.split_once(' ')?;
            Some(News::Lose { owner: owner_named(owner)?.0, reason: reason.into() })
        }
        "look" => Some(News::Look { owner: owner_named(rest)?.0 }),
        _ => None,
    }
}

pub(super) fn failure(error: RedisError) -> BackendError {
    // A node of a quorum refuses before it does anything.
    let no_vote = matches!(&error, RedisError::Refused { code, .. } if &**code == "NOVOTE");
    if error.is_unknown() && !no_vote {
        BackendError::unknown(error)
    } else {
        BackendError::failed(error)
    }
}

/// Whether a call was refused because its keys are on two nodes, between which their slot migrates.
pub(super) fn is_torn(error: &RedisError) -> bool {
    matches!(error, RedisError::Refused { code, .. } if &**code == "TRYAGAIN")
}

pub(super) fn owner_of(text: &str) -> Option<Owner> {
    let (client, number) = text.split_once(':')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Owner::new(hex(client)?, hex(number)?))
}

fn number(value: &Value) -> Result<i64, BackendError> {
    mainstay_redis::redis::from_redis_value_ref(value).map_err(BackendError::unknown)
}

fn count(value: &Value) -> Result<usize, BackendError> {
    Ok(usize::try_from(number(value)?).unwrap_or(0))
}

fn text(value: &Value) -> Result<String, BackendError> {
    mainstay_redis::redis::from_redis_value_ref(value).map_err(BackendError::unknown)
}

fn strange() -> BackendError {
    BackendError::unknown("the script's answer has another shape")
}

/// A key's remaining time; below zero there is no key.
fn millis(left: i64) -> Option<Duration> {
    u64::try_from(left).ok().map(Duration::from_millis)
}

fn micros(span: i64) -> Duration {
    Duration::from_micros(u64::try_from(span).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_back_and_other_messages_are_none() {
        let owner = Owner::new(0xa1, 0x2f);
        let name = name_of(0xc0, owner, Mode::Exclusive);
        let message = format!("grant {name} 17 16 400 {{mainstay:lock1:9}}:a b:held");
        let holder = "{mainstay:lock1:9}:a b:held".to_owned();
        let (fence, lease) = (Fence::new(17), Duration::from_millis(400));
        assert_eq!(
            news(message.as_bytes()),
            Some(News::Grant { owner, mode: Mode::Exclusive, fence, at: 16, lease, holder })
        );
        let reader = name_of(0xc0, owner, Mode::Shared);
        assert_eq!(reader.len(), name.len());
        let holder = "k:held".to_owned();
        let turn = format!("grant {reader} 17 16 400 k:held");
        assert_eq!(
            news(turn.as_bytes()),
            Some(News::Turn { owner, fence, holder: holder.clone() })
        );
        let share = format!("share {reader} 17 16 400 k:held");
        let shared = News::Grant { owner, mode: Mode::Shared, fence, at: 16, lease, holder };
        assert_eq!(news(share.as_bytes()), Some(shared));
        assert_eq!(news(format!("look {reader}").as_bytes()), Some(News::Look { owner }));
        let reason = "it is stuck".into();
        let lost = format!("lose {name} it is stuck");
        assert_eq!(news(lost.as_bytes()), Some(News::Lose { owner, reason }));
        for other in ["", "grant", "grant x 1 1 1 k", "lose", "grant a:b x 1 1 k", "hello world"] {
            assert_eq!(news(other.as_bytes()), None, "{other}");
        }
    }
}
