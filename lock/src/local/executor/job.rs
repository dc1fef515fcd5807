//! A job on its way through a lane.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::outcome::JobError;

/// A job in a lane's queue.
pub(super) struct Job<K> {
    pub(super) key: K,
    pub(super) work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Future of a job's result. The job runs whether or not this is awaited, or kept.
#[must_use = "the job runs; await this to learn what became of it"]
pub struct Submitted<T> {
    answer: oneshot::Receiver<Result<T, JobError>>,
}

impl<T> Future for Submitted<T> {
    type Output = Result<T, JobError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(cx);
        // Without an answer the job is gone, and nobody saw it end.
        answer.map(|answer| answer.unwrap_or(Err(JobError::Interrupted)))
    }
}

impl<T> fmt::Debug for Submitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitted").finish_non_exhaustive()
    }
}

pin_project! {
    /// Runs a job, catches its panic, and tells its submitter; also if it is dropped.
    pub(super) struct Work<F>
    where
        F: Future,
    {
        #[pin]
        job: Option<F>,
        started: bool,
        answer: Answer<F::Output>,
    }

    impl<F: Future> PinnedDrop for Work<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let end = if *this.started { JobError::Interrupted } else { JobError::NotRun };
            this.answer.tell(Err(end));
        }
    }
}

struct Answer<T>(Option<oneshot::Sender<Result<T, JobError>>>);

impl<T> Answer<T> {
    /// Only the first word is heard.
    fn tell(&mut self, outcome: Result<T, JobError>) {
        if let Some(submitter) = self.0.take() {
            // A result that nobody waits for is dropped here.
            let _ = submitter.send(outcome);
        }
    }
}

impl<F: Future> Work<F> {
    pub(super) fn new(job: F) -> (Self, Submitted<F::Output>) {
        let (sender, answer) = oneshot::channel();
        (
            Self { job: Some(job), started: false, answer: Answer(Some(sender)) },
            Submitted { answer },
        )
    }
}

impl<F: Future> Future for Work<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        *this.started = true;
        let Some(job) = this.job.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        let outcome = match catch_unwind(AssertUnwindSafe(|| job.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(JobError::panicked(&*panic)),
        };
        // Whoever hears of the end finds the job gone. What is dropped is the user's and may panic too.
        let _ = catch_unwind(AssertUnwindSafe(|| this.job.set(None)));
        let _ = catch_unwind(AssertUnwindSafe(|| this.answer.tell(outcome)));
        Poll::Ready(())
    }
}
