//! Takes charges, books them, answers questions and counts.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    BankConfig, ChargeRequest, Charged, Found,
    callbacks::{Callbacks, Message},
    faults::{self, Notice, Plan, Refusal},
    ledger::{Entry, Ledger},
    stats::{Outage, Stats},
};
use crate::{
    spawn::spawn,
    time::{self, Stopwatch},
};

/// An early notice is this far ahead of the answer.
const EARLY_BY: Duration = Duration::from_millis(20);

/// The second of two notices, and the notice of a silent charge, come this late.
const LATE_BY: Duration = Duration::from_millis(400);

/// Even a refusal takes the bank a moment.
const REFUSING: Duration = Duration::from_millis(4);

/// The bank's desk. One per process.
#[derive(Debug)]
pub(super) struct Desk {
    config: BankConfig,
    opened: Stopwatch,
    callbacks: Callbacks,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    ledger: Ledger,
    stats: Stats,
    references: HashMap<String, Reference>,
    withdrawn: HashSet<String>,
    outage: Option<Outage>,
    refusing: u32,
}

#[derive(Debug, Default)]
struct Reference {
    arrivals: u32,
    working: u32,
    first_charge: Option<usize>,
}

impl Desk {
    /// Opens with an empty ledger.
    pub(super) fn open(config: BankConfig) -> io::Result<Arc<Self>> {
        let books = Books {
            ledger: Ledger::create(&config.ledger)?,
            stats: Stats { limit: config.limit, ..Stats::default() },
            references: HashMap::new(),
            withdrawn: HashSet::new(),
            outage: None,
            refusing: 0,
        };
        Ok(Arc::new(Self {
            config,
            opened: Stopwatch::start(),
            callbacks: Callbacks::new(),
            books: Mutex::new(books),
        }))
    }

    /// Takes a charge; `None` when it ends in silence.
    ///
    /// The work is a task of its own: a caller that hangs up stops nothing.
    pub(super) async fn charge(
        self: Arc<Self>,
        request: ChargeRequest,
    ) -> Result<Option<Charged>, Refusal> {
        let plan = match self.admit(&request) {
            Err(Refusal::AboveLimit) => return Err(self.refuse_above_limit().await),
            admitted => admitted?,
        };
        let work = spawn(self.work(request, plan));
        Ok(work.await.ok().flatten())
    }

    /// Says what is booked under `reference`, and withdraws `attempt` if nothing is.
    pub(super) fn inquire(&self, reference: &str, attempt: Option<&str>) -> Result<Found, Refusal> {
        let books = &mut *self.books();
        books.turn_away(self.opened.millis())?;
        books.stats.inquiries += 1;
        let known = books.references.get(reference);
        if let Some(charge) = known.and_then(|reference| reference.first_charge) {
            books.stats.inquiries_found += 1;
            return Ok(Found::Charged(Charged::from(books.ledger.get(charge))));
        }
        if known.is_some_and(|reference| reference.working > 0) {
            return Ok(Found::InProgress);
        }
        books.stats.inquiries_nothing += 1;
        books.withdrawn.extend(attempt.map(str::to_owned));
        Ok(Found::Nothing)
    }

    /// What was counted so far.
    pub(super) fn stats(&self) -> Stats {
        let books = self.books();
        Stats {
            uptime_ms: self.opened.millis(),
            outages: books.outage.into_iter().collect(),
            ..books.stats.clone()
        }
    }

    fn admit(&self, request: &ChargeRequest) -> Result<Plan, Refusal> {
        let mut books = self.books();
        let arrival = books.admit(request, self.opened.millis())?;
        Ok(faults::plan(self.config.seed, &request.reference, arrival))
    }

    async fn refuse_above_limit(self: Arc<Self>) -> Refusal {
        let work = async move {
            time::sleep(REFUSING).await;
            self.books().refusing -= 1;
        };
        // A task of its own, so that the count is right when the caller hangs up.
        let _ = spawn(work).await;
        Refusal::AboveLimit
    }

    async fn work(self: Arc<Self>, request: ChargeRequest, plan: Plan) -> Option<Charged> {
        time::sleep(plan.latency).await;
        let booked = self.book(&request);
        if let Some(charged) = &booked {
            self.notify(&request.callback_url, charged, &plan);
        }
        if plan.notice == Notice::Early {
            time::sleep(EARLY_BY).await;
        }
        if plan.silent {
            self.books().stats.silent_after_charge += 1;
            time::sleep(self.config.silence.saturating_sub(plan.latency)).await;
        }
        self.books().stats.in_flight -= 1;
        booked.filter(|_| !plan.silent)
    }

