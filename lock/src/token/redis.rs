//! Tokens kept in a Redis.

use std::time::Duration;

use mainstay_core::Key;
use mainstay_redis::{RedisError, Script};

use super::{Consumed, Token, TokenError};
use crate::{error::Failure, redis::Redis};

static ISSUE: Script = Script::new(include_str!("scripts/issue.lua"));
static CONSUME: Script = Script::new(include_str!("scripts/consume.lua"));

pub(super) async fn issue(
    redis: &Redis,
    scope: Key,
    token: &Token,
    ttl: Duration,
) -> Result<(), TokenError> {
    let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let call = redis.eval(&ISSUE, [name(&scope, token.as_str())]).arg(ttl).call();
    call.await.map(drop).map_err(|error| failure(&scope, error))
}

pub(super) async fn consume(
    redis: &Redis,
    scope: &Key,
    token: &Token,
) -> Result<Option<Consumed>, TokenError> {
    let keys = [name(scope, token.as_str()), name(scope, LAST)];
    let call = redis.eval(&CONSUME, keys).call();
    let reply = call.await.and_then(|reply| reply.read::<Vec<i64>>());
    match reply.map_err(|error| failure(scope, error))?[..] {
        [0] => Ok(None),
        [1, number] => Ok(Some(Consumed::First { number })),
        [2, number] => Ok(Some(Consumed::Replay { number })),
        _ => {
            let failure = Failure::new("the script's answer has another shape");
            Err(TokenError::Unknown { scope: scope.clone(), failure })
        }
    }
}

/// All keys of a scope share its hash tag; the names are escaped, so the tag's braces are the only ones.
fn name(scope: &Key, which: &str) -> String {
    format!("{{mainstay:token1:{scope}}}:{which}")
}

fn failure(scope: &Key, error: RedisError) -> TokenError {
    let (scope, unknown) = (scope.clone(), error.is_unknown());
    let failure = Failure::new(error);
    if unknown {
        TokenError::Unknown { scope, failure }
    } else {
        TokenError::Backend { scope, failure }
    }
}

/// No token is spelt like this.
const LAST: &str = "last";
