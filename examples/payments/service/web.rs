//! The service's HTTP side.

use std::convert::Infallible;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, post},
};
use mainstay::limiter::{LimitError, LimitLayer, Limiter};

use super::{
    error::{PayError, problem},
    shop::Shop,
};
use crate::api::{BankNotice, IDEMPOTENCY_KEY, OrderAnswer, SubmitOrder};

/// All routes; `limiter` keeps more submissions out than the service can work on.
pub(super) fn router(shop: Shop, limiter: &Limiter) -> Router {
    let admission = LimitLayer::new(limiter.clone(), |_: &Request| "shop:orders")
        .on_reject(|full| Ok::<_, Infallible>(too_many(&full)));
    Router::new()
        .route("/orders", post(submit).layer(admission))
        .route("/orders/{id}", get(look))
        .route("/callbacks/bank", post(take_notice))
        .with_state(shop)
}

fn too_many(full: &LimitError) -> Response {
    problem(StatusCode::TOO_MANY_REQUESTS, full, full.retry_after())
}

async fn submit(
    State(shop): State<Shop>,
    headers: HeaderMap,
    Json(order): Json<SubmitOrder>,
) -> Result<Json<OrderAnswer>, PayError> {
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
    shop.submit(key.ok_or(PayError::NoKey)?, &order).await.map(Json)
}

async fn look(
    State(shop): State<Shop>,
    Path(id): Path<String>,
) -> Result<Json<OrderAnswer>, PayError> {
    Ok(Json(shop.find(&id).await?.answer()))
}

async fn take_notice(
    State(shop): State<Shop>,
    Json(notice): Json<BankNotice>,
) -> Result<(), PayError> {
    shop.take_notice(&notice).await
}
