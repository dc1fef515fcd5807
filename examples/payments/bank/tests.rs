//! The bank as its callers meet it, over HTTP.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::post};
use mainstay_testkit::eventually;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use super::{BankConfig, Charged, Found, Stats, faults, faults::Notice, ledger, server};
use crate::{
    http::{Answer, CallError, Http},
    spawn::spawn,
};

const SEED: u64 = 7;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3_600);

struct World {
    http: Http,
    bank: String,
    callback_url: String,
    notices: UnboundedReceiver<Value>,
    dir: TempDir,
}

impl World {
    /// A bank, and a service that takes its notices.
    async fn with(change: impl FnOnce(&mut BankConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = BankConfig {
            port: 0,
            seed: SEED,
            limit: 4,
            outage_after: u64::MAX,
            outage: Duration::ZERO,
            silence: Duration::from_millis(1),
            ledger: dir.path().join("ledger"),
        };
        change(&mut config);
        let (port, _) = server::start(config).await.unwrap();
        let (sender, notices) = unbounded_channel();
        Self {
            http: Http::new(),
            bank: format!("http://127.0.0.1:{port}"),
            callback_url: sink(sender).await,
            notices,
            dir,
        }
    }

    async fn charge(&self, reference: &str, attempt: &str) -> Result<Answer, CallError> {
        let body = json!({
            "reference": reference,
            "attempt": attempt,
            "customer": "00004",
            "cents": 250,
            "callback_url": self.callback_url,
        });
        let url = format!("{}/charges", self.bank);
        self.http.post(&url, &[], &body).await
    }

    async fn ask(&self, reference: &str, attempt: &str) -> Found {
        let url = format!("{}/charges/{reference}?attempt={attempt}", self.bank);
        self.http.get(&url).await.unwrap().json().unwrap()
    }

    async fn stats(&self) -> Stats {
        let answer = self.http.get(&format!("{}/stats", self.bank)).await;
        answer.unwrap().json().unwrap()
    }

    /// The first stats that are as wanted; fails if they never are.
    async fn stats_once(&self, reached: impl Fn(&Stats) -> bool) -> Stats {
        let reached = &reached;
        let look = || async move {
            let stats = self.stats().await;
            if reached(&stats) { Ok(stats) } else { Err(format!("{stats:?}")) }
        };
        eventually(Duration::from_secs(30), look).await.unwrap()
    }
}

async fn sink(sender: UnboundedSender<Value>) -> String {
    async fn take(State(sender): State<UnboundedSender<Value>>, Json(notice): Json<Value>) {
        let _ = sender.send(notice);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/notices", listener.local_addr().unwrap());
    let router = Router::new().route("/notices", post(take)).with_state(sender);
    spawn(async move { axum::serve(listener, router).await });
    url
}

/// A reference whose first charge is planned as wanted.
fn reference_with(wanted: fn(&faults::Plan) -> bool) -> String {
    let mut names = (0..).map(|n| format!("order-{n}"));
    let planned = |name: &String| wanted(&faults::plan(SEED, name, 0));
    names.find(planned).unwrap()
}

fn plain(plan: &faults::Plan) -> bool {
    !plan.silent && plan.notice == Notice::Once
}

#[tokio::test]
async fn each_charge_books_money_whatever_its_reference() {
    let world = World::with(|_| {}).await;
    let order = reference_with(plain);
    for attempt in ["a", "b", "a"] {
        assert_eq!(world.charge(&order, attempt).await.unwrap().status, 200);
    }
    let stats = world.stats().await;
    assert_eq!((stats.charges, stats.charged_cents), (3, 750));
    assert_eq!((stats.double_charges, stats.double_charged_cents), (2, 500));
    let entries = ledger::read(&world.dir.path().join("ledger")).unwrap();
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|e| e.reference == order && e.cents == 250));
}

#[tokio::test]
async fn charges_above_the_limit_are_refused_and_counted() {
    let world = World::with(|config| config.limit = 0).await;
    let answer = world.charge(&reference_with(plain), "a").await.unwrap();
    assert_eq!(answer.status, 429);
    let stats = world.stats().await;
    assert_eq!((stats.refused_above_limit, stats.peak, stats.charges), (1, 1, 0));
    // The refused one has left: it is not counted as being there still.
    let answer = world.charge(&reference_with(plain), "b").await.unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(world.stats().await.peak, 1);
}

