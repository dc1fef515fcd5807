//! Settings of a handle before it is made.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::Clock;

#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{
    config::RedisConfig,
    error::RedisError,
    handle::Redis,
    place::Place,
    sentinel::Sentinels,
    server::{Address, Server},
};

/// Settings of a [`Redis`] before it is made.
#[must_use = "finish with `build`"]
pub struct RedisBuilder {
    target: Target,
    credentials: Option<(Option<String>, String)>,
    database: Option<u32>,
    server_tls: Option<bool>,
    require_majority: bool,
    clock: Clock,
    config: RedisConfig,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    require_tls: bool,
}

/// What the handle is about.
pub(crate) enum Target {
    Single(Address),
    Watched { sentinels: Vec<Address>, primary: Arc<str> },
    Cluster(Vec<Address>),
}

impl RedisBuilder {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            credentials: None,
            database: None,
            server_tls: None,
            require_majority: false,
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

    /// The user and password of the servers, instead of what their URL says.
    pub fn credentials(mut self, user: Option<&str>, password: &str) -> Self {
        self.credentials = Some((user.map(str::to_owned), password.to_owned()));
        self
    }

    /// The database, instead of what the URL says. 0.
    pub fn database(mut self, database: u32) -> Self {
        self.database = Some(database);
        self
    }

    /// Whether the servers behind the Sentinels are spoken to over TLS, if not as the Sentinels are.
    pub fn server_tls(mut self, encrypted: bool) -> Self {
        self.server_tls = Some(encrypted);
        self
    }

    /// Uses a primary only while most of the Sentinels name it.
    ///
    /// A client that is cut off together with an old primary, and at most half of the Sentinels, then
    /// leaves it within half a second and its budget, instead of going on with what will be lost. The price
    /// is that it also stops where most Sentinels are down and the primary is well.
    pub fn require_majority(mut self) -> Self {
        self.require_majority = true;
        self
    }

    /// Makes the handle. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`].
    pub fn build(self) -> Result<Redis, RedisError> {
        let place = match &self.target {
            Target::Single(address) => {
                self.ready(std::slice::from_ref(address))?;
                Place::Fixed(self.server(self.dressed(address.clone()))?)
            }
            Target::Cluster(nodes) => {
                self.ready(nodes)?;
                all_alike(nodes)?;
                let server = |address: &Address| self.server(self.dressed(address.clone()));
                let seeds = nodes.iter().map(server).collect::<Result<_, _>>()?;
                return Ok(Redis::to_cluster(seeds, self.clock, Arc::new(self.config)));
            }
            Target::Watched { sentinels, primary } => {
                self.ready(sentinels)?;
                let encrypted = match self.server_tls {
                    Some(encrypted) => encrypted,
                    None => all_alike(sentinels)?,
                };
                let like = Address::parse(if encrypted { "rediss://-/" } else { "redis://-/" })?;
                if self.require_tls {
                    require_tls(&like)?;
                }
                let like = self.server(self.dressed(like))?;
                let ask = |address: &Address| self.sentinel(address.clone());
                let asked = sentinels.iter().map(ask).collect::<Result<_, _>>()?;
                let majority = self.require_majority;
                Place::Watched(Arc::new(Sentinels::new(primary.clone(), asked, like, majority)))
            }
        };
        Ok(Redis::to(place, self.clock, Arc::new(self.config)))
    }

    /// A connection to a Sentinel, with a third of the patience: one that hangs must not keep the others
    /// from being heard.
    fn sentinel(&self, address: Address) -> Result<Redis, RedisError> {
        let mut config = self.config.clone();
        let patience = config.connect_budget / 3;
        (config.budget, config.connect_budget) = (patience, patience);
        config.give_up_after = patience * 2;
        let place = Place::Fixed(self.server(address)?);
        Ok(Redis::to(place, self.clock.clone(), Arc::new(config)))
    }

    fn dressed(&self, mut address: Address) -> Address {
        if let Some((user, password)) = &self.credentials {
            address = address.with_credentials(user.as_deref(), password);
        }
        if let Some(database) = self.database {
            address = address.with_database(database);
        }
        address
    }

    /// Whether the addresses can be used with these settings.
    fn ready(&self, addresses: &[Address]) -> Result<(), RedisError> {
        for address in addresses {
            if let Some(objection) = address.objection(self.has_tls()) {
                return Err(RedisError::settings(objection));
            }
            if self.require_tls {
                require_tls(address)?;
            }
        }
        let encrypted = self.server_tls == Some(true) || addresses.iter().any(Address::is_secure);
        if self.has_tls() && !encrypted {
            return Err(RedisError::settings(
                "there are settings for TLS, but it is plain text; write `rediss://`",
            ));
        }
        Ok(())
    }

    #[cfg(feature = "tls")]
    fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "only TLS has settings")]
    fn has_tls(&self) -> bool {
        false
    }

    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, reason = "only TLS has settings"))]
    fn server(&self, address: Address) -> Result<Server, RedisError> {
        #[cfg(feature = "tls")]
        let tls = match (address.is_secure(), &self.tls) {
            (true, Some(tls)) => Some(tls.clone()),
            (true, None) => Some(Tls::system()?),
            (false, _) => None,
        };
        Ok(Server::new(
            address.into_info(),
            #[cfg(feature = "tls")]
            tls,
        ))
    }
}

fn require_tls(address: &Address) -> Result<(), RedisError> {
    if address.is_secure() {
        return Ok(());
    }
    Err(RedisError::settings("it is plain text, and TLS is required; write `rediss://`"))
}

/// Whether all are encrypted: servers that they tell of are spoken to as they are.
fn all_alike(addresses: &[Address]) -> Result<bool, RedisError> {
    let encrypted = addresses.iter().filter(|address| address.is_secure()).count();
    if encrypted != 0 && encrypted != addresses.len() {
        return Err(RedisError::settings(
            "some of the URLs are encrypted and some are not; write `rediss://` in all of them, or \
             for Sentinels say `server_tls`",
        ));
    }
    Ok(encrypted != 0)
}

/// Never the user or the password.
impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut builder = f.debug_struct("RedisBuilder");
        builder.field("config", &self.config).field("require_tls", &self.require_tls);
        builder.finish_non_exhaustive()
    }
}
