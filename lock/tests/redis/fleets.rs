//! Tokens and elections whose primary dies, behind Sentinels and in a Cluster.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use mainstay_lock::{
    LockError, LockHandle, Locks, Redis,
    election::{Election, Leader},
    token::{Consumed, Token, Tokens},
};
use mainstay_redis::redis::cmd;
use mainstay_testkit::{
    eventually,
    redis::{Cluster, Sentinel},
};
use tokio::sync::oneshot;

use crate::{key_of, ms};

/// Longer than a failover takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Servers with replicas that take over.
enum Fleet {
    Watched(Box<Sentinel>),
    Clustered(Cluster),
}

impl Fleet {
    async fn watched() -> Self {
        Self::Watched(Box::new(Sentinel::start().await.unwrap()))
    }

    async fn clustered() -> Self {
        Self::Clustered(Cluster::start().await.unwrap())
    }

    fn redis(&self) -> Redis {
        let redis = match self {
            Self::Watched(fleet) => Redis::sentinel(fleet.urls(), fleet.name()).unwrap(),
            Self::Clustered(fleet) => Redis::cluster(fleet.urls()).unwrap(),
        };
        redis.budget(ms(300)).build().unwrap()
    }

    /// Waits until the replicas have what was written through `redis`: what they lack a failover loses.
    async fn replicated(&self, redis: &Redis, key: &str) {
        let replicas = if matches!(self, Self::Watched(_)) { 2 } else { 1 };
        let confirmed = || async {
            let wait = cmd("WAIT").arg(replicas).arg(200).take();
            let count = redis.call_near(key, wait).await.and_then(|reply| reply.read::<u32>());
            count.is_ok_and(|count| count >= replicas)
        };
        eventually(SOON, confirmed).await.unwrap();
    }

    /// Kills the primary of `key` and waits for the next one.
    async fn fail_over(&mut self, key: &str) {
        match self {
            Self::Watched(fleet) => {
                let old = fleet.kill().await.unwrap();
                fleet.primary_after(old, SOON).await.unwrap();
            }
            Self::Clustered(fleet) => {
                let slot = fleet.slot_of(key).await.unwrap();
                let old = fleet.kill(slot).await.unwrap();
                fleet.primary_after(slot, old, SOON).await.unwrap();
            }
        }
    }
}

const FORM: &str = "order-form";

/// A token that was used has its number still, one that was not draws a higher one.
async fn tokens_outlive_their_primary(mut fleet: Fleet) {
    let redis = fleet.redis();
    let tokens = Tokens::redis(redis.clone());
    let [used, unused] = [0, 1].map(|_| tokens.issue(FORM, ms(600_000)));
    let (used, unused) = (used.await.unwrap(), unused.await.unwrap());
    let number = tokens.consume(FORM, &used).await.unwrap().number();
    let key = format!("{{mainstay:token1:{FORM}}}:last");
    fleet.replicated(&redis, &key).await;
    fleet.fail_over(&key).await;
    let other = Tokens::redis(fleet.redis());
    for tokens in [&tokens, &other] {
        assert_eq!(insist(tokens, &used).await, Consumed::Replay { number });
    }
    let next = insist(&other, &unused).await.number();
    assert!(next > number, "{next} after {number}");
    assert_eq!(insist(&tokens, &unused).await, Consumed::Replay { number: next });
}

/// Asks until there is an answer, as the error says one may.
async fn insist(tokens: &Tokens, token: &Token) -> Consumed {
    eventually(SOON, || tokens.consume(FORM, token)).await.unwrap()
}

#[tokio::test]
async fn tokens_outlive_the_primary_that_sentinels_watch() {
    tokens_outlive_their_primary(Fleet::watched().await).await;
}

#[tokio::test]
async fn tokens_outlive_their_node_of_a_cluster() {
    tokens_outlive_their_primary(Fleet::clustered().await).await;
}

/// Who leads now, and every term so far.
#[derive(Default)]
pub(crate) struct Reign {
    pub(crate) leader: Option<&'static str>,
    pub(crate) terms: Vec<i64>,
}

