//! The bank's HTTP side.
//!
//! It serves connections by hand, because a bank that is down does not answer
//! politely: it closes the connection in the middle of a request.

use std::{io, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower_service::Service;

use super::{BankConfig, ChargeRequest, Stats, desk::Desk, faults::Refusal};
use crate::{Result, spawn::spawn};

/// Opens the desk on a loopback port and says which.
pub(super) async fn start(config: BankConfig) -> Result<(u16, JoinHandle<()>)> {
    let listener = TcpListener::bind(("127.0.0.1", config.port)).await?;
    let port = listener.local_addr()?.port();
    let router = Router::new()
        .route("/charges", post(charge))
        .route("/charges/{reference}", get(inquire))
        .route("/stats", get(stats))
        .with_state(Desk::open(config)?);
    Ok((port, spawn(accept(listener, router))))
}

async fn accept(listener: TcpListener, router: Router) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            spawn(serve(stream, router.clone()));
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let mut router = router.clone();
        async move {
            let response = router.call(request).await.map_err(io::Error::other)?;
            match response.extensions().get::<HangUp>() {
                Some(HangUp) => Err(io::Error::other("hung up")),
                None => Ok(response),
            }
        }
    });
    // An error here is a caller that hung up, or we who did.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

/// Marks a response that is not sent: the connection is dropped instead.
#[derive(Clone, Copy, Debug)]
struct HangUp;

impl HangUp {
    fn response() -> Response {
        axum::Extension(Self).into_response()
    }
}

async fn charge(State(desk): State<Arc<Desk>>, Json(request): Json<ChargeRequest>) -> Response {
    match desk.charge(request).await {
        Ok(Some(charged)) => Json(charged).into_response(),
        Ok(None) => HangUp::response(),
        Err(refusal) => refusal.into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct Question {
    #[serde(default)]
    attempt: Option<String>,
}

async fn inquire(
    State(desk): State<Arc<Desk>>,
    Path(reference): Path<String>,
    Query(question): Query<Question>,
) -> Response {
    match desk.inquire(&reference, question.attempt.as_deref()) {
        Ok(found) => Json(found).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn stats(State(desk): State<Arc<Desk>>) -> Json<Stats> {
    Json(desk.stats())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::AboveLimit => (StatusCode::TOO_MANY_REQUESTS, "too many charges at once"),
            Self::Down => (StatusCode::SERVICE_UNAVAILABLE, "closed for maintenance"),
            Self::Withdrawn => (StatusCode::GONE, "this attempt was reported as never seen"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "nothing to charge"),
            Self::Dead => return HangUp::response(),
        };
        (status, text).into_response()
    }
}
