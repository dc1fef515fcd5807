//! What every backend must do, as named cases.
//!
//! Behind the feature `testing`, for the tests of a [`Backend`](crate::backend::Backend). A case uses nothing
//! but [`Locks`](crate::Locks): it sees what users see.
//!
//! # Examples
//!
//! ```
//! use mainstay_lock::{InProcess, ManualClock, conformance::{Arena, cases}};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! for case in cases() {
//!     let time = ManualClock::new();
//!     let store = InProcess::new(time.clock());
//!     let arena = Arena::manual(time, move |builder| builder.backend(store.clone()));
//!     case.run(&arena).await.map_err(|broken| format!("{}: {broken}", case.name()))?;
//! }
//! # Ok::<(), String>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arena;
mod ends;
mod loss;
mod queue;
mod shared;
mod takes;

use std::{error::Error, fmt, pin::Pin};

pub use arena::Arena;

/// What a backend did not do.
pub type Broken = Box<dyn Error + Send + Sync>;

type Checked<'a> = Pin<Box<dyn Future<Output = Result<(), Broken>> + 'a>>;

/// What some backends cannot do, and say so. A case that needs it is left out for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ability {
    /// One line for the waiters of all clients, which each of them sees.
    OneLine,
    /// Fence and metadata of another client's holder are shown.
    ShowsHolder,
    /// Several hold one lock at the same time, see [`Backend::shares`](crate::backend::Backend::shares).
    Shares,
}

/// One thing that every backend must do, or every backend with certain abilities.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    needs: &'static [Ability],
    check: for<'a> fn(&'a Arena) -> Checked<'a>,
}

impl Case {
    /// The case in a few words.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What a backend must be able to do for this case to make sense; for most, nothing special.
    pub fn needs(&self) -> &'static [Ability] {
        self.needs
    }

    /// Runs the case in an arena; several cases may share one.
    ///
    /// # Errors
    ///
    /// What the backend did not do.
    pub async fn run(&self, arena: &Arena) -> Result<(), Broken> {
        (self.check)(arena).await
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

macro_rules! cases {
    ($($module:ident :: { $($name:ident $([$($need:ident),*])?),* $(,)? })*) => {
        /// Every case.
        pub fn cases() -> Vec<Case> {
            vec![$($(Case {
                name: stringify!($name),
                needs: &[$($(Ability::$need),*)?],
                check: |arena| Box::pin($module::$name(arena)),
            }),*),*]
        }
    };
}

cases! {
    takes::{
        free_lock_is_granted,
        held_lock_is_refused,
        dropped_guard_frees,
        release_may_be_repeated,
        fences_rise,
        names_are_independent,
        scope_enters_again,
        holder_and_waiters_are_shown [OneLine, ShowsHolder],
    }
    queue::{
        waiters_of_one_client_take_turns,
        leaving_the_queue_spares_the_holder,
        waiters_are_served_in_order [OneLine],
        wait_budget_ends,
        dropped_waiter_is_skipped [OneLine],
        dropped_requests_leave_nothing,
        contenders_never_overlap,
    }
    ends::{
        renewal_outlives_the_lease,
        fixed_lease_ends,
        ended_lease_goes_to_the_head [OneLine],
        takeover_admits_one,
        late_release_spares_successor [ShowsHolder],
        extended_lease_lasts,
    }
    loss::{
        force_release_tells_the_holder [OneLine],
        hung_holder_is_ended,
        shutdown_refuses_waiters [OneLine],
        shutdown_takes_what_is_left,
    }
    shared::{
        readers_share [Shares],
        plain_locks_and_readers_exclude_each_other [Shares],
        fences_rise_over_readers [Shares],
        reader_does_not_pass_a_writer [Shares],
        readers_at_the_head_get_in_together [Shares],
        many_readers_get_in_together [Shares],
        writer_that_gives_up_lets_readers_in [Shares],
        reader_is_renewed [Shares],
        reader_ends_alone [Shares],
        dead_readers_let_the_writer_in [Shares],
        force_release_tells_all_readers [Shares],
        readers_are_shown [Shares],
        dropped_readers_leave_nothing [Shares],
        readers_and_writers_never_overlap [Shares],
    }
}

/// Turns what does not hold into an error that says so.
fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(what().into()) }
}
