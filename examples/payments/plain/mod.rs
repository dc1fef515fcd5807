//! The order service as it is often written: nothing in it is protected.
//!
//! Each step looks reasonable. It looks an order up before it charges, repeats a
//! charge that timed out, answers notices, and tells accounting after the commit.
//! The mistakes are between the steps: two clicks both find nothing, a charge that
//! timed out was booked, an event that could not be sent is only logged.

mod ledger;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{net::TcpListener, task::JoinHandle};

use self::ledger::Accounting;
use crate::{
    Result,
    api::{BankNotice, OrderAnswer, Problem, Status, SubmitOrder},
    books::Book,
    http::{Http, answer_within},
    seam::{BankTerms, OrderService, ServiceConfig, ServiceFigures},
    spawn::spawn,
    time,
};

/// A charge is tried this often.
const TRIES: u32 = 5;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts the service on a free loopback port.
pub(crate) async fn start(config: ServiceConfig) -> Result<RunningService> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let pool = open(&config.dir.join("plain.sqlite")).await?;
    let shop = Arc::new(Shop {
        accounting: Accounting::start(pool.clone(), config.mishaps),
        pool,
        http: Http::new(),
        callback_url: format!("{url}/callbacks/bank"),
        bank: config.bank,
        suppressed: AtomicU64::new(0),
        blind_retries: AtomicU64::new(0),
    });
    let router = Router::new()
        .route("/orders", post(submit))
        .route("/orders/{id}", get(look))
        .route("/callbacks/bank", post(notice))
        .with_state(shop.clone());
    let serving = spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok(RunningService { url, shop, serving })
}

/// The plain service while it runs.
#[derive(Debug)]
pub(crate) struct RunningService {
    url: String,
    shop: Arc<Shop>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shop {
    pool: SqlitePool,
    http: Http,
    bank: BankTerms,
    callback_url: String,
    accounting: Accounting,
    suppressed: AtomicU64,
    blind_retries: AtomicU64,
}

async fn submit(State(shop): State<Arc<Shop>>, Json(order): Json<SubmitOrder>) -> Response {
    match shop.pay(&order).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn look(State(shop): State<Arc<Shop>>, UrlPath(id): UrlPath<String>) -> Response {
    match shop.find(&id).await {
        Ok(Some(answer)) => Json(answer).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, format!("order `{id}` is not known")),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn notice(State(shop): State<Arc<Shop>>, Json(notice): Json<BankNotice>) -> Response {
    match shop.note(&notice).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn problem(status: StatusCode, error: String) -> Response {
    let problem = Problem { error, retry_after_ms: None };
    (status, Json(problem)).into_response()
}

impl Shop {
    async fn pay(&self, order: &SubmitOrder) -> Result<OrderAnswer> {
        if order.cents == 0 {
            return Ok(refused(order));
        }
        if let Some(answer) = self.find(&order.order_id).await? {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return Ok(answer);
        }
        let charge_id = self.charge(order).await?;
        self.save(&order.order_id, order.cents, &charge_id).await?;
        Ok(paid(&order.order_id, order.cents, Some(charge_id)))
    }

    /// The bank reports a charge: an order that is not known as paid is paid now.
    async fn note(&self, notice: &BankNotice) -> Result<()> {
        if self.find(&notice.reference).await?.is_some() {
            return Ok(());
        }
        self.save(&notice.reference, notice.cents, &notice.charge_id).await
    }

    async fn charge(&self, order: &SubmitOrder) -> Result<String> {
        let request = Charge {
            reference: &order.order_id,
            customer: &order.customer,
            cents: order.cents,
            callback_url: &self.callback_url,
        };
        let url = format!("{}/charges", self.bank.url);
        let mut failure = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.blind_retries.fetch_add(1, Ordering::Relaxed);
                time::sleep(PAUSE * attempt).await;
            }
            let call = self.http.post(&url, &[], &request);
            match answer_within(self.bank.answers_within, call).await {
                Ok(answer) if answer.status == 200 => {
                    return Ok(answer.json::<Receipt>()?.charge_id);
                }
                Ok(answer) => failure = format!("the bank answered {}", answer.status),
                Err(error) => failure = error.to_string(),
            }
        }
        Err(failure.into())
    }

    async fn find(&self, order_id: &str) -> Result<Option<OrderAnswer>> {
        let row: Option<(String, i64, Option<String>)> =
            sqlx::query_as(include_str!("find_order.sql"))
                .bind(order_id)
                .fetch_optional(&self.pool)
                .await?;
        let answer = |(_, cents, charge_id): (String, i64, Option<String>)| {
            Ok::<_, std::num::TryFromIntError>(paid(order_id, u64::try_from(cents)?, charge_id))
        };
        Ok(row.map(answer).transpose()?)
    }

    async fn save(&self, order_id: &str, cents: u64, charge_id: &str) -> Result<()> {
        sqlx::query(include_str!("save_order.sql"))
            .bind(order_id)
            .bind(i64::try_from(cents)?)
            .bind(charge_id)
            .execute(&self.pool)
            .await?;
        // The order is safe in the database, so a failure here only goes to the log.
        self.accounting.tell(order_id, cents);
        Ok(())
    }
}

fn paid(order_id: &str, cents: u64, charge_id: Option<String>) -> OrderAnswer {
    OrderAnswer {
        order_id: order_id.to_owned(),
        status: Status::Paid,
        cents,
        charge_id,
        reason: None,
    }
}

fn refused(order: &SubmitOrder) -> OrderAnswer {
    OrderAnswer {
        order_id: order.order_id.clone(),
        status: Status::Refused,
        cents: order.cents,
        charge_id: None,
        reason: Some("amount is zero".to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct Charge<'a> {
    reference: &'a str,
    customer: &'a str,
    cents: u64,
    callback_url: &'a str,
}

#[derive(Debug, Deserialize)]
struct Receipt {
    charge_id: String,
}

async fn open(path: &Path) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
    sqlx::raw_sql(include_str!("schema.sql")).execute(&pool).await?;
    Ok(pool)
}

impl OrderService for RunningService {
    const NAME: &'static str = "plain";

    fn url(&self) -> &str {
        &self.url
    }

    async fn settle(&self, limit: Duration) -> Result<()> {
        time::within(limit, self.shop.accounting.caught_up()).await;
        Ok(())
    }

    async fn figures(&self) -> Result<ServiceFigures> {
        Ok(ServiceFigures {
            duplicates_suppressed: self.shop.suppressed.load(Ordering::Relaxed),
            blind_retries: self.shop.blind_retries.load(Ordering::Relaxed),
            events_lost: self.shop.accounting.lost(),
            carrier_restarts: self.shop.accounting.restarts(),
            ..ServiceFigures::default()
        })
    }

    async fn ledger_book(&self) -> Result<Book> {
        self.shop.accounting.book().await
    }

    async fn stop(self) -> Result<()> {
        self.serving.abort();
        self.shop.accounting.stop();
        self.shop.pool.close().await;
        Ok(())
    }
}