    fn book(&self, request: &ChargeRequest) -> Option<Charged> {
        let mut books = self.books();
        let charged = books.book(request);
        if books.outage.is_none() && books.ledger.len() >= self.config.outage_after {
            let from_ms = self.opened.millis();
            let to_ms = from_ms.saturating_add(self.config.outage.as_millis() as u64);
            books.outage = Some(Outage { from_ms, to_ms });
        }
        charged
    }

    fn notify(self: &Arc<Self>, url: &str, charged: &Charged, plan: &Plan) {
        let late = if plan.silent { LATE_BY } else { Duration::ZERO };
        let delays: &[Duration] = match plan.notice {
            Notice::Never => &[],
            Notice::Early => &[Duration::ZERO],
            Notice::Once => &[EARLY_BY + late],
            Notice::Twice => &[EARLY_BY, LATE_BY],
        };
        {
            let mut books = self.books();
            books.stats.notices_waiting += delays.len() as u64;
            books.stats.notices_early += u64::from(plan.notice == Notice::Early);
            books.stats.notices_twice += u64::from(plan.notice == Notice::Twice);
        }
        for &delay in delays {
            spawn(self.clone().send_notice(url.to_owned(), charged.clone(), delay));
        }
    }

    async fn send_notice(self: Arc<Self>, url: String, charged: Charged, delay: Duration) {
        time::sleep(delay).await;
        let message = Message {
            notice_id: format!("notice-of-{}", charged.charge_id),
            reference: charged.reference,
            charge_id: charged.charge_id,
            cents: charged.cents,
        };
        let taken = self.callbacks.send(&url, &message).await;
        let mut books = self.books();
        books.stats.notices_waiting -= 1;
        books.stats.notices_taken += u64::from(taken);
        books.stats.notices_failed += u64::from(!taken);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn turn_away(&mut self, now_ms: u64) -> Result<(), Refusal> {
        let Some(refusal) = self.outage.and_then(|outage| faults::down(outage, now_ms)) else {
            return Ok(());
        };
        self.stats.turned_away += 1;
        Err(refusal)
    }

    /// Gives the charge a slot and says how many came for its reference before.
    fn admit(&mut self, request: &ChargeRequest, now_ms: u64) -> Result<u32, Refusal> {
        self.turn_away(now_ms)?;
        if request.cents == 0 {
            return Err(Refusal::Invalid);
        }
        let withdrawn = |attempt| self.withdrawn.contains(attempt);
        if request.attempt.as_deref().is_some_and(withdrawn) {
            self.stats.late_attempts_refused += 1;
            return Err(Refusal::Withdrawn);
        }
        let at_once = self.stats.in_flight + self.refusing + 1;
        self.stats.peak = self.stats.peak.max(at_once);
        if self.stats.in_flight >= self.stats.limit {
            self.refusing += 1;
            self.stats.refused_above_limit += 1;
            return Err(Refusal::AboveLimit);
        }
        self.stats.in_flight += 1;
        let reference = self.references.entry(request.reference.clone());
        let reference = reference.or_default();
        reference.arrivals += 1;
        reference.working += 1;
        Ok(reference.arrivals - 1)
    }

    fn book(&mut self, request: &ChargeRequest) -> Option<Charged> {
        let reference = self.references.entry(request.reference.clone());
        let reference = reference.or_default();
        reference.working -= 1;
        let entry = self.ledger.book(&request.reference, &request.customer, request.cents);
        let charged = Charged::from(entry.ok()?);
        self.stats.charges += 1;
        self.stats.charged_cents += request.cents;
        if reference.first_charge.is_some() {
            self.stats.double_charges += 1;
            self.stats.double_charged_cents += request.cents;
        } else {
            reference.first_charge = Some(self.ledger.len() as usize - 1);
        }
        Some(charged)
    }
}

impl From<&Entry> for Charged {
    fn from(entry: &Entry) -> Self {
        Self {
            charge_id: entry.charge_id.clone(),
            reference: entry.reference.clone(),
            cents: entry.cents,
        }
    }
}
