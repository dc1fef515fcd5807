//! Settings of a handle before it is made.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use mainstay_core::Clock;

#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{
    config::RedisConfig,
    error::RedisError,
    handle::{Inner, Redis},
    server::{Address, Server},
};

/// Settings of a [`Redis`] before it is made.
#[must_use = "finish with `build`"]
pub struct RedisBuilder {
    address: Address,
    clock: Clock,
    config: RedisConfig,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    require_tls: bool,
}

impl RedisBuilder {
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            clock: Clock::default(),
            config: RedisConfig::default(),
            #[cfg(feature = "tls")]
            tls: None,
            require_tls: false,
        }
    }

    /// Runs budgets and pauses on `clock`.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces all budgets and bounds.
    pub fn config(mut self, config: RedisConfig) -> Self {
        self.config = config;
        self
    }

    /// How long one command may take; see [`RedisConfig::budget`].
    pub fn budget(mut self, budget: Duration) -> Self {
        self.config.budget = budget;
        self
    }

    /// Whom encrypted connections trust, and as whom they present themselves. Without it a `rediss://`
    /// URL means [`Tls::system`]; with it a plain URL is refused by [`build`](Self::build).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Lets [`build`](Self::build) refuse an address in plain text, wherever the URL comes from.
    pub fn require_tls(mut self) -> Self {
        self.require_tls = true;
        self
    }

    /// Makes the handle. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`].
    pub fn build(self) -> Result<Redis, RedisError> {
        let inner = Inner {
            server: self.server()?,
            clock: self.clock,
            config: Arc::new(self.config),
            router: Arc::default(),
            queue: Mutex::default(),
        };
        Ok(Redis { inner: Arc::new(inner) })
    }

    fn server(&self) -> Result<Server, RedisError> {
        let address = &self.address;
        if address.is_careless() {
            return Err(RedisError::settings(
                "the client takes any certificate (`insecure`); name the authority that signed the \
                 server's instead",
            ));
        }
        if self.require_tls && !address.is_secure() {
            return Err(RedisError::settings(
                "it is plain text, and TLS is required; write `rediss://`",
            ));
        }
        #[cfg(feature = "tls")]
        let tls = match (address.is_ours_to_encrypt(), &self.tls) {
            (true, Some(tls)) => Some(tls.clone()),
            (true, None) => Some(Tls::system()?),
            (false, None) => None,
            (false, Some(_)) => {
                return Err(RedisError::settings(
                    "there are settings for TLS, but it is plain text; write `rediss://`",
                ));
            }
        };
        Ok(Server::new(
            address.clone().into_info(),
            #[cfg(feature = "tls")]
            tls,
        ))
    }
}

/// Never the user or the password.
impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut builder = f.debug_struct("RedisBuilder");
        builder.field("config", &self.config).field("require_tls", &self.require_tls);
        builder.finish_non_exhaustive()
    }
}
