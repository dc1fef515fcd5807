//! What the customers saw, counted, and what they wrote down.

use std::collections::BTreeMap;

use serde::Serialize;

use super::submission::Tally;
use crate::{
    api::{OrderAnswer, Status},
    books::{Book, Entry},
};

/// What the customers saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ClientFigures {
    /// Orders submitted.
    pub(crate) orders: u64,
    /// Orders that were sent several times at once.
    pub(crate) orders_duplicated: u64,
    /// Submissions beyond the first of an order.
    pub(crate) extra_submissions: u64,
    /// Customers that gave up waiting and sent the same again.
    pub(crate) timed_out: u64,
    /// Requests sent again for any other reason.
    pub(crate) tried_again: u64,
    /// Looks at a pending order.
    pub(crate) looked_again: u64,
    /// Orders told to be paid.
    pub(crate) paid: u64,
    /// Orders told to be refused, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Orders worth nothing that were told to be paid, and others told to be refused.
    pub(crate) misjudged: u64,
    /// Orders without a final answer.
    pub(crate) unanswered: Vec<String>,
    /// Orders whose copies were answered differently.
    pub(crate) contradicted: Vec<String>,
    /// Half of the orders had their final answer by then.
    pub(crate) p50_ms: u64,
    /// 99 of 100 orders had.
    pub(crate) p99_ms: u64,
}

/// What the customers wrote down.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Counters.
    pub(crate) figures: ClientFigures,
    /// Orders they were told are paid.
    pub(crate) accepted: Book,
}

/// How one order went.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) order_id: String,
    pub(super) cents: u64,
    pub(super) answers: Vec<Option<OrderAnswer>>,
    pub(super) tally: Tally,
    pub(super) took_ms: u64,
}

/// Counts what happened to all orders.
pub(super) fn summary(mut placed: Vec<Placed>) -> Replayed {
    let mut figures = ClientFigures { orders: placed.len() as u64, ..ClientFigures::default() };
    let mut accepted = Vec::new();
    placed.sort_by(|a, b| a.order_id.cmp(&b.order_id));
    for order in &placed {
        figures.count(order, &mut accepted);
    }
    let mut times: Vec<u64> = placed.iter().map(|order| order.took_ms).collect();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100);
    figures.p50_ms = at(50).copied().unwrap_or(0);
    figures.p99_ms = at(99).copied().unwrap_or(0);
    Replayed { figures, accepted: Book::new("orders accepted", accepted) }
}

impl ClientFigures {
    fn count(&mut self, order: &Placed, accepted: &mut Vec<Entry>) {
        let copies = order.answers.len() as u64;
        self.orders_duplicated += u64::from(copies > 1);
        self.extra_submissions += copies.saturating_sub(1);
        self.timed_out += order.tally.timed_out;
        self.tried_again += order.tally.tried_again;
        self.looked_again += order.tally.looked_again;
        let mut answers = order.answers.iter().flatten();
        let Some(first) = answers.next() else {
            self.unanswered.push(order.order_id.clone());
            return;
        };
        if answers.any(|other| (other.status, other.cents) != (first.status, first.cents)) {
            self.contradicted.push(order.order_id.clone());
        }
        let paid = first.status == Status::Paid;
        self.misjudged += u64::from(paid == (order.cents == 0));
        if paid {
            self.paid += 1;
            accepted.push(Entry { order_id: order.order_id.clone(), cents: first.cents });
        } else {
            let reason = first.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
            *self.refused.entry(reason).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: Status, cents: u64) -> Option<OrderAnswer> {
        Some(OrderAnswer {
            order_id: "order-1".to_owned(),
            status,
            cents,
            charge_id: None,
            reason: None,
        })
    }

    fn placed(cents: u64, answers: Vec<Option<OrderAnswer>>) -> Placed {
        Placed {
            order_id: "order-1".to_owned(),
            cents,
            answers,
            tally: Tally::default(),
            took_ms: 1,
        }
    }

    #[test]
    fn customers_write_down_what_they_were_told() {
        let paid = placed(5, vec![answer(Status::Paid, 5), answer(Status::Paid, 5)]);
        let replayed = summary(vec![paid]);
        assert_eq!(replayed.accepted.cents(), 5);
        assert_eq!(replayed.figures.extra_submissions, 1);
        assert_eq!(replayed.figures.misjudged, 0);
        assert_eq!(replayed.figures.contradicted, Vec::<String>::new());
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        let refused = placed(5, vec![answer(Status::Refused, 5)]);
        assert_eq!(summary(vec![refused]).figures.misjudged, 1);
        let nothing_paid = placed(0, vec![answer(Status::Paid, 0)]);
        assert_eq!(summary(vec![nothing_paid]).figures.misjudged, 1);
        let two = placed(5, vec![answer(Status::Paid, 5), answer(Status::Refused, 5)]);
        assert_eq!(summary(vec![two]).figures.contradicted, ["order-1"]);
        assert_eq!(summary(vec![placed(5, vec![None])]).figures.unanswered, ["order-1"]);
    }
}
