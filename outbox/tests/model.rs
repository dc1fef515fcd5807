//! Random schedules against a plain model of queues.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use common::{CutAfter, SECOND, Script, World, config};
use mainstay_outbox::{
    FailureClass, Filter, Message, MessageId, OnDead, OutboxConfig, PublishError, Relay,
};
use proptest::prelude::*;

const KEYS: usize = 3;
const BATCH: u32 = 4;
const ATTEMPTS: u32 = 3;

#[derive(Clone, Debug)]
enum Op {
    Enqueue { key: usize, commit: bool, plan: Vec<FailureClass> },
    Drain,
    Crash { waits: usize },
    Advance,
    Redrive,
    Cancel { at: usize },
}

fn plan() -> impl Strategy<Value = Vec<FailureClass>> {
    let class = prop_oneof![
        4 => Just(FailureClass::Retryable),
        2 => Just(FailureClass::Unknown),
        2 => Just(FailureClass::Final),
        1 => Just(FailureClass::Deferred),
        1 => Just(FailureClass::Outage),
    ];
    prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(class, 1..5)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..KEYS, prop::bool::weighted(0.85), plan())
            .prop_map(|(key, commit, plan)| Op::Enqueue { key, commit, plan }),
        4 => Just(Op::Drain),
        1 => (0_usize..60).prop_map(|waits| Op::Crash { waits }),
        3 => Just(Op::Advance),
        1 => Just(Op::Redrive),
        1 => (0_usize..64).prop_map(|at| Op::Cancel { at }),
    ]
}

/// A message as the model knows it.
#[derive(Clone, Debug)]
struct Msg {
    text: String,
    id: MessageId,
    plan: VecDeque<FailureClass>,
    tries: u32,
    not_before: u64,
    /// What happened may have reached the other side.
    uncertain: bool,
}

/// Queues by key; the head is the only one that moves. Time in seconds.
#[derive(Debug, Default)]
struct Model {
    queues: BTreeMap<usize, VecDeque<Msg>>,
    dead: BTreeMap<usize, Msg>,
    sent: Vec<String>,
    counted: usize,
    now: u64,
}

enum Step {
    Sent,
    Stays,
    Dead,
}

impl Model {
    fn drain(&mut self) {
        for (key, queue) in &mut self.queues {
            while !self.dead.contains_key(key) {
                let Some(head) = queue.front_mut().filter(|head| head.not_before <= self.now)
                else {
                    break;
                };
                match step(head, self.now, &mut self.counted) {
                    Step::Sent => self.sent.extend(queue.pop_front().map(|msg| msg.text)),
                    Step::Stays => break,
                    Step::Dead => {
                        self.dead.extend(queue.pop_front().map(|msg| (*key, msg)));
                    }
                }
            }
        }
    }

    fn redrive(&mut self) {
        for (key, mut msg) in std::mem::take(&mut self.dead) {
            (msg.tries, msg.not_before, msg.uncertain) = (0, self.now, true);
            self.queues.entry(key).or_default().push_front(msg);
        }
    }

    /// Whether the message was still there to be taken back.
    fn cancel(&mut self, id: MessageId) -> bool {
        let queues = self.queues.values_mut();
        for queue in queues {
            if let Some(at) = queue.iter().position(|msg| msg.id == id && !msg.uncertain) {
                queue.remove(at);
                return true;
            }
        }
        false
    }
}

fn step(head: &mut Msg, now: u64, counted: &mut usize) -> Step {
    let Some(class) = head.plan.pop_front() else { return Step::Sent };
    match class {
        FailureClass::Deferred => {
            head.not_before = now + 2;
            Step::Stays
        }
        FailureClass::Final => {
            *counted += 1;
            Step::Dead
        }
        class => {
            *counted += 1;
            head.tries += 1;
            head.uncertain |= class == FailureClass::Unknown;
            head.not_before = now + 1;
            if head.tries == ATTEMPTS { Step::Dead } else { Step::Stays }
        }
    }
}

fn error(class: FailureClass) -> PublishError {
    match class {
        FailureClass::Deferred => PublishError::deferred(2 * SECOND, "busy"),
        class => PublishError::new(class, "planned"),
    }
}

fn settings() -> OutboxConfig {
    let mut config = config();
    config.on_dead = OnDead::Block;
    config.batch = BATCH;
    config.in_flight = 2;
    // Crashes are the schedule's, not a message's.
    config.max_deliveries = 1000;
    config
}

struct Run {
    world: World,
    script: Script,
    model: Model,
    committed: Vec<(usize, String, MessageId)>,
    cancelled: Vec<String>,
    rolled_back: Vec<String>,
    crashes: usize,
    /// After a crash or an outage the model does not say what must be sent when.
    exact: bool,
}

