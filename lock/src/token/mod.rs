//! One-shot tokens: a form that is submitted twice counts once.

mod error;
mod in_process;
#[cfg(feature = "redis")]
mod redis;
mod text;

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::{Clock, IntoKey, Key};

use self::in_process::InProcess;

pub use error::{Consumed, TokenError};
pub use text::{MalformedToken, Token};

/// Issues tokens that can be used once, and gives each use a number.
///
/// A page that shows a form issues a token with it; the handler of the form consumes it. The first use
/// draws a number; every repetition of it, from a double click to a retry after a lost reply, is told the
/// same number. A clone is a reference count.
///
/// # First and replay
///
/// [`First`](Consumed::First) is told once for a token; nobody promises that it is *heard*: the process may
/// die, or the reply be lost, before anything is done about it. So store what belongs to a number under that
/// number, in a column that is unique, and let a [`Replay`](Consumed::Replay) do the same: look the number
/// up, and finish what the first one did not.
///
/// # What is guaranteed
///
/// | what happens | in process | on Redis |
/// |---|---|---|
/// | many consume one token at once | one is the first, the others are told its number | the same |
/// | two tokens of a scope are used | the later use has the higher number | the same |
/// | the token is used again within its `ttl`, counted from the first use | replay, same number | the same |
/// | it was never issued, has expired, or is of another scope | [`TokenError::Invalid`] | the same |
/// | the future is dropped | it was used, or not at all | it may be used: consume it again |
/// | the reply is lost | | [`TokenError::Unknown`]: consume it again; it is a replay if it was used |
/// | the process dies | its tokens are gone, and invalid | the tokens stay |
/// | the server is restarted empty, or flushed | | its tokens are invalid, never first a second time |
/// | a primary fails over to a replica that has not seen the use | | first a second time, under another number |
/// | the calendar is set back | numbers go on rising | the same, if by less than a day |
/// | the data are lost *and* the calendar was set back further than the time since | numbers may come again | the same, or it was set back by a day |
///
/// For the failover and the last row, keep the token itself in a unique column as well.
///
/// # When the backend is down
///
/// [`TokenError::Backend`] if nothing was done, [`TokenError::Unknown`] if that is not known; either way
/// the same call may be made again.
///
/// # Cost
///
/// In process one map operation under a mutex; memory is the tokens that have not expired, so bound who may
/// ask for forms. On Redis one round trip and one key a token, one key a scope for a day after its last use; all keys
/// of a scope share its hash tag: `{mainstay:token1:<scope>}:..`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_lock::token::{Consumed, TokenError, Tokens};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let tokens = Tokens::in_process();
/// let token = tokens.issue("order-form", Duration::from_secs(1800)).await?;
///
/// let first = tokens.consume("order-form", &token).await?;
/// let again = tokens.consume("order-form", &token).await?;
/// assert!(first.is_first() && !again.is_first());
/// assert_eq!(first.number(), again.number());
/// # Ok::<(), TokenError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tokens {
    store: Store,
}

#[derive(Clone)]
enum Store {
    InProcess(Arc<InProcess>),
    #[cfg(feature = "redis")]
    Redis(crate::redis::Redis),
}

impl Tokens {
    /// Tokens kept in this process.
    pub fn in_process() -> Self {
        Self::in_process_on(Clock::default())
    }

    /// Tokens kept in this process that expire on `clock`.
    pub fn in_process_on(clock: Clock) -> Self {
        Self { store: Store::InProcess(Arc::new(InProcess::new(clock))) }
    }

    /// Tokens kept in the Redis behind `redis`, for any number of processes.
    ///
    /// Beside what every connection needs, see `mainstay-redis`, it needs `GET`, `SET` and `TIME` on the keys
    /// `{mainstay:token1:*`.
    #[cfg(feature = "redis")]
    pub fn redis(redis: crate::redis::Redis) -> Self {
        Self { store: Store::Redis(redis) }
    }

    /// Makes a token of `scope` that can be used for the first time within `ttl`; at least 1 ms.
    ///
    /// The scope says what the token is for, and numbers rise within it: a form's name, say.
    ///
    /// # Errors
    ///
    /// [`TokenError::InvalidScope`], [`TokenError::NoRandomness`], and where the backend does not answer
    /// [`TokenError::Backend`] or [`TokenError::Unknown`]: no token is out then.
    pub async fn issue(&self, scope: impl IntoKey, ttl: Duration) -> Result<Token, TokenError> {
        let (scope, token) = (scope.into_key()?, Token::random()?);
        let ttl = ttl.clamp(Duration::from_millis(1), LONGEST);
        match &self.store {
            Store::InProcess(store) => store.issue(scope, &token, ttl),
            #[cfg(feature = "redis")]
            Store::Redis(server) => redis::issue(server, scope, &token, ttl).await?,
        }
        Ok(token)
    }

    /// Uses a token of `scope`: the first use draws a number, any later one is told the same.
    ///
    /// # Errors
    ///
    /// [`TokenError::Invalid`] if it has expired or was never issued for this scope,
    /// [`TokenError::InvalidScope`], and where the backend does not answer [`TokenError::Backend`] or
    /// [`TokenError::Unknown`]; then consume it again.
    pub async fn consume(
        &self,
        scope: impl IntoKey,
        token: &Token,
    ) -> Result<Consumed, TokenError> {
        let scope = scope.into_key()?;
        let consumed = match &self.store {
            Store::InProcess(store) => store.consume(&scope, token),
            #[cfg(feature = "redis")]
            Store::Redis(server) => redis::consume(server, &scope, token).await?,
        };
        note(&scope, consumed);
        consumed.ok_or(TokenError::Invalid { scope })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tokens = f.debug_struct("Tokens");
        match &self.store {
            Store::InProcess(store) => tokens.field("in_process", store),
            #[cfg(feature = "redis")]
            Store::Redis(server) => tokens.field("redis", server),
        };
        tokens.finish()
    }
}

/// Never the token.
fn note(scope: &Key, consumed: Option<Consumed>) {
    match consumed {
        Some(Consumed::First { number }) => tracing::debug!(%scope, number, "token: used"),
        Some(Consumed::Replay { number }) => tracing::debug!(%scope, number, "token: used again"),
        None => tracing::debug!(%scope, "token: invalid"),
    }
}

/// A hundred years: what a server can count.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
