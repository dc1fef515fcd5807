//! The service as its customers and the bank meet it, over HTTP.

mod bank;

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use self::bank::{FakeBank, HELD, LOST, MUTE, SILENT};
use crate::{
    api::{IDEMPOTENCY_KEY, OrderAnswer, Problem, Status, SubmitOrder},
    http::{Answer, Http},
    seam::{BankTerms, Mishaps, OrderService, ServiceConfig, UnknownFigures},
    spawn::spawn,
    time::{Stopwatch, within},
};

/// Longer than any test.
const SETTLE: Duration = Duration::from_secs(60);

const NO_MISHAPS: Mishaps =
    Mishaps { carrier_killed_at_event: u64::MAX, down_for: Duration::ZERO, poison_order: None };

struct World<S> {
    bank: FakeBank,
    service: S,
    http: Http,
    _dir: TempDir,
}

async fn world(mishaps: Mishaps) -> World<impl OrderService> {
    let (bank, dir) = (FakeBank::default(), tempfile::tempdir().unwrap());
    let terms = BankTerms {
        url: bank.open().await,
        limit: 4,
        answers_within: Duration::from_millis(500),
        slot_held_at_most: Duration::from_millis(10),
    };
    let (path, watch) = (dir.path().to_owned(), Stopwatch::start());
    let config = ServiceConfig { dir: path, bank: terms, mishaps, watch };
    World { bank, service: super::start(config).await.unwrap(), http: Http::new(), _dir: dir }
}

impl<S: OrderService> World<S> {
    async fn submit(&self, key: &str, order: &SubmitOrder) -> Answer {
        let url = format!("{}/orders", self.service.url());
        self.http.post(&url, &[(IDEMPOTENCY_KEY, key)], order).await.unwrap()
    }

    /// Clicks until the service has taken the order.
    async fn click(&self, key: &str, order: &SubmitOrder) -> Status {
        loop {
            let answer = self.submit(key, order).await;
            if answer.status != 409 {
                return status(&answer);
            }
        }
    }

    async fn status(&self, order: &SubmitOrder) -> Status {
        let url = format!("{}/orders/{}", self.service.url(), order.order_id);
        self.http.get(&url).await.unwrap().json::<OrderAnswer>().unwrap().status
    }

    /// Waits until nothing is left to be done, then says what the ledger has of `order`.
    async fn posted(&self, order: &SubmitOrder) -> u64 {
        self.service.settle(SETTLE).await.unwrap();
        let book = self.service.ledger_book().await.unwrap();
        book.cents() / order.cents
    }

    async fn unknown(&self) -> UnknownFigures {
        self.service.figures().await.unwrap().unknown.unwrap()
    }
}

fn order(order_id: &str) -> SubmitOrder {
    let (customer, date) = ("00004".to_owned(), "19970101".to_owned());
    SubmitOrder { order_id: order_id.to_owned(), customer, date, cds: 2, cents: 2_933 }
}

fn status(answer: &Answer) -> Status {
    answer.json::<OrderAnswer>().unwrap().status
}

#[tokio::test]
async fn clicks_with_one_key_are_one_charge() {
    let world = world(NO_MISHAPS).await;
    let order = order("order-1");
    tokio::join!(
        world.click("key", &order),
        world.click("key", &order),
        world.click("key", &order),
    );
    assert_eq!(world.posted(&order).await, 1);
    assert_eq!(world.click("key", &order).await, Status::Paid);
    assert_eq!(world.bank.charges(), ["order-1.1"]);
    assert!(world.service.figures().await.unwrap().duplicates_suppressed >= 3);
}

#[tokio::test]
async fn a_key_is_for_one_order_and_an_order_for_one_key() {
    let world = world(NO_MISHAPS).await;
    let first = order("order-1");
    assert_eq!(world.submit("key", &first).await.status, 200);
    let dearer = SubmitOrder { cents: 1, ..first.clone() };
    for (key, order) in [("key", &dearer), ("key", &order("order-2")), ("other", &first)] {
        let answer = world.submit(key, order).await;
        assert_eq!(answer.status, 422);
        assert!(!answer.json::<Problem>().unwrap().error.is_empty());
    }
    assert_eq!(world.bank.charges(), ["order-1.1"]);
}

#[tokio::test]
async fn an_order_worth_nothing_is_refused_for_good() {
    let world = world(NO_MISHAPS).await;
    let nothing = SubmitOrder { cents: 0, ..order("order-1") };
    for _ in 0..2 {
        assert_eq!(status(&world.submit("key", &nothing).await), Status::Refused);
    }
    assert!(world.bank.charges().is_empty());
}

