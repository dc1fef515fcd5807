//! A bank that does what a test wants, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

use crate::spawn::spawn;

/// Books the charge and never answers.
pub(super) const SILENT: &str = "silent";
/// Never answers and books nothing; a second attempt is booked and answered.
pub(super) const LOST: &str = "lost";
/// Books the charge, answers when told to.
pub(super) const HELD: &str = "held";
/// Books the charge, never answers, and does not know of it when asked.
pub(super) const MUTE: &str = "mute";

/// The bank. A clone is the same bank.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeBank {
    charges: Arc<Mutex<Vec<String>>>,
    /// A held charge was booked.
    pub(super) booked: Arc<Notify>,
    /// Lets a held charge be answered.
    pub(super) answer: Arc<Notify>,
}

impl FakeBank {
    /// Opens, and says where.
    pub(super) async fn open(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/charges", post(charge))
            .route("/charges/{reference}", get(inquire))
            .with_state(self.clone());
        spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// The attempts that were booked.
    pub(super) fn charges(&self) -> Vec<String> {
        self.charges.lock().unwrap().clone()
    }

    fn book(&self, attempt: &str) -> Json<Value> {
        self.charges.lock().unwrap().push(attempt.to_owned());
        Json(json!({ "charge_id": format!("charge-of-{attempt}") }))
    }
}

async fn charge(State(bank): State<FakeBank>, Json(request): Json<Value>) -> Json<Value> {
    let attempt = request["attempt"].as_str().unwrap();
    let is = |kind| attempt.starts_with(kind);
    if is(LOST) && attempt.ends_with(".1") {
        return std::future::pending().await;
    }
    let booked = bank.book(attempt);
    if is(SILENT) || is(MUTE) {
        return std::future::pending().await;
    }
    if is(HELD) {
        bank.booked.notify_one();
        bank.answer.notified().await;
    }
    booked
}

async fn inquire(State(bank): State<FakeBank>, Path(reference): Path<String>) -> Json<Value> {
    if reference.starts_with(MUTE) {
        return Json(json!({ "state": "in_progress" }));
    }
    let charges = bank.charges();
    let found = charges.iter().find(|attempt| attempt.starts_with(&reference));
    Json(match found {
        Some(attempt) => json!({ "state": "charged", "charge_id": format!("charge-of-{attempt}") }),
        None => json!({ "state": "nothing" }),
    })
}
