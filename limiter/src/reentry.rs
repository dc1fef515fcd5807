//! What the current task already holds.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{permit::Slot, scopes::ResolvedScopes};

tokio::task_local! {
    static HELD: Arc<Node>;
}

/// One slot of the task, and those around it.
#[derive(Debug)]
pub(crate) struct Node {
    slot: Arc<Slot>,
    outer: Option<Arc<Node>>,
}

impl Node {
    /// The scope of `slot` inside the current one.
    pub(crate) fn nested(slot: Arc<Slot>) -> Arc<Self> {
        slot.scopes.core().set_nested();
        Arc::new(Self { slot, outer: HELD.try_with(Arc::clone).ok() })
    }

    /// The scope of `slot` alone, for another task.
    pub(crate) fn root(slot: Arc<Slot>) -> Arc<Self> {
        slot.scopes.core().set_nested();
        Arc::new(Self { slot, outer: None })
    }

    /// Runs `work` inside this scope.
    pub(crate) fn enter<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        HELD.sync_scope(self.clone(), work)
    }
}

/// A slot of the current task that covers `scopes` at `weight`.
#[inline]
pub(crate) fn covering(scopes: &ResolvedScopes, weight: u32) -> Option<Arc<Slot>> {
    if scopes.core().is_nested() { find(scopes, weight) } else { None }
}

fn find(scopes: &ResolvedScopes, weight: u32) -> Option<Arc<Slot>> {
    let find = |innermost: &Arc<Node>| {
        let covers =
            |node: &&Arc<Node>| node.slot.weight >= weight && node.slot.scopes.covers(scopes);
        let mut chain = std::iter::successors(Some(innermost), |node| node.outer.as_ref());
        chain.find(covers).map(|node| node.slot.clone())
    };
    HELD.try_with(find).ok().flatten()
}

pin_project! {
    /// Future of [`Permit::scope`](crate::Permit::scope).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the work. The slot stays with the permit.
    #[must_use = "futures do nothing unless polled"]
    pub struct InScope<F> {
        #[pin]
        work: F,
        node: Arc<Node>,
    }
}

impl<F> InScope<F> {
    pub(crate) fn new(node: Arc<Node>, work: F) -> Self {
        Self { work, node }
    }
}

impl<F: Future> Future for InScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.node.enter(|| this.work.poll(cx))
    }
}

impl<F> fmt::Debug for InScope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InScope").finish_non_exhaustive()
    }
}