#[tokio::test]
async fn a_silent_charge_is_booked_found_by_asking_and_gives_its_slot_back() {
    let world = World::with(|_| {}).await;
    let order = reference_with(|plan| plan.silent);
    let answer = world.charge(&order, "a").await;
    assert!(matches!(answer, Err(CallError::NoAnswer(_))), "{answer:?}");
    let stats = world.stats().await;
    assert_eq!((stats.silent_after_charge, stats.charges), (1, 1));
    assert_eq!(stats.in_flight, 0);
    let found = Found::Charged(Charged {
        charge_id: "charge-1".to_owned(),
        reference: order.clone(),
        cents: 250,
    });
    assert_eq!(world.ask(&order, "a").await, found);
    assert_eq!(world.charge(&order, "b").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_charge_goes_on_and_keeps_its_slot_when_its_caller_hangs_up() {
    let world = World::with(|config| {
        config.limit = 1;
        config.silence = FOR_EVER;
    });
    let world = world.await;
    let order = reference_with(|plan| plan.silent);
    tokio::select! {
        answer = world.charge(&order, "a") => panic!("answered: {answer:?}"),
        _ = world.stats_once(|stats| stats.in_flight == 1) => {}
    }
    let stats = world.stats_once(|stats| stats.charges == 1).await;
    assert_eq!(stats.in_flight, 1, "silent, but still at work");
    let other = reference_with(plain);
    assert_eq!(world.charge(&other, "a").await.unwrap().status, 429);
}

#[tokio::test]
async fn an_attempt_that_was_reported_as_never_seen_is_refused_when_it_comes() {
    let world = World::with(|_| {}).await;
    let order = reference_with(plain);
    assert_eq!(world.ask(&order, "a").await, Found::Nothing);
    assert_eq!(world.charge(&order, "a").await.unwrap().status, 410);
    assert_eq!(world.stats().await.late_attempts_refused, 1);
    assert_eq!(world.charge(&order, "b").await.unwrap().status, 200);
    assert_eq!(world.stats().await.charges, 1);
}

#[tokio::test]
async fn a_charge_that_is_worked_on_is_neither_booked_nor_absent() {
    let world = World::with(|_| {}).await;
    let slow = |plan: &faults::Plan| plan.latency > Duration::from_millis(100);
    let order = reference_with(slow);
    let asked = async {
        world.stats_once(|stats| stats.peak > 0).await;
        world.ask(&order, "a").await
    };
    let (answer, found) = tokio::join!(world.charge(&order, "a"), asked);
    assert_eq!(answer.unwrap().status, 200);
    // A slow machine may ask only after the booking; never may it hear of nothing.
    assert_ne!(found, Found::Nothing);
}

#[tokio::test]
async fn an_outage_begins_after_a_charge_and_takes_no_questions_either() {
    let world = World::with(|config| {
        config.outage_after = 1;
        config.outage = FOR_EVER;
    });
    let world = world.await;
    let order = reference_with(plain);
    assert_eq!(world.charge(&order, "a").await.unwrap().status, 200);
    assert_eq!(world.charge(&order, "b").await.unwrap().status, 503);
    let url = format!("{}/charges/{order}", world.bank);
    assert_eq!(world.http.get(&url).await.unwrap().status, 503);
    let stats = world.stats().await;
    assert_eq!((stats.turned_away, stats.charges), (2, 1));
    assert_eq!(stats.outages.len(), 1);
}

#[tokio::test]
async fn notices_come_twice_under_one_name_or_ahead_of_the_answer() {
    let mut world = World::with(|_| {}).await;
    let twice = reference_with(|plan| plan.notice == Notice::Twice);
    assert_eq!(world.charge(&twice, "a").await.unwrap().status, 200);
    let first = world.notices.recv().await.unwrap();
    let second = world.notices.recv().await.unwrap();
    assert_eq!(first, second);
    assert_eq!(first["reference"], twice.as_str());
    assert_eq!(first["notice_id"], "notice-of-charge-1");

    let early = reference_with(|plan| plan.notice == Notice::Early);
    assert_eq!(world.charge(&early, "a").await.unwrap().status, 200);
    let notice = world.notices.recv().await.unwrap();
    assert_eq!(notice["reference"], early.as_str());
    let stats = world.stats_once(Stats::is_quiet).await;
    assert_eq!((stats.notices_taken, stats.notices_early), (3, 1));
}
