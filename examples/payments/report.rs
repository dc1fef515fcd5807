//! What the run found, as figures, and whether that is good.

use std::{fs, path::Path};

use serde::Serialize;

use crate::{
    Result,
    bank::{Outage, Stats},
    books::{Book, Comparison},
    clients::{ClientFigures, Replayed},
    orders::{Log, Malformed},
    seam::ServiceFigures,
};

/// Everything the run found. The text and the JSON show the same figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Which service ran.
    pub(crate) service_name: &'static str,
    /// Seed of the run.
    pub(crate) seed: u64,
    /// Length of the run.
    pub(crate) run_ms: u64,
    /// What was read.
    pub(crate) input: InputFigures,
    /// What the customers saw.
    pub(crate) clients: ClientFigures,
    /// What the bank counted.
    pub(crate) bank: Stats,
    /// When the bank was down, on the run's time line.
    pub(crate) bank_down: Vec<Outage>,
    /// What the service counted.
    pub(crate) service: ServiceFigures,
    /// The three books.
    pub(crate) books: Comparison,
    /// What went wrong; empty if all is well.
    pub(crate) failures: Vec<String>,
    /// The last line of the report.
    pub(crate) verdict: String,
}

/// What was read from the purchase log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct InputFigures {
    /// The file.
    pub(crate) file: String,
    /// Orders read.
    pub(crate) orders: u64,
    /// Distinct customers.
    pub(crate) customers: u64,
    /// Value of all orders.
    pub(crate) cents: u64,
    /// Orders worth 0.00.
    pub(crate) worth_nothing: u64,
    /// Lines left out.
    pub(crate) malformed: Vec<Malformed>,
}

impl InputFigures {
    /// Describes a log as read from `file`.
    pub(crate) fn of(log: &Log, file: &Path) -> Self {
        Self {
            file: file.display().to_string(),
            orders: log.orders.len() as u64,
            customers: log.customers() as u64,
            cents: log.cents(),
            worth_nothing: log.orders.iter().filter(|order| order.cents == 0).count() as u64,
            malformed: log.malformed.clone(),
        }
    }
}

/// What a run leaves behind.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) service_name: &'static str,
    pub(crate) seed: u64,
    pub(crate) run_ms: u64,
    pub(crate) input: InputFigures,
    pub(crate) replayed: Replayed,
    pub(crate) bank: Stats,
    /// Where the bank's clock stands on the run's time line.
    pub(crate) bank_opened_ms: u64,
    pub(crate) bank_book: Book,
    pub(crate) service: ServiceFigures,
    pub(crate) ledger_book: Book,
}

impl Report {
    /// Compares the books and judges the run.
    pub(crate) fn of(found: Findings) -> Self {
        let bank_down = found.bank.outages.iter().map(|outage| Outage {
            from_ms: outage.from_ms + found.bank_opened_ms,
            to_ms: outage.to_ms + found.bank_opened_ms,
        });
        let mut report = Self {
            service_name: found.service_name,
            seed: found.seed,
            run_ms: found.run_ms,
            input: found.input,
            clients: found.replayed.figures,
            bank_down: bank_down.collect(),
            bank: found.bank,
            service: found.service,
            books: Comparison::of(&[found.replayed.accepted, found.bank_book, found.ledger_book]),
            failures: Vec::new(),
            verdict: String::new(),
        };
        report.verdict = report.books.verdict();
        report.failures = report.judge();
        report
    }

    /// All is well: the exit code says so.
    pub(crate) fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Writes the figures as JSON.
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        fs::write(path, json).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn judge(&self) -> Vec<String> {
        let (clients, bank) = (&self.clients, &self.bank);
        let unanswered = clients.unanswered.len();
        let contradicted = clients.contradicted.len();
        let checks = [
            (!self.books.balanced(), "the books do not balance".to_owned()),
            (
                bank.double_charges > 0,
                format!("{} charges were double charges", bank.double_charges),
            ),
            (
                bank.peak > bank.limit || bank.refused_above_limit > 0,
                format!("the bank's limit of {} was passed: {} at once", bank.limit, bank.peak),
            ),
            (unanswered > 0, format!("{unanswered} orders got no final answer")),
            (contradicted > 0, format!("{contradicted} orders got two different answers")),
            (
                clients.misjudged > 0,
                format!("{} orders were wrongly paid or refused", clients.misjudged),
            ),
        ];
        let failed = checks.into_iter().filter(|(failed, _)| *failed);
        failed.map(|(_, what)| what).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Entry;

    fn book(name: &'static str, entries: u64) -> Book {
        let entry = |_| Entry { order_id: "order-000001".to_owned(), cents: 2_933 };
        Book::new(name, (0..entries).map(entry))
    }

    /// A run of one order in which all went well, but for what `change` does to it.
    fn run(change: impl FnOnce(&mut Findings)) -> Report {
        let mut found = Findings {
            service_name: "tested",
            seed: 7,
            run_ms: 1_500,
            input: InputFigures::of(&Log::parse(b"4 19970101 2 29.33"), Path::new("log")),
            replayed: Replayed {
                figures: ClientFigures::default(),
                accepted: book("orders accepted", 1),
            },
            bank: Stats { limit: 16, peak: 16, ..Stats::default() },
            bank_opened_ms: 10,
            bank_book: book("bank's ledger", 1),
            service: ServiceFigures::default(),
            ledger_book: book("ledger consumer", 1),
        };
        change(&mut found);
        Report::of(found)
    }

    #[test]
    fn a_good_run_passes_and_ends_with_its_verdict() {
        let report = run(|_| {});
        assert_eq!(report.failures, Vec::<String>::new());
        let text = report.to_string();
        let end = "no order was charged twice\nbooks balanced: 2933 cents in 3 of 3 books\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn each_thing_that_goes_wrong_fails_the_run() {
        type Wrong = (&'static str, fn(&mut Findings));
        let wrongs: [Wrong; 8] = [
            ("do not balance", |f| f.ledger_book = book("ledger consumer", 2)),
            ("do not balance", |f| f.bank_book = book("bank's ledger", 0)),
            ("double charges", |f| f.bank.double_charges = 1),
            ("limit of 16", |f| f.bank.peak = 17),
            ("limit of 16", |f| f.bank.refused_above_limit = 1),
            ("no final answer", |f| f.replayed.figures.unanswered = vec![String::new()]),
            ("two different", |f| f.replayed.figures.contradicted = vec![String::new()]),
            ("wrongly", |f| f.replayed.figures.misjudged = 1),
        ];
        for (what, change) in wrongs {
            let report = run(change);
            assert!(!report.passed(), "{what}");
            let text = report.to_string();
            assert_eq!(text.matches("WRONG").count(), 1, "{text}");
            assert!(report.failures[0].contains(what), "{text}");
        }
    }

    #[test]
    fn the_figures_are_written_as_json_on_the_time_line_of_the_run() {
        let outage = Outage { from_ms: 100, to_ms: 200 };
        let report = run(|found| found.bank.outages = vec![outage]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        report.write_json(&path).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(json["books"]["books"][2]["cents"], 2_933);
        assert_eq!(json["bank_down"][0]["from_ms"], 110);
        assert_eq!(json["verdict"], report.verdict.as_str());
    }
}
