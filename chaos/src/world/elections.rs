//! Who the Sentinels say is primary, whoever asked for that.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mainstay_core::Clock;
use mainstay_testkit::redis::{Reply, command};
use tokio::task::JoinHandle;

use crate::{
    event::{Event, What, now},
    spawn::spawn,
};

/// Notes each election as soon as a Sentinel tells of it, until it is dropped.
///
/// They elect on their own, too: one that did not hear how an election ended begins another.
pub(crate) struct Elections {
    seen: Arc<Mutex<Vec<Event>>>,
    task: JoinHandle<()>,
}

impl Elections {
    /// Asks `sentinels` for the primary that they call `name`. `lossy` if an election loses grants.
    pub(super) fn watch(sentinels: Vec<SocketAddr>, name: String, lossy: bool) -> Self {
        let seen = Arc::<Mutex<Vec<Event>>>::default();
        let task = spawn(watch(sentinels, name, lossy, seen.clone()));
        Self { seen, task }
    }

    /// Those that were seen; each is told once.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Elections {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(
    sentinels: Vec<SocketAddr>,
    name: String,
    lossy: bool,
    seen: Arc<Mutex<Vec<Event>>>,
) {
    let (clock, mut highest) = (Clock::boot(), None);
    loop {
        for sentinel in &sentinels {
            let Ok(answer) = command(*sentinel, &["SENTINEL", "MASTER", &name]).await else {
                continue;
            };
            let Some((epoch, primary)) = read(&answer) else { continue };
            // The first one is where the run began.
            if highest.is_some_and(|highest| highest < epoch) {
                let event =
                    Event { at: now(), client: 0, what: What::Elected { epoch, primary, lossy } };
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
            highest = highest.max(Some(epoch));
        }
        clock.sleep(BETWEEN).await;
    }
}

/// The epoch and the primary, from names and values in turn.
fn read(answer: &Reply) -> Option<(u64, String)> {
    let words: Vec<_> = answer.list().iter().filter_map(Reply::text).collect();
    let fields: BTreeMap<_, _> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let primary = format!("{}:{}", fields.get("ip")?, fields.get("port")?);
    Some((fields.get("config-epoch")?.parse().ok()?, primary))
}

/// Clients ask every half second.
const BETWEEN: Duration = Duration::from_millis(50);
