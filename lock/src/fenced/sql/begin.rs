//! A transaction that is begun to its end, whoever waits for it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use sqlx::{Pool, Transaction};

use super::FenceDatabase;
use crate::manager::Manager;

/// Begins a transaction. Dropped on the way it goes on in the background and is rolled back then: a driver that is
/// interrupted may leave its connection in a transaction that it knows nothing of (sqlx's for MySQL does), and
/// whoever had that connection next would never commit.
pub(super) struct Begin<DB: FenceDatabase> {
    step: Option<Step<DB>>,
    on_its_way: bool,
    manager: Arc<Manager>,
}

type Begun<DB> = Result<Transaction<'static, DB>, sqlx::Error>;
type Step<DB> = Pin<Box<dyn Future<Output = Begun<DB>> + Send>>;

impl<DB: FenceDatabase> Begin<DB> {
    pub(super) fn new(pool: Pool<DB>, manager: Arc<Manager>) -> Self {
        let step = async move { pool.begin_with(DB::BEGIN).await };
        Self { step: Some(Box::pin(step)), on_its_way: false, manager }
    }
}

impl<DB: FenceDatabase> Future for Begin<DB> {
    type Output = Begun<DB>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(step) = &mut this.step else { return Poll::Pending };
        this.on_its_way = true;
        let begun = step.as_mut().poll(cx);
        if begun.is_ready() {
            this.step = None;
        }
        begun
    }
}

impl<DB: FenceDatabase> Drop for Begin<DB> {
    fn drop(&mut self) {
        if let Some(step) = self.step.take().filter(|_| self.on_its_way) {
            // Dropped when it has begun, it is rolled back.
            self.manager.spawner().detach(async move { drop(step.await) });
        }
    }
}