/// What leaders do: say that they lead, until they are stopped.
struct Leads(Arc<Mutex<Reign>>);

impl Leads {
    fn begin(reign: &Arc<Mutex<Reign>>, id: &'static str, term: &LockHandle) -> Self {
        let mut seen = reign.lock().unwrap();
        assert_eq!(seen.leader, None, "{id} leads beside it");
        let term = term.fence().get();
        assert!(seen.terms.last().is_none_or(|last| *last < term), "{term} after {:?}", seen.terms);
        (seen.leader, _) = (Some(id), seen.terms.push(term));
        Self(reign.clone())
    }
}

impl Drop for Leads {
    fn drop(&mut self) {
        if let Ok(mut reign) = self.0.lock() {
            reign.leader = None;
        }
    }
}

pub(crate) struct Candidate {
    election: Election,
    stop: Option<oneshot::Sender<()>>,
    campaign: tokio::task::JoinHandle<Result<Option<()>, LockError>>,
}

impl Candidate {
    pub(crate) fn start(locks: &Locks, id: &'static str, reign: &Arc<Mutex<Reign>>) -> Self {
        let election = Election::new(locks, "job");
        let election = election.candidate_id(id).lease(ms(1_500));
        let (stop, stopped) = oneshot::channel();
        let (own, reign) = (election.clone(), reign.clone());
        let campaign = tokio::spawn(async move {
            let work = |term: LockHandle| {
                let leads = Leads::begin(&reign, id, &term);
                async move {
                    let _leads = leads;
                    pending::<()>().await;
                }
            };
            own.run_until(async { _ = stopped.await }, work).await
        });
        Self { election, stop: Some(stop), campaign }
    }

    /// Resigns if it leads.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        (&mut self.campaign).await.unwrap().unwrap();
    }

    /// Who leads, in the words of the server and of the leader itself.
    pub(crate) async fn until_somebody_leads(&self, reign: &Mutex<Reign>, after: i64) -> Leader {
        let leads = || async {
            let leader = self.election.leader().await.map_err(|error| error.to_string())?;
            let leader = leader.ok_or("nobody leads")?;
            let own = reign.lock().unwrap().leader;
            let agreed = own.is_some() && leader.candidate.as_deref() == own;
            let later = leader.term.get() > after;
            if agreed && later { Ok(leader) } else { Err(format!("{leader:?}, and {own:?}")) }
        };
        eventually(SOON, leads).await.unwrap()
    }
}

/// Whoever of one and two leads by now resigns, and the other one follows.
pub(crate) async fn the_other_one_follows(
    reign: &Mutex<Reign>,
    [one, two]: [Candidate; 2],
    before: &Leader,
) {
    let leads = reign.lock().unwrap().leader.unwrap();
    let (mut leader, mut other) = if leads == "one" { (one, two) } else { (two, one) };
    leader.stop().await;
    let next = other.until_somebody_leads(reign, before.term.get()).await;
    assert_ne!(next.candidate, before.candidate);
    other.stop().await;
}

/// Before, during and after the failover at most one leads, in rising terms, and in the end somebody does.
async fn leaders_do_not_overlap(mut fleet: Fleet) {
    let (redis, reign) = (fleet.redis(), Arc::default());
    let one = Candidate::start(&Locks::builder().redis(redis.clone()), "one", &reign);
    let first = one.until_somebody_leads(&reign, 0).await;
    let two = Candidate::start(&Locks::builder().redis(fleet.redis()), "two", &reign);
    let held = key_of("job", "held");
    fleet.replicated(&redis, &held).await;
    fleet.fail_over(&held).await;
    let second = two.until_somebody_leads(&reign, 0).await;
    assert!(second.term >= first.term, "{second:?} after {first:?}");
    the_other_one_follows(&reign, [one, two], &second).await;
}

#[tokio::test]
async fn leaders_do_not_overlap_while_sentinels_promote_another_primary() {
    leaders_do_not_overlap(Fleet::watched().await).await;
}

#[tokio::test]
async fn leaders_do_not_overlap_while_a_node_of_a_cluster_is_replaced() {
    leaders_do_not_overlap(Fleet::clustered().await).await;
}
