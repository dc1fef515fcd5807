//! The report as text.

use std::fmt::{self, Formatter};

use crate::{
    books::Difference,
    chart::{self, seconds},
    report::Report,
    seam::BreakerFigures,
};

/// Lines and orders that are listed one by one; the JSON has them all.
const LISTED: usize = 8;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.input(f)?;
        self.clients(f)?;
        self.bank(f)?;
        self.inside(f)?;
        self.events(f)?;
        self.books(f)
    }
}

fn line(f: &mut Formatter<'_>, topic: &str, text: &str) -> fmt::Result {
    writeln!(f, "{topic:<11}{text}")
}

impl Report {
    fn input(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let input = &self.input;
        writeln!(
            f,
            "\n{} orders of {} customers, {} cents, through the {} service (seed {}, {} s)\n",
            input.orders,
            input.customers,
            input.cents,
            self.service_name,
            self.seed,
            seconds(self.run_ms)
        )?;
        for malformed in input.malformed.iter().take(LISTED) {
            line(f, "left out", &malformed.to_string())?;
        }
        more(f, input.malformed.len())
    }

    fn clients(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (clients, service) = (&self.clients, &self.service);
        let refused: u64 = clients.refused.values().sum();
        let text = format!(
            "{} paid, {refused} refused, {} without a final answer",
            clients.paid,
            clients.unanswered.len()
        );
        line(f, "orders", &text)?;
        let text = format!(
            "half of the orders had theirs within {} ms, 99 % within {} ms; {} tries were told to come later",
            clients.p50_ms, clients.p99_ms, clients.tried_again
        );
        line(f, "", &text)?;
        for (reason, count) in &clients.refused {
            line(f, "refused", &format!("{count}: {reason}"))?;
        }
        let text = format!(
            "{} suppressed: {} extra clicks on {} orders, {} repeated after a time-out",
            service.duplicates_suppressed,
            clients.extra_submissions,
            clients.orders_duplicated,
            clients.timed_out
        );
        line(f, "duplicates", &text)
    }

    fn bank(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bank = &self.bank;
        let text = format!(
            "{} at once at most, limit {}: {} refused above it",
            bank.peak, bank.limit, bank.refused_above_limit
        );
        line(f, "bank", &text)?;
        let text = format!(
            "{} charges, {} silent after charging; {} inquiries; {} calls turned away while down",
            bank.charges, bank.silent_after_charge, bank.inquiries, bank.turned_away
        );
        line(f, "", &text)?;
        let text = format!(
            "{} notices taken, {} sent twice, {} before the answer, {} given up",
            bank.notices_taken, bank.notices_twice, bank.notices_early, bank.notices_failed
        );
        line(f, "", &text)
    }

    fn inside(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let service = &self.service;
        match &service.unknown {
            Some(unknown) => {
                let text = format!(
                    "{}: {} found by asking, {} not booked and charged again, {} told by a notice, {} unresolved",
                    unknown.total,
                    unknown.found_by_inquiry,
                    unknown.charged_again,
                    unknown.told_by_notice,
                    unknown.unresolved
                );
                line(f, "unknown", &text)?;
            }
            None => {
                let text = format!("nobody asked: {} blind retries", service.blind_retries);
                line(f, "unknown", &text)?;
            }
        }
        if let Some(limiter) = &service.limiter {
            let text = format!(
                "{} of {} slots at most, {} calls waited, {} refused, {} slots held while unknown",
                limiter.peak,
                limiter.limit,
                limiter.waited,
                limiter.rejected,
                limiter.held_for_unknown
            );
            line(f, "limiter", &text)?;
        }
        self.time_line(f, service.breaker.as_ref())
    }

    fn time_line(&self, f: &mut Formatter<'_>, breaker: Option<&BreakerFigures>) -> fmt::Result {
        line(f, "bank down", &chart::outages(&self.bank_down, self.run_ms))?;
        let Some(breaker) = breaker else {
            return line(f, "breaker", "none");
        };
        line(f, "breaker", &chart::breaker(&breaker.changes, self.run_ms))?;
        line(f, "", &chart::scale(self.run_ms))?;
        let text = format!("{}; {} calls refused", chart::LEGEND, breaker.rejected);
        line(f, "", &text)?;
        line(f, "", &chart::changes(&breaker.changes, LISTED))
    }

    fn events(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let service = &self.service;
        match &service.outbox {
            Some(outbox) => {
                let text = format!(
                    "{} sent ({} events, {} follow-ups), {} retried, {} parked, {} dead, {} redriven, {} left; relay restarted {}",
                    outbox.sent,
                    outbox.sent.saturating_sub(outbox.follow_ups),
                    outbox.follow_ups,
                    outbox.retried,
                    outbox.parked,
                    outbox.dead,
                    outbox.redriven,
                    outbox.left,
                    times(service.carrier_restarts)
                );
                line(f, "outbox", &text)?;
            }
            None => {
                let text = format!(
                    "none: {} events lost on their way, their carrier restarted {}",
                    service.events_lost,
                    times(service.carrier_restarts)
                );
                line(f, "outbox", &text)?;
            }
        }
        let Some(inbox) = &service.inbox else {
            return line(f, "inbox", "none");
        };
        let text =
            format!("{} handled, {} duplicates absorbed", inbox.handled, inbox.duplicates_absorbed);
        line(f, "inbox", &text)
    }

    fn books(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<18}{:>9}{:>9}{:>14}{:>16}",
            "book", "entries", "orders", "cents", "more than once"
        )?;
        for book in &self.books.books {
            writeln!(
                f,
                "{:<18}{:>9}{:>9}{:>14}{:>16}",
                book.name, book.entries, book.orders, book.cents, book.orders_more_than_once
            )?;
        }
        writeln!(f)?;
        self.differences(f)?;
        for failure in &self.failures {
            line(f, "WRONG", failure)?;
        }
        match self.bank.double_charges {
            0 => writeln!(f, "no order was charged twice")?,
            count => writeln!(
                f,
                "DOUBLE CHARGES: {count}, customers paid {} cents too much",
                self.bank.double_charged_cents
            )?,
        }
        writeln!(f, "{}", self.verdict)
    }

    fn differences(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let differences = &self.books.differences;
        if !differences.is_empty() {
            line(f, "differs", "in orders accepted / bank's ledger / ledger consumer")?;
        }
        for difference in differences.iter().take(LISTED) {
            line(f, "", &difference.to_string())?;
        }
        more(f, differences.len())
    }
}

/// A count in words.
fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// Says how many were not listed.
fn more(f: &mut Formatter<'_>, count: usize) -> fmt::Result {
    match count.saturating_sub(LISTED) {
        0 => Ok(()),
        rest => line(f, "", &format!("and {rest} more")),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let each = |(entries, cents): (&u64, &u64)| format!("{entries} x, {cents} cents");
        let books: Vec<String> = self.entries.iter().zip(&self.cents).map(each).collect();
        write!(f, "{}: {}", self.order_id, books.join(" / "))
    }
}
