//! What other processes, and the server, tell this one.

use std::sync::{Arc, Weak};

use mainstay_redis::{Call, Push, Subscription};

use super::{
    ask::{self, Heard, Request},
    names::Held,
    registry::Stage,
    store::Store,
    wire::{self, News},
};
use crate::{
    backend::{Answer, Claim, Grant, Mode, Owner},
    fence::Fence,
    lost::LostReason,
};

/// Listens until the backend is gone.
pub(super) async fn run(store: Weak<Store>, mut subscription: Subscription) {
    while let Some(push) = subscription.recv().await {
        let Some(store) = store.upgrade() else { return };
        match push {
            Push::Message(message) => {
                if let Some(news) = wire::news(&message) {
                    store.tell(news);
                }
            }
            _ if cfg!(mainstay_planted = "no_poll") => {}
            _ => store.look_around(),
        }
    }
}

/// A question about a claim after pushes may have been lost.
enum Question {
    /// It stands in line: does it have the lock by now?
    Asked(Request, Call),
    /// It holds the lock: still?
    Looked(Claim, Call),
}

impl Store {
    fn tell(self: &Arc<Self>, news: News) {
        match news {
            News::Grant { owner, mode, fence, at, lease, holder } => {
                let Some(claim) = self.registry.claim(owner) else {
                    return self.give_back((owner, mode), &holder, fence);
                };
                if self.redis.is_cluster() {
                    // Lasts for a moment only, by the clock of one node among many.
                    return self.ask_again(&claim);
                }
                let Some(since) = self.time.not_after(at, claim.clock().now()) else {
                    return self.ask_again(&claim);
                };
                self.registry.note(owner, Stage::Held);
                if !claim.grant(Grant::new(fence, since, lease)) {
                    self.registry.leave(owner);
                    self.give_back((owner, mode), &holder, fence);
                }
            }
            News::Turn { owner, fence, holder } => match self.registry.claim(owner) {
                Some(claim) => self.ask_again(&claim),
                None => self.give_back((owner, Mode::Shared), &holder, fence),
            },
            News::Look { owner } => {
                if let Some(claim) = self.registry.claim(owner) {
                    self.ask_again(&claim);
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
    fn give_back(&self, owner: (Owner, Mode), holder: &str, fence: Fence) {
        if let Some(held) = Held::told(holder) {
            self.give_on(&held, owner, fence).call_with(drop);
        }
    }

    fn ask_again(self: &Arc<Self>, claim: &Claim) {
        let (request, script) = self.ask(claim, ask::Mode::Poll);
        let question = Question::Asked(request, script.call());
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
            Stage::Waiting => {
                let (request, script) = self.ask(claim, ask::Mode::Wait);
                Some(Question::Asked(request, script.call()))
            }
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
            Question::Asked(request, call) => {
                if let Ok(Heard::Answer(Answer::Granted(grant))) = self.hear(&request, call.await)
                    && !request.claim().grant(grant)
                {
                    let claim = request.claim();
                    self.registry.leave(claim.owner());
                    let (held, owner) = (self.held(claim.key()), (claim.owner(), claim.mode()));
                    self.give_on(&held, owner, grant.fence).call_with(drop);
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
