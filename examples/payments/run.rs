//! One run: starts the bank and a service, lets the customers in, compares the books.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    Result,
    args::Args,
    bank::{ANSWERS_WITHIN, BankConfig, BankProcess, SILENCE},
    clients,
    orders::{Log, Order},
    plain,
    progress::Progress,
    report::{Findings, InputFigures, Report},
    seam::{BankTerms, Mishaps, OrderService, ServiceConfig},
    service,
    time::Stopwatch,
};

/// Charges that the bank works on at once.
const BANK_LIMIT: u32 = 16;

/// How long the bank is down.
const OUTAGE: Duration = Duration::from_millis(2_500);

/// How long the carrier of events is down after it was killed.
const CARRIER_DOWN: Duration = Duration::from_millis(300);

/// Time for the bank and the service to finish after the last customer.
const SETTLE: Duration = Duration::from_secs(20);

/// Runs the job that `args` describe.
pub(crate) async fn run(args: &Args) -> Result<Report> {
    let log = Log::read(&args.orders).map_err(|e| format!("{}: {e}", args.orders.display()))?;
    if log.orders.is_empty() {
        return Err(format!("{} holds no order", args.orders.display()).into());
    }
    let dir = tempfile::Builder::new().prefix("payments-").tempdir()?;
    let watch = Stopwatch::start();
    let bank = BankProcess::start(&bank_config(args, dir.path(), log.orders.len())).await?;
    let config = ServiceConfig {
        dir: dir.path().to_owned(),
        bank: BankTerms {
            url: bank.url().to_owned(),
            limit: BANK_LIMIT,
            answers_within: ANSWERS_WITHIN,
            slot_held_at_most: SILENCE,
        },
        mishaps: mishaps(&log.orders),
        watch,
    };
    let job = Job {
        args,
        input: InputFigures::of(&log, &args.orders),
        orders: Arc::new(log.orders),
        bank,
        watch,
    };
    if args.plain {
        job.replay(plain::start(config).await?).await
    } else {
        job.replay(service::start(config).await?).await
    }
}

struct Job<'a> {
    args: &'a Args,
    input: InputFigures,
    orders: Arc<Vec<Order>>,
    bank: BankProcess,
    watch: Stopwatch,
}

impl Job<'_> {
    async fn replay<S: OrderService>(self, service: S) -> Result<Report> {
        let progress = Arc::new(Progress::new(self.orders.len()));
        let (clients, seed) = (self.args.clients, self.args.seed);
        let replayed = clients::replay(service.url(), &self.orders, clients, seed, &progress).await;
        progress.finish();
        let replayed = replayed?;
        let run_ms = self.watch.millis();
        // Notices still come in until the bank is quiet, so the service settles after it.
        let bank = self.bank.quiet(SETTLE).await?;
        let bank_opened_ms = self.watch.millis().saturating_sub(bank.uptime_ms);
        service.settle(SETTLE).await?;
        let (figures, ledger_book) = (service.figures().await?, service.ledger_book().await?);
        service.stop().await?;
        Ok(Report::of(Findings {
            service_name: S::NAME,
            seed,
            run_ms,
            input: self.input,
            replayed,
            bank,
            bank_opened_ms,
            bank_book: self.bank.close().await?,
            service: figures,
            ledger_book,
        }))
    }
}

fn bank_config(args: &Args, dir: &Path, orders: usize) -> BankConfig {
    BankConfig {
        port: 0,
        seed: args.seed,
        limit: BANK_LIMIT,
        outage_after: orders as u64 * 2 / 5,
        outage: OUTAGE,
        silence: SILENCE,
        ledger: dir.join("bank-ledger.jsonl"),
    }
}

/// The poison comes before the outage, and the carrier is killed after it.
fn mishaps(orders: &[Order]) -> Mishaps {
    let payable = |order: &&Order| order.cents > 0;
    let poison = orders.iter().filter(payable).nth(orders.len() / 4);
    Mishaps {
        carrier_killed_at_event: orders.len() as u64 * 3 / 5,
        down_for: CARRIER_DOWN,
        poison_order: poison.map(|order| order.id.clone()),
    }
}
