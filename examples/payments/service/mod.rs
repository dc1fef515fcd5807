//! The order service, protected by mainstay.
//!
//! | look at | to see |
//! |---|---|
//! | `shop.rs` | the whole of the business: take once, lock, check, charge, settle, ask |
//! | `bank.rs`, `line.rs` | calling a partner: limit, breaker, what a missing answer means |
//! | `guards.rs` | every limit, threshold and budget |
//! | `orders.rs`, `stage.rs`, `sql/` | the order's row, changed only from the version that was read |
//! | `follow_up.rs` | a delayed message that ends what was left open |
//! | `ledger.rs` | a consumer whose rows commit with its inbox |
//! | `web.rs`, `error.rs` | routes, a layer before them, errors as answers |
//! | `carrier.rs`, `time_line.rs`, `figures.rs` | what this run needs: a relay to be killed, and figures |

mod bank;
mod carrier;
mod error;
mod figures;
mod follow_up;
mod guards;
mod ledger;
mod line;
mod orders;
mod shop;
mod stage;
#[cfg(test)]
mod tests;
mod time_line;
mod web;

use std::{path::Path, sync::Arc, time::Duration};

use mainstay::{
    Clock,
    breaker::Breaker,
    limiter::Limiter,
    outbox::{Bus, Filter, Inbox, Outbox, Relay, RelayHandle, sqlite},
};
use sqlx::{
    SqlitePool,
    sqlite::{SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{net::TcpListener, task::JoinHandle};

use self::{
    bank::Bank, carrier::Carrier, follow_up::FollowUp, guards::ChannelTally, ledger::Ledger,
    shop::Shop, time_line::TimeLine,
};
use crate::{
    Result,
    books::Book,
    seam::{OrderService, ServiceConfig, ServiceFigures},
    spawn::spawn,
};

/// How often a service that settles looks whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// Starts the service on a free loopback port.
pub(crate) async fn start(config: ServiceConfig) -> Result<impl OrderService> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let pool = open(&config.dir.join("shop.sqlite")).await?;
    let outbox = Outbox::builder(pool.clone()).config(guards::outbox()).build();
    outbox.migrate().await?;

    let tally = Arc::new(ChannelTally::default());
    let limiter = guards::limiter(&config.bank, tally.clone());
    let breaker = guards::breaker(&config.bank);
    let time_line = TimeLine::of(&breaker, config.watch);
    let callback_url = format!("{url}/callbacks/bank");
    let bank = Bank::new(&config.bank, callback_url, limiter.clone(), breaker.clone());
    let shop = Shop { pool, outbox, locks: guards::locks(), bank };

    let ledger = Ledger::new(config.mishaps.clone());
    let bus = Bus::new().consumer(Inbox::new(&shop.outbox, "ledger"), ledger.router());
    let carrier = Carrier::start(&shop.outbox, bus, &config.mishaps);
    let follow_ups = Relay::new(&shop.outbox, FollowUp(shop.clone())).lane(follow_up::LANE).start();

    let router = web::router(shop.clone(), &limiter);
    let serving = spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok(RunningService {
        url,
        shop,
        limiter,
        tally,
        breaker,
        time_line,
        ledger,
        carrier,
        follow_ups,
        serving,
    })
}

/// The protected service while it runs.
#[derive(Debug)]
struct RunningService {
    url: String,
    shop: Shop,
    limiter: Limiter,
    tally: Arc<ChannelTally>,
    breaker: Breaker,
    time_line: TimeLine,
    ledger: Ledger,
    carrier: Carrier,
    follow_ups: RelayHandle,
    serving: JoinHandle<()>,
}

async fn open(path: &Path) -> Result<SqlitePool> {
    // The run's folder is thrown away afterwards: a power cut may take the last commits.
    let options = sqlite::connect_options(path).synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
    sqlx::raw_sql(include_str!("sql/schema.sql")).execute(&pool).await?;
    Ok(pool)
}

impl RunningService {
    /// Waits until every message has arrived, with the help of an operator for those that died.
    async fn settled(&self) -> Result<()> {
        loop {
            let health = self.shop.outbox.health().await?;
            if figures::left(&health) == 0 {
                return Ok(());
            }
            if health.dead > 0 {
                self.repair().await?;
            }
            Clock::boot().sleep(LOOK).await;
        }
    }

    /// Fixes the ledger's handler and brings back what it could not digest.
    async fn repair(&self) -> Result<()> {
        self.ledger.fix();
        let dead = self.shop.outbox.dead();
        let redrive = dead.redrive_where(Filter::new().topic(ledger::TOPIC));
        redrive.by("operator").reason("the handler was fixed").run().await?;
        Ok(())
    }
}

impl OrderService for RunningService {
    const NAME: &'static str = "protected";

    fn url(&self) -> &str {
        &self.url
    }

    async fn settle(&self, limit: Duration) -> Result<()> {
        // If it does not settle in time, the figures say what is left.
        Clock::boot().timeout(limit, self.settled()).await.unwrap_or(Ok(()))
    }

    async fn figures(&self) -> Result<ServiceFigures> {
        figures::collect(self).await
    }

    async fn ledger_book(&self) -> Result<Book> {
        ledger::book(&self.shop.pool).await
    }

    async fn stop(self) -> Result<()> {
        self.serving.abort();
        self.follow_ups.stop().await;
        self.carrier.stop().await?;
        self.limiter.shutdown();
        self.shop.locks.shutdown(Duration::from_secs(1)).await;
        self.shop.pool.close().await;
        Ok(())
    }
}
