//! A small JSON client for the customers of the service and for the service itself.

use std::{fmt, time::Duration};

use axum::http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Result, time};

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Http {
    /// Starts with no connection open.
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Sends `body` as JSON, with the headers given, and waits for the whole answer.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, CallError> {
        let bytes = serde_json::to_vec(body).map_err(CallError::not_sent)?;
        self.send(Method::POST, url, headers, bytes).await
    }

    /// Fetches `url`.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer, CallError> {
        self.send(Method::GET, url, &[], Vec::new()).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, CallError> {
        let uri: Uri = url.parse().map_err(CallError::not_sent)?;
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(CallError::not_sent)?;
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                CallError::not_sent(error)
            } else {
                CallError::no_answer(error)
            }
        })?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map_err(CallError::no_answer)?.to_bytes();
        Ok(Answer { status, body })
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// Gives a call at most `limit`; being late is the same as no answer.
pub(crate) async fn answer_within(
    limit: Duration,
    call: impl Future<Output = Result<Answer, CallError>>,
) -> Result<Answer, CallError> {
    match time::within(limit, call).await {
        Some(result) => result,
        None => Err(CallError::NoAnswer(format!("no answer within {limit:?}"))),
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// HTTP status code.
    pub(crate) status: u16,
    /// Whole body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// Reads the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The request never left: nothing happened at the other side.
    NotSent(String),
    /// The request left and no answer came: what happened is unknown.
    NoAnswer(String),
}

impl CallError {
    fn not_sent(error: impl fmt::Display) -> Self {
        Self::NotSent(error.to_string())
    }

    fn no_answer(error: impl fmt::Display) -> Self {
        Self::NoAnswer(error.to_string())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(why) => write!(f, "request not sent: {why}"),
            Self::NoAnswer(why) => write!(f, "outcome unknown: {why}"),
        }
    }
}

impl std::error::Error for CallError {}
