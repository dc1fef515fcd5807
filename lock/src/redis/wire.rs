//! What the scripts answer and push.

use std::{sync::Arc, time::Duration};

use mainstay_redis::{RedisError, Reply, redis::Value};

use crate::{
    backend::{BackendError, GivenBack, Owner},
    fence::Fence,
    inspect::Holder,
};

/// What became of a claim, as the server says; `now` is its time in microseconds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Granted {
        fence: Fence,
        now: i64,
    },
    Queued {
        place: usize,
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
            Asked::Queued { place: usize::try_from(place).unwrap_or(0), left: millis(left), now }
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

/// The owner that the scripts call `name`.
fn owner_named(name: &str) -> Option<Owner> {
    name.split_once(':').and_then(|(_channel, owner)| owner_of(owner))
}

/// An owner as the scripts know it: behind its channel, and always of the same length.
pub(super) fn name_of(channel: u64, owner: Owner) -> String {
    format!("{channel:016x}:{:016x}:{:016x}", owner.client(), owner.number())
}

/// What an inspection shows: who holds it, and how many wait.
pub(super) fn shown(reply: Reply) -> Result<(Option<Holder>, usize), BackendError> {
    let fields: Vec<Value> = reply.read().map_err(failure)?;
    let holder = match &fields[..] {
        [_, _] => None,
        [_, now, owner, fence, left, metadata] => {
            // A fence is the time of its grant, unless the server's clock stepped back.
            let held_for = micros(number(now)?.saturating_sub(number(fence)?));
            let left = millis(number(left)?).unwrap_or_default();
            let owner = owner_named(&text(owner)?).ok_or_else(strange)?;
            let holder = Holder::new(owner, Fence::new(number(fence)?), held_for, left);
            let metadata = text(metadata)?;
            Some(if metadata.is_empty() { holder } else { holder.with_metadata(metadata) })
        }
        _ => return Err(strange()),
    };
    let waiters = fields.first().map_or(Ok(0), number)?;
    Ok((holder, usize::try_from(waiters).unwrap_or(0)))
}

/// What the scripts publish.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A waiter has the lock; `at` is the server's time.
    Grant { owner: Owner, fence: Fence, at: i64, lease: Duration, holder: String },
    /// A holder has it no longer.
    Lose { owner: Owner, reason: Arc<str> },
}

pub(super) fn news(message: &[u8]) -> Option<News> {
    let text = str::from_utf8(message).ok()?;
    let (kind, rest) = text.split_once(' ')?;
    match kind {
        "grant" => {
            let mut fields = rest.splitn(5, ' ');
            let mut next = || fields.next();
            Some(News::Grant {
                owner: owner_named(next()?)?,
                fence: Fence::new(next()?.parse().ok()?),
                at: next()?.parse().ok()?,
                lease: Duration::from_millis(next()?.parse().ok()?),
                holder: next()?.to_owned(),
            })
        }
        "lose" => {
            let (owner, reason) = rest.split_once(' ')?;
            Some(News::Lose { owner: owner_named(owner)?, reason: reason.into() })
        }
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

pub(super) fn owner_of(text: &str) -> Option<Owner> {
    let (client, number) = text.split_once(':')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Owner::new(hex(client)?, hex(number)?))
}

fn number(value: &Value) -> Result<i64, BackendError> {
    mainstay_redis::redis::from_redis_value_ref(value).map_err(BackendError::unknown)
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
        let name = name_of(0xc0, owner);
        let message = format!("grant {name} 17 16 400 {{mainstay:lock1:9}}:a b:held");
        let holder = "{mainstay:lock1:9}:a b:held".to_owned();
        let (fence, lease) = (Fence::new(17), Duration::from_millis(400));
        assert_eq!(
            news(message.as_bytes()),
            Some(News::Grant { owner, fence, at: 16, lease, holder })
        );
        let reason = "it is stuck".into();
        let lost = format!("lose {name} it is stuck");
        assert_eq!(news(lost.as_bytes()), Some(News::Lose { owner, reason }));
        for other in ["", "grant", "grant x 1 1 1 k", "lose", "grant a:b x 1 1 k", "hello world"] {
            assert_eq!(news(other.as_bytes()), None, "{other}");
        }
    }
}
