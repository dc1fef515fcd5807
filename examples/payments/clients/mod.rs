//! Customers that replay the log against the service, many at once.
//!
//! They are what real ones are: some click several times, some give up waiting
//! and try again. Each sends its order's key with every try and goes on until
//! the answer is final. They write down what they were told: that is the book
//! of accepted orders, kept outside the service.

mod figures;
mod schedule;
mod submission;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinSet;

pub(crate) use self::figures::{ClientFigures, Replayed};
use self::{
    figures::Placed,
    submission::{Submission, Tally},
};
use crate::{
    Result, api::SubmitOrder, http::Http, orders::Order, progress::Progress, time::Stopwatch,
};

/// Replays `orders` with `clients` customers at a time.
pub(crate) async fn replay(
    url: &str,
    orders: &Arc<Vec<Order>>,
    clients: usize,
    seed: u64,
    progress: &Arc<Progress>,
) -> Result<Replayed> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut crowd = JoinSet::new();
    for _ in 0..clients.max(1) {
        let customer = Customer { http: Http::new(), url: url.to_owned(), seed };
        let (orders, next, progress) = (orders.clone(), next.clone(), progress.clone());
        crowd.spawn(async move {
            let mut placed = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(order) = orders.get(index) else {
                    return placed;
                };
                placed.push(customer.place(index, order).await);
                progress.step();
            }
        });
    }
    let mut placed = Vec::with_capacity(orders.len());
    while let Some(part) = crowd.join_next().await {
        placed.extend(part?);
    }
    Ok(figures::summary(placed))
}

#[derive(Debug)]
struct Customer {
    http: Http,
    url: String,
    seed: u64,
}

impl Customer {
    async fn place(&self, index: usize, order: &Order) -> Placed {
        let plan = schedule::plan(self.seed, index, &order.id);
        let watch = Stopwatch::start();
        let mut copies = JoinSet::new();
        for first_patience in plan.copies {
            let key = format!("click-{}-{}", self.seed, order.id);
            let submission = Submission::new(&self.http, &self.url, key, SubmitOrder::from(order));
            copies.spawn(submission.run(first_patience));
        }
        let mut placed = Placed {
            order_id: order.id.clone(),
            cents: order.cents,
            answers: Vec::new(),
            tally: Tally::default(),
            took_ms: 0,
        };
        while let Some(copy) = copies.join_next().await {
            let (answer, tally) = copy.unwrap_or_default();
            placed.answers.push(answer);
            placed.tally.timed_out += tally.timed_out;
            placed.tally.tried_again += tally.tried_again;
            placed.tally.looked_again += tally.looked_again;
        }
        placed.took_ms = watch.millis();
        placed
    }
}
