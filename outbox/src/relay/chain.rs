//! Publishes a batch: keys side by side, the messages of a key one after the other.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use super::verdict::{refused, untried, verdict};
use crate::{
    Confirm, Event, Outbox, Outgoing, PublishError, Publisher,
    consumer::panic_text,
    dialect::{Dialect, Fate, Item},
};

/// What a batch came to.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) settled: Vec<(Item, Fate)>,
    /// Something was tried and the other side answered, well or ill.
    pub(super) answered: bool,
    /// The other side is down or asked for a pause, perhaps for how long.
    pub(super) outage: Option<Option<Duration>>,
}

/// Messages of one key, or one message without a key.
type Chain = Vec<Item>;

/// Publishes all messages of a batch, at most `in_flight` at a time.
pub(super) async fn publish<P: Publisher, DB: Dialect>(
    outbox: &Outbox<DB>,
    publisher: &P,
    items: &[Item],
) -> Published {
    let mut published = Published::default();
    let mut chains = chains(outbox, items, &mut published).into_iter();
    let room = usize::try_from(outbox.config().in_flight.max(1)).unwrap_or(1);
    let down = AtomicBool::new(false);
    let run = |chain| run_chain(outbox, publisher, &down, chain);
    let mut running: FuturesUnordered<_> = chains.by_ref().take(room).map(run).collect();
    while let Some(done) = running.next().await {
        published.settled.extend(done.settled);
        published.answered |= done.answered;
        published.outage = done.outage.or(published.outage);
        running.extend(chains.next().map(run));
    }
    published
}

/// Sorts a batch into chains; parked messages go behind the earlier ones of their key at once.
fn chains<DB: Dialect>(
    outbox: &Outbox<DB>,
    items: &[Item],
    published: &mut Published,
) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut by_key: HashMap<&str, usize> = HashMap::new();
    for item in items {
        if item.parked {
            outbox.event(&Event::Parked { id: item.envelope.id });
            published.settled.push((item.clone(), untried(item, outbox.now())));
            continue;
        }
        let new = chains.len();
        let at = item.envelope.key().map_or(new, |key| *by_key.entry(key).or_insert(new));
        if at == new {
            chains.push(Chain::new());
        }
        chains[at].push(item.clone());
    }
    chains
}

async fn run_chain<P: Publisher, DB: Dialect>(
    outbox: &Outbox<DB>,
    publisher: &P,
    down: &AtomicBool,
    chain: Chain,
) -> Published {
    let mut done = Published::default();
    let mut waiting = false;
    for item in chain {
        if waiting || down.load(Ordering::Relaxed) {
            if waiting {
                outbox.event(&Event::Parked { id: item.envelope.id });
            }
            let fate = untried(&item, outbox.now());
            done.settled.push((item, fate));
            continue;
        }
        let fate = match refused(outbox.config(), &item) {
            Some(fate) => fate,
            None => attempt(outbox, publisher, &item, &mut done).await,
        };
        if done.outage.is_some() {
            down.store(true, Ordering::Relaxed);
        }
        // Whatever keeps this message keeps those behind it.
        waiting = match &fate {
            Fate::Sent => false,
            Fate::Again { .. } => done.outage.is_none(),
            Fate::Dead { block, .. } => *block,
        };
        done.settled.push((item, fate));
    }
    done
}

async fn attempt<P: Publisher, DB: Dialect>(
    outbox: &Outbox<DB>,
    publisher: &P,
    item: &Item,
    done: &mut Published,
) -> Fate {
    let outgoing = Outgoing {
        envelope: item.envelope.clone(),
        attempt: item.tries.saturating_add(1),
        redelivered: item.claims > 0 || item.uncertain,
    };
    match guarded(outbox, publisher, &outgoing).await {
        Ok(_confirm) => {
            done.answered = true;
            Fate::Sent
        }
        Err(error) if error.class().pauses_lane() => {
            done.outage = Some(error.retry_after());
            verdict(outbox.config(), item, &error, outbox.now())
        }
        Err(error) => {
            done.answered = true;
            verdict(outbox.config(), item, &error, outbox.now())
        }
    }
}

/// A publish that hangs or panics is an attempt like any other.
async fn guarded<P: Publisher, DB: Dialect>(
    outbox: &Outbox<DB>,
    publisher: &P,
    outgoing: &Outgoing,
) -> Result<Confirm, PublishError> {
    let limit = outbox.config().publish_timeout;
    let work = AssertUnwindSafe(publisher.publish(outgoing)).catch_unwind();
    match outbox.clock().timeout(limit, work).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(PublishError::unknown(panic_text(&*panic))),
        Err(_elapsed) => Err(PublishError::unknown(format!("no answer within {limit:?}"))),
    }
}