impl Run {
    async fn new() -> Self {
        Self {
            world: World::with(settings()).await,
            script: Script::new(),
            model: Model::default(),
            committed: Vec::new(),
            cancelled: Vec::new(),
            rolled_back: Vec::new(),
            crashes: 0,
            exact: true,
        }
    }

    async fn apply(&mut self, op: Op) {
        match op {
            Op::Enqueue { key, commit, plan } => self.enqueue(key, commit, plan).await,
            Op::Drain => self.drain().await,
            Op::Crash { waits } => {
                let relay = Relay::new(&self.world.outbox, self.script.clone());
                let cut = CutAfter::new(waits, relay.run_until_idle()).await.is_none();
                self.crashes += usize::from(cut);
                self.exact &= !cut;
                if !cut {
                    self.model.drain();
                }
            }
            Op::Advance => {
                self.world.time.advance(SECOND);
                self.model.now += 1;
            }
            Op::Redrive => {
                let all = self.world.outbox.dead().redrive_where(Filter::new());
                all.run().await.unwrap();
                self.model.redrive();
            }
            Op::Cancel { at } => self.cancel(at).await,
        }
    }

    async fn enqueue(&mut self, key: usize, commit: bool, plan: Vec<FailureClass>) {
        let text = format!("m{}", self.committed.len() + self.rolled_back.len());
        let mut tx = self.world.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let message = Message::new("t", text.clone()).key(format!("k{key}"));
        let id = self.world.outbox.enqueue(&mut tx, message).await.unwrap().id;
        if !commit {
            tx.rollback().await.unwrap();
            self.rolled_back.push(text);
            return;
        }
        tx.commit().await.unwrap();
        self.exact &= !plan.contains(&FailureClass::Outage);
        self.script.then(&text, plan.iter().copied().map(error));
        let (plan, not_before) = (plan.into(), self.model.now);
        let msg = Msg { text: text.clone(), id, plan, tries: 0, not_before, uncertain: false };
        self.model.queues.entry(key).or_default().push_back(msg);
        self.committed.push((key, text, id));
    }

    async fn cancel(&mut self, at: usize) {
        if self.committed.is_empty() {
            return;
        }
        let (_, text, id) = self.committed[at % self.committed.len()].clone();
        let done = self.world.outbox.cancel(id).await.unwrap();
        let expected = self.model.cancel(id);
        if self.exact {
            assert_eq!(done, expected, "cancel of {text}");
        }
        if done {
            self.cancelled.push(text);
        }
    }

    async fn drain(&mut self) {
        self.world.drain(self.script.clone()).await;
        self.model.drain();
        if !self.exact {
            return;
        }
        let (mut sent, mut expected) = (self.script.sent(), self.model.sent.clone());
        sent.sort();
        expected.sort();
        assert_eq!(sent, expected);
        let dead = self.world.outbox.dead().count(&Filter::new()).await.unwrap();
        assert_eq!(dead, self.model.dead.len() as u64);
        let counted = self.world.count("SELECT COUNT(*) FROM mainstay_attempt").await;
        assert_eq!(counted, i64::try_from(self.model.counted).unwrap());
    }

    /// Lets everything come to its end, then checks what holds whatever happened.
    async fn finish(mut self) {
        for _ in 0..400 {
            self.apply(Op::Redrive).await;
            self.drain().await;
            self.world.time.advance(Duration::from_secs(2));
            self.model.now += 2;
            let health = self.world.outbox.health().await.unwrap();
            if health.unsent + health.retrying + health.parked + health.dead == 0 {
                break;
            }
        }
        let sent = self.script.sent();
        let count = |text: &String| sent.iter().filter(|sent| *sent == text).count();
        let mut repeated = 0;
        for (_, text, _) in &self.committed {
            let times = count(text);
            if self.cancelled.contains(text) {
                assert_eq!(times, 0, "{text} was sent although it was taken back");
            } else {
                assert!(times >= 1, "{text} was lost");
                repeated += times - 1;
            }
        }
        assert!(self.rolled_back.iter().all(|text| count(text) == 0), "sent without a commit");
        assert!(repeated <= self.crashes * BATCH as usize, "{repeated} of {}", self.crashes);
        for key in 0..KEYS {
            let of_key =
                self.committed.iter().filter(|(of, ..)| *of == key).map(|(_, text, _)| text);
            let first: Vec<usize> =
                of_key.filter_map(|text| sent.iter().position(|sent| sent == text)).collect();
            assert!(first.is_sorted(), "key {key} was sent out of order: {sent:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(ops in prop::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new().await;
            for op in ops {
                run.apply(op).await;
            }
            run.finish().await;
        });
    }
}
