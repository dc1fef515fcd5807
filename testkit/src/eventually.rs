use std::{fmt::Display, time::Duration};

use crate::{
    KitError,
    time::{now, pause, within},
};

/// First pause between two looks; it doubles up to [`SLOWEST`].
const FASTEST: Duration = Duration::from_millis(5);
/// Longest pause between two looks.
const SLOWEST: Duration = Duration::from_millis(100);

/// Looks again and again until `check` says yes, for at most `deadline`.
///
/// A check is a closure that makes a future of `bool` or of `Result`. A look that hangs is given up
/// at the deadline, so a server that swallows requests cannot hang the test. It waits in real time:
/// under a paused tokio clock the deadline comes at once.
///
/// # Errors
///
/// [`TimedOut`], which carries what the last look said.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, time::Duration};
/// use mainstay_testkit::eventually;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let looks = Cell::new(0);
/// eventually(Duration::from_secs(5), || async {
///     looks.set(looks.get() + 1);
///     looks.get() == 3
/// })
/// .await
/// .unwrap();
/// # });
/// ```
pub async fn eventually<F, Fut>(
    deadline: Duration,
    mut check: F,
) -> Result<<Fut::Output as Verdict>::Value, TimedOut>
where
    F: FnMut() -> Fut,
    Fut: Future<Output: Verdict>,
{
    let end = now() + deadline;
    let mut last = "no look finished".to_owned();
    let mut gap = FASTEST;
    loop {
        let left = end.saturating_duration_since(now());
        match within(left, check()).await.map(Verdict::verdict) {
            Some(Ok(value)) => return Ok(value),
            Some(Err(why)) => last = why,
            None => {
                return Err(TimedOut {
                    waited: deadline,
                    last: format!("{last} (the look after that did not finish)"),
                });
            }
        }
        if now() + gap >= end {
            return Err(TimedOut { waited: deadline, last });
        }
        pause(gap).await;
        gap = (gap * 2).min(SLOWEST);
    }
}

/// What a look of [`eventually`] says: `bool`, or a `Result` whose error explains the no.
pub trait Verdict {
    /// What a yes carries.
    type Value;

    /// Yes with its value, or no with the reason.
    ///
    /// # Errors
    ///
    /// The reason of a no.
    fn verdict(self) -> Result<Self::Value, String>;
}

impl Verdict for bool {
    type Value = ();

    fn verdict(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "it is not so".to_owned())
    }
}

impl<T, E: Display> Verdict for Result<T, E> {
    type Value = T;

    fn verdict(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// A condition did not come true in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not so after {waited:?}: {last}")]
#[non_exhaustive]
pub struct TimedOut {
    /// How long it was waited for.
    pub waited: Duration,
    /// What the last look said.
    pub last: String,
}

impl TimedOut {
    /// Names what was waited for.
    #[must_use]
    pub fn while_waiting_for(self, what: impl Into<String>) -> KitError {
        KitError::TimedOut { what: what.into(), waited: self.waited, last: self.last }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn the_value_of_the_first_yes_is_returned() {
        let looks = Cell::new(0);
        let value = eventually(Duration::from_secs(30), || async {
            looks.set(looks.get() + 1);
            if looks.get() < 3 { Err("early") } else { Ok(7) }
        })
        .await;
        assert_eq!((value, looks.get()), (Ok(7), 3));
    }

    #[tokio::test]
    async fn a_time_out_carries_the_last_no() {
        let looks = Cell::new(0);
        let error = eventually(Duration::from_millis(20), || async {
            looks.set(looks.get() + 1);
            Err::<(), _>(format!("no {}", looks.get()))
        })
        .await
        .unwrap_err();
        assert_eq!(error.last, format!("no {}", looks.get()));
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_given_up() {
        let error =
            eventually(Duration::from_millis(20), std::future::pending::<bool>).await.unwrap_err();
        assert!(error.last.contains("did not finish"), "{error}");
    }
}
