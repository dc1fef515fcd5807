//! What other processes, and the server, tell this one.

use std::sync::{Arc, Weak};

use mainstay_redis::{Call, Push, Subscription};

use super::{
    ask::{Mode, PATIENCE, Request, millis},
    names::Names,
    registry::Stage,
    scripts::RELEASE,
    store::Store,
    wire::{self, News},
};
use crate::{
    backend::{Answer, Claim, Grant, Owner},
    lost::LostReason,
};

/// Listens until the backend is gone.
pub(super) async fn run(store: Weak<Store>, mut subscription: Subscription) {
    while let Some(push) = subscription.recv().await {
        let Some(store) = store.upgrade() else { return };
        match push {
            Push::Message(message) => {
                if let Some(news) = wire::news(&message) {
                    store.hear(news);
                }
            }
            _ => store.look_around(),
        }
    }
}

/// A question about a claim after pushes may have been lost.
enum Question {
    /// It stands in line: does it have the lock by now?
    Asked(Claim, Request),
    /// It holds the lock: still?
    Looked(Claim, Call),
}

impl Store {
    fn hear(self: &Arc<Self>, news: News) {
        match news {
            News::Grant { owner, fence, at, lease, holder } => {
                let Some(claim) = self.registry.claim(owner) else {
                    return self.give_back(owner, &holder);
                };
                let Some(since) = self.time.not_after(at, claim.clock().now()) else {
                    return self.ask_again(&claim);
                };
                self.registry.note(owner, Stage::Held);
                if !claim.grant(Grant::new(fence, since, lease)) {
                    self.registry.leave(owner);
                    self.give_back(owner, &holder);
                }
            }
            News::Lose { owner, reason } => {
                if let Some(claim) = self.registry.leave(owner) {
                    claim.lose(&LostReason::ForceReleased { reason });
                }
            }
        }
    }

    /// Gives on what nobody here wants. If that fails the lease ends it.
    fn give_back(&self, owner: Owner, holder: &str) {
        let Some(names) = Names::of_holder(holder) else { return };
        let call = self.release(&names, owner);
        self.spawner.detach(call);
    }

    pub(super) fn release(&self, names: &Names, owner: Owner) -> Call {
        let script = self.redis.eval(&RELEASE, names.all());
        script.arg(owner.to_string()).arg(millis(PATIENCE)).call()
    }

    fn ask_again(self: &Arc<Self>, claim: &Claim) {
        let question = Question::Asked(claim.clone(), self.ask(claim, Mode::Poll));
        let store = self.clone();
        self.spawner.detach(async move { store.hear_out(question).await });
    }

    /// Pushes may be lost, and the server may be another one: asks for every claim.
    fn look_around(self: &Arc<Self>) {
        self.time.forget();
        let questions = self.registry.each(|claim, stage| match stage {
            // Its own answer tells.
            Stage::Asking => None,
            Stage::Waiting if !claim.is_wanted() => None,
            Stage::Waiting => Some(Question::Asked(claim.clone(), self.ask(claim, Mode::Wait))),
            Stage::Held => Some(Question::Looked(claim.clone(), self.look(claim))),
        });
        let store = self.clone();
        self.spawner.detach(async move {
            for question in questions {
                store.hear_out(question).await;
            }
        });
    }

    /// Tells a claim what came of a question. Without an answer the client's own polls and renewals tell.
    async fn hear_out(&self, question: Question) {
        match question {
            Question::Asked(claim, request) => {
                if let Ok(Answer::Granted(grant)) = self.answer(request).await
                    && !claim.grant(grant)
                {
                    self.registry.leave(claim.owner());
                    let given_back = self.release(&self.names(claim.key()), claim.owner());
                    self.spawner.detach(given_back);
                }
            }
            Question::Looked(claim, call) => {
                let held = call.await.and_then(|reply| reply.read::<Vec<i64>>());
                if held.is_ok_and(|held| held == [0]) {
                    self.registry.leave(claim.owner());
                    claim.lose(&LostReason::TakenOver);
                }
            }
        }
    }
}
