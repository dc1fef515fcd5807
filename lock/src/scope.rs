//! Which locks the current task is inside of.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use mainstay_core::Key;
use pin_project_lite::pin_project;

use crate::{hold::Hold, manager::Manager};

tokio::task_local! {
    static INSIDE: Scope;
}

/// The locks that a piece of work runs under, innermost first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope(Option<Arc<Level>>);

#[derive(Debug)]
struct Level {
    hold: Arc<Hold>,
    outer: Scope,
}

impl Scope {
    /// The scope of the task that runs now.
    pub(crate) fn current() -> Self {
        INSIDE.try_with(Clone::clone).unwrap_or_default()
    }

    /// The current scope and `hold` inside of it.
    pub(crate) fn with(hold: Arc<Hold>) -> Self {
        Self(Some(Arc::new(Level { hold, outer: Self::current() })))
    }

    /// The hold of `key` that this scope is inside of.
    pub(crate) fn find(&self, manager: &Arc<Manager>, key: &Key) -> Option<&Arc<Hold>> {
        self.holds().find(|hold| hold.key() == key && Arc::ptr_eq(hold.manager(), manager))
    }

    /// The holds that this scope is inside of, innermost first.
    pub(crate) fn holds(&self) -> impl Iterator<Item = &Arc<Hold>> {
        let mut scope = self;
        std::iter::from_fn(move || {
            let level = scope.0.as_ref()?;
            scope = &level.outer;
            Some(&level.hold)
        })
    }

    /// Runs `work` inside this scope.
    pub(crate) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        INSIDE.sync_scope(self.clone(), work)
    }
}

pin_project! {
    /// Future that runs inside locks: what it asks for again, it gets at once.
    ///
    /// Made by [`LockGuard::scope`](crate::LockGuard::scope) and [`LockExt::in_lock_scope`]. It does not
    /// hold the lock: that is the guard's part.
    #[must_use = "futures do nothing unless polled"]
    pub struct InScope<F> {
        #[pin]
        future: F,
        scope: Scope,
    }
}

impl<F> InScope<F> {
    pub(crate) fn new(future: F, scope: Scope) -> Self {
        Self { future, scope }
    }
}

impl<F: Future> Future for InScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.scope.enter(|| this.future.poll(cx))
    }
}

impl<F> fmt::Debug for InScope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InScope").finish_non_exhaustive()
    }
}

/// Passes locks on to work that is spawned.
pub trait LockExt: Future + Sized {
    /// Lets the future run inside the locks that the current task is inside of.
    ///
    /// A spawned task does not inherit them: it would share the lock with its parent without anybody
    /// having said so. The parent's guard must outlive the child for this to mean anything.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainstay_lock::{LockError, LockExt, Locks};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let locks = Locks::in_process();
    /// let again = locks.clone();
    /// locks.lock("order:7").run(async move {
    ///     let child = async move { again.try_lock("order:7").await.map(|guard| guard.is_some()) };
    ///     let inherited = tokio::spawn(child.in_lock_scope()).await.expect("no panic in the child");
    ///     assert!(inherited?);
    ///     Ok::<(), LockError>(())
    /// }).await
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn in_lock_scope(self) -> InScope<Self> {
        InScope::new(self, Scope::current())
    }
}

impl<F: Future> LockExt for F {}