#[tokio::test]
async fn a_busy_customer_is_told_when_to_come_back() {
    let world = world(NO_MISHAPS).await;
    let (held, other) = (order(HELD), order("order-1"));
    let paying = world.submit("key", &held);
    let colliding = async {
        world.bank.booked.notified().await;
        let busy = world.submit("other", &other).await;
        world.bank.answer.notify_one();
        busy
    };
    let (_, busy) = tokio::join!(paying, colliding);
    // The bank's time may have run out first on a slow machine: then the customer is not busy any more.
    if busy.status != 200 {
        assert_eq!(busy.status, 409);
        assert!(busy.json::<Problem>().unwrap().retry_after_ms.is_some());
    }
    assert_eq!(world.posted(&held).await, 2);
}

#[tokio::test]
async fn a_silent_charge_is_asked_about_and_not_repeated() {
    let world = world(NO_MISHAPS).await;
    let silent = order(SILENT);
    assert_eq!(status(&world.submit("key", &silent).await), Status::Pending);
    assert_eq!(world.posted(&silent).await, 1);
    assert_eq!(world.status(&silent).await, Status::Paid);
    assert_eq!(world.bank.charges(), ["silent.1"]);
    let unknown = world.unknown().await;
    assert_eq!((unknown.found_by_inquiry, unknown.unresolved), (1, 0));
    let limiter = world.service.figures().await.unwrap().limiter.unwrap();
    assert!(limiter.held_for_unknown >= 1);
}

#[tokio::test]
async fn a_charge_that_got_lost_is_made_again_under_another_name() {
    let world = world(NO_MISHAPS).await;
    let lost = order(LOST);
    assert_eq!(status(&world.submit("key", &lost).await), Status::Pending);
    assert_eq!(world.posted(&lost).await, 1);
    assert_eq!(world.bank.charges(), ["lost.2"]);
    let unknown = world.unknown().await;
    assert_eq!((unknown.charged_again, unknown.unresolved), (1, 0));
}

#[tokio::test]
async fn a_notice_settles_what_is_unknown_once() {
    let world = world(NO_MISHAPS).await;
    let mute = order(MUTE);
    assert_eq!(status(&world.submit("key", &mute).await), Status::Pending);
    let url = format!("{}/callbacks/bank", world.service.url());
    let notice =
        json!({ "notice_id": "n", "reference": MUTE, "charge_id": "c", "cents": mute.cents });
    for _ in 0..2 {
        assert_eq!(world.http.post(&url, &[], &notice).await.unwrap().status, 200);
    }
    assert_eq!(world.status(&mute).await, Status::Paid);
    assert_eq!(world.posted(&mute).await, 1);
    assert_eq!(world.unknown().await.told_by_notice, 1);
}

#[tokio::test]
async fn a_customer_who_hangs_up_pays_once() {
    let world = world(NO_MISHAPS).await;
    let held = order(HELD);
    let url = format!("{}/orders", world.service.url());
    let (http, body) = (world.http.clone(), held.clone());
    let request = spawn(async move { http.post(&url, &[(IDEMPOTENCY_KEY, "key")], &body).await });
    world.bank.booked.notified().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    world.bank.answer.notify_one();
    assert_eq!(world.posted(&held).await, 1);
    assert_eq!(world.click("key", &held).await, Status::Paid);
    assert_eq!(world.bank.charges(), ["held.1"]);
}

#[tokio::test]
async fn killed_carriers_and_poison_lose_and_double_nothing() {
    let mishaps = Mishaps {
        carrier_killed_at_event: 2,
        down_for: Duration::ZERO,
        poison_order: Some("order-2".to_owned()),
    };
    let world = world(mishaps).await;
    for n in 1..=4 {
        world.click(&format!("key-{n}"), &order(&format!("order-{n}"))).await;
    }
    let posted = within(SETTLE, world.posted(&order("order-1"))).await;
    assert_eq!(posted, Some(4));
    let figures = world.service.figures().await.unwrap();
    let (outbox, inbox) = (figures.outbox.unwrap(), figures.inbox.unwrap());
    assert_eq!((outbox.dead, outbox.redriven, outbox.left), (1, 1, 0));
    assert_eq!((inbox.handled, figures.carrier_restarts), (4, 1));
    assert!(inbox.duplicates_absorbed >= 1);
    world.service.stop().await.unwrap();
}
