//! The contract checks accept a layer that keeps the contract and find each way of breaking it.

use std::{
    cell::Cell,
    convert::Infallible,
    rc::Rc,
    task::{Context, Poll},
};

use mainstay_testkit::tower_contract::{
    asks_before_it_calls, forwards_readiness, holds_nothing_after_drop, holds_nothing_while_idle,
    keeps_every_contract,
};
use tower_layer::{Identity, Layer, layer_fn};
use tower_service::Service;

#[tokio::test]
async fn a_layer_that_does_nothing_keeps_every_contract() {
    keeps_every_contract::<_, u32, Infallible>(&Identity::new(), || 7).await;
}

/// A service that breaks one rule.
struct Rogue<S> {
    inner: S,
    fault: Fault,
    slots: Rc<Cell<usize>>,
    slot: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Answers ready without asking.
    NeverAsks,
    /// Calls a fresh clone of the service that answered ready.
    CallsAClone,
    /// Takes a slot while it becomes ready.
    TakesASlotWhenReady,
    /// Takes a slot in `call` that a dropped future does not give back.
    LeaksASlotWhenDropped,
}

fn rogue<S>(fault: Fault) -> impl Layer<S, Service = Rogue<S>> {
    let slots = Rc::new(Cell::new(10));
    layer_fn(move |inner| Rogue { inner, fault, slots: Rc::clone(&slots), slot: false })
}

impl<S: Clone> Clone for Rogue<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            fault: self.fault,
            slots: Rc::clone(&self.slots),
            slot: false,
        }
    }
}

impl<S> Rogue<S> {
    fn take_slot(&mut self) -> bool {
        let left = self.slots.get();
        self.slots.set(left.saturating_sub(1));
        left > 0
    }
}

impl<S, R> Service<R> for Rogue<S>
where
    S: Service<R> + Clone + 'static,
    R: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.fault == Fault::NeverAsks {
            return Poll::Ready(Ok(()));
        }
        if self.fault == Fault::TakesASlotWhenReady && !self.slot {
            if !self.take_slot() {
                return Poll::Pending;
            }
            self.slot = true;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut inner = self.inner.clone();
        if self.fault == Fault::CallsAClone {
            return Box::pin(async move { inner.call(request).await });
        }
        let admitted = self.fault != Fault::LeaksASlotWhenDropped || self.take_slot();
        let slots = Rc::clone(&self.slots);
        let answer = self.inner.call(request);
        Box::pin(async move {
            if !admitted {
                panic!("a call was refused: no slot is left");
            }
            let answer = answer.await;
            slots.set(slots.get() + 1);
            answer
        })
    }
}

#[tokio::test]
#[should_panic(expected = "had not answered ready")]
async fn a_layer_that_never_asks_is_found() {
    asks_before_it_calls::<_, _, Infallible>(&rogue(Fault::NeverAsks), || 7).await;
}

#[test]
#[should_panic(expected = "the inner service is busy")]
fn a_layer_that_hides_a_busy_service_is_found() {
    forwards_readiness::<_, u32, Infallible>(&rogue(Fault::NeverAsks));
}

#[tokio::test]
#[should_panic(expected = "had not answered ready")]
async fn a_layer_that_calls_a_clone_is_found() {
    asks_before_it_calls::<_, _, Infallible>(&rogue(Fault::CallsAClone), || 7).await;
}

#[tokio::test]
#[should_panic(expected = "hold something")]
async fn a_layer_that_takes_a_slot_when_ready_is_found() {
    holds_nothing_while_idle::<_, _, Infallible>(&rogue(Fault::TakesASlotWhenReady), || 7).await;
}

#[tokio::test]
#[should_panic(expected = "a call was refused")]
async fn a_layer_that_leaks_a_slot_when_dropped_is_found() {
    holds_nothing_after_drop::<_, _, Infallible>(&rogue(Fault::LeaksASlotWhenDropped), || 7).await;
}
