//! Sentinels: who is the primary, and whether it still is.

mod ask;

use std::{sync::Arc, time::Duration};

use redis::ConnectionAddr;
use tokio::sync::watch;

use self::ask::{Named, ask};
use crate::{
    error::Cause,
    handle::Redis,
    place::Found,
    server::{Name, Primary, Server},
};

/// The Sentinels of one primary.
pub(crate) struct Sentinels {
    name: Name,
    /// What the Sentinels call the primary.
    primary: Arc<str>,
    /// One connection to each.
    asked: Vec<Redis>,
    /// A server such as the primary: the same user, the same encryption.
    like: Server,
    /// Whether most of them must vouch for it.
    majority: bool,
    /// The highest epoch that anybody knew of. It never falls, so an older primary stays refused.
    epoch: watch::Sender<u64>,
}

impl Sentinels {
    pub(crate) fn new(primary: Arc<str>, asked: Vec<Redis>, like: Server, majority: bool) -> Self {
        let names: Vec<_> = asked.iter().map(|redis| redis.name().text().to_string()).collect();
        let name = Name::new(format!("primary `{primary}` of {}", names.join(", ")));
        Self { name, primary, asked, like, majority, epoch: watch::Sender::new(0) }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// The highest epoch that was seen; 0 before anything was.
    pub(crate) fn epoch(&self) -> u64 {
        *self.epoch.borrow()
    }

    /// Notes an epoch that somebody saw. Connections to primaries of a lower one are given up.
    pub(crate) fn saw(&self, epoch: u64) {
        self.epoch.send_if_modified(|highest| {
            let higher = epoch > *highest;
            *highest = epoch.max(*highest);
            higher
        });
    }

    /// The primary that the Sentinels name now.
    pub(crate) async fn find(&self) -> Result<Found, Cause> {
        let named = self.ask().await?;
        Ok(Found { server: self.like.at(&named.host, named.port), epoch: Some(named.epoch) })
    }

    /// Asks every half second, and resolves when `primary` is not the one any more.
    pub(crate) async fn overtaken(&self, primary: &Primary) -> Cause {
        let mut higher = self.epoch.subscribe();
        let ours = primary.epoch.unwrap_or_default();
        let Some(clock) = self.asked.first().map(Redis::clock) else {
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                higher = higher.wait_for(|highest| *highest > ours) => {
                    let highest = higher.map_or(ours, |highest| *highest);
                    return Cause::new(format!("epoch {highest} began, and {} is of {ours}", primary.address));
                }
                () = clock.sleep(LOOK_EVERY) => {}
            }
            match self.ask().await {
                Ok(named) if *named.address() != *primary.address => {
                    return Cause::new(format!("the primary is {} now", named.address()));
                }
                // Nobody says that it is another one. Where most must vouch for it, silence is a no.
                Err(cause) if self.majority => return cause,
                _ => {}
            }
        }
    }

    /// What the Sentinels say, the latest election first.
    async fn ask(&self) -> Result<Named, Cause> {
        let answers = ask(&self.asked, &self.primary).await;
        let (count, of) = (answers.named.len(), self.asked.len());
        let Some(named) = answers.named.into_iter().max_by_key(|named| named.epoch) else {
            return Err(answers.trouble.unwrap_or_else(|| Cause::new("there are no Sentinels")));
        };
        if self.majority && count * 2 <= of {
            return Err(Cause::new(format!("only {count} of {of} Sentinels name a primary")));
        }
        self.saw(named.epoch);
        let highest = self.epoch();
        if named.epoch < highest {
            return Err(Cause::new(format!(
                "the Sentinels know the primary of epoch {} only, and epoch {highest} has begun",
                named.epoch
            )));
        }
        Ok(named)
    }
}

impl Named {
    /// As the driver writes it.
    fn address(&self) -> String {
        ConnectionAddr::Tcp(self.host.clone(), self.port).to_string()
    }
}

/// Soon enough for a primary to be left within one renewal.
const LOOK_EVERY: Duration = Duration::from_millis(500);
