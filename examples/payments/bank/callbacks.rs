//! Sends notices of charges to the service.

use std::time::Duration;

use axum::http::{Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Serialize;

use crate::time;

/// A notice is tried this often.
const TRIES: u32 = 4;

const PATIENCE: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_millis(150);

/// Says that a charge was booked.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    pub(super) notice_id: String,
    pub(super) reference: String,
    pub(super) charge_id: String,
    pub(super) cents: u64,
}

/// Sends messages over kept connections.
#[derive(Debug)]
pub(super) struct Callbacks {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Callbacks {
    pub(super) fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends until the other side says 2xx; false when it never did.
    pub(super) async fn send(&self, url: &str, message: &Message) -> bool {
        for _ in 0..TRIES {
            if time::within(PATIENCE, self.post(url, message)).await == Some(true) {
                return true;
            }
            time::sleep(PAUSE).await;
        }
        false
    }

    async fn post(&self, url: &str, message: &Message) -> bool {
        let Ok(body) = serde_json::to_vec(message) else {
            return false;
        };
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body));
        let Ok(request) = request else {
            return false;
        };
        let response = self.client.request(request).await;
        response.is_ok_and(|response| response.status().is_success())
    }
}
