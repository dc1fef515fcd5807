//! How does a form that is submitted twice make one order?
//!
//! ```text
//! cargo run --example idempotent_submit
//! cargo run --example idempotent_submit --features redis -- --redis redis://127.0.0.1/
//! ```
//!
//! `GET /order` shows a form with a token in it, `POST /order` consumes the token. The first click draws an order
//! number, every other click on the same form is answered with the same one.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Form, Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode, header::CONTENT_TYPE},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use common::Result;
use http_body_util::BodyExt;
use mainstay::lock::token::{Token, TokenError, Tokens};
use serde::Deserialize;
use tokio::task::JoinSet;
use tower::ServiceExt;

const FORM: &str = "order-form";
const VALID_FOR: Duration = Duration::from_secs(1800);
const CLICKS: usize = 16;

struct Shop {
    tokens: Tokens,
    orders: Mutex<BTreeMap<i64, String>>,
}

#[derive(Deserialize)]
struct Order {
    token: Token,
    item: String,
}

async fn form(State(shop): State<Arc<Shop>>) -> Result<Html<String>, Problem> {
    let token = shop.tokens.issue(FORM, VALID_FOR).await?;
    let token = token.as_str();
    Ok(Html(format!(
        r#"<form method="post"><input name="item"><input type="hidden" name="token" value="{token}"></form>"#
    )))
}

async fn submit(
    State(shop): State<Arc<Shop>>,
    Form(order): Form<Order>,
) -> Result<String, Problem> {
    let number = shop.tokens.consume(FORM, &order.token).await?.number();
    // First or replay: the first one may have died before it came here. The number is the key, so the
    // order is there once.
    let mut orders = shop.orders.lock().unwrap_or_else(PoisonError::into_inner);
    orders.entry(number).or_insert(order.item);
    Ok(number.to_string())
}

struct Problem(TokenError);

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = if self.0.is_invalid() {
            StatusCode::GONE
        } else {
            // Also where nobody knows whether it was used: sent again, the form has the same number.
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, self.0.to_string()).into_response()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    run(common::redis().as_deref()).await
}

pub(crate) async fn run(redis: Option<&str>) -> Result<()> {
    let shop = Arc::new(Shop { tokens: tokens(redis)?, orders: Mutex::default() });
    let app = Router::new().route("/order", get(form).post(submit)).with_state(shop.clone());
    for item in ["tea", "a pot"] {
        let token = open_form(&app).await?;
        let mut clicks = JoinSet::new();
        for _ in 0..CLICKS {
            clicks
                .spawn(click(app.clone(), format!("item={item}&token={token}").replace(' ', "+")));
        }
        let mut answers = BTreeSet::new();
        for answer in clicks.join_all().await {
            answers.insert(answer?);
        }
        let [(StatusCode::OK, number)] = &answers.iter().collect::<Vec<_>>()[..] else {
            return Err(format!("all clicks were to get one number: {answers:?}").into());
        };
        println!("{CLICKS} clicks for {item}: order {number}");
    }
    let foreign = "item=tea&token=00112233445566778899aabbccddeeff".to_owned();
    let refused =
        [click(app.clone(), foreign).await?.0, click(app, "item=tea&token=1".into()).await?.0];
    if refused != [StatusCode::GONE, StatusCode::UNPROCESSABLE_ENTITY] {
        return Err(format!("tokens that were never issued were to be refused: {refused:?}").into());
    }
    let orders = shop.orders.lock().unwrap_or_else(PoisonError::into_inner);
    if orders.values().ne(["tea", "a pot"]) {
        return Err(format!("two orders were to be there, in order: {orders:?}").into());
    }
    Ok(())
}

/// What a browser does.
async fn open_form(app: &Router) -> Result<String> {
    let page = app.clone().oneshot(Request::get("/order").body(Body::empty())?).await?;
    let page = String::from_utf8(page.into_body().collect().await?.to_bytes().into())?;
    let token =
        page.split(r#"name="token" value=""#).nth(1).and_then(|rest| rest.split('"').next());
    Ok(token.ok_or("a form without a token")?.to_owned())
}

async fn click(app: Router, form: String) -> Result<(StatusCode, String)> {
    let request = Request::post("/order").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = app.oneshot(request.body(Body::from(form))?).await?;
    let status = answer.status();
    let text = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

fn tokens(redis: Option<&str>) -> Result<Tokens> {
    match redis {
        None => Ok(Tokens::in_process()),
        #[cfg(feature = "redis")]
        Some(url) => Ok(Tokens::redis(mainstay::lock::Redis::open(url)?)),
        #[cfg(not(feature = "redis"))]
        Some(_) => Err("add `--features redis` for tokens on a Redis".into()),
    }
}
