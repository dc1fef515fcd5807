//! One side of a comparison.

use std::{fmt, hint::black_box};

use tower::{Service, ServiceExt};

use super::Parker;

/// Does something so many times.
pub type Work = Box<dyn FnMut(u64)>;

/// Whose code a side runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Ours.
    Ours,
    /// Another library's, or the bare thing.
    Theirs,
}

/// One side of a comparison.
pub struct Side {
    /// What it is called in tables and bars.
    pub name: &'static str,
    /// Whose code it is.
    pub whose: Whose,
    make: Box<dyn Fn(usize) -> Work + Send + Sync>,
}

impl Side {
    /// Code of ours; `make` is called in each thread, with its number.
    pub fn ours(name: &'static str, make: impl Fn(usize) -> Work + Send + Sync + 'static) -> Self {
        Self { name, whose: Whose::Ours, make: Box::new(make) }
    }

    /// What ours is compared with.
    pub fn theirs(
        name: &'static str,
        make: impl Fn(usize) -> Work + Send + Sync + 'static,
    ) -> Self {
        Self { name, whose: Whose::Theirs, make: Box::new(make) }
    }

    /// The work of one thread. To be called in that thread.
    pub fn work(&self, thread: usize) -> Work {
        (self.make)(thread)
    }
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Calls a plain function.
pub fn plain<T>(mut call: impl FnMut(u64) -> T + 'static) -> Work {
    Box::new(move |times| {
        for n in 0..times {
            black_box(call(black_box(n)));
        }
    })
}

/// Calls something that makes a future, and waits for it.
pub fn futures<F: Future>(mut call: impl FnMut(u64) -> F + 'static) -> Work {
    let parker = Parker::new();
    Box::new(move |times| {
        for n in 0..times {
            black_box(parker.wait(call(black_box(n))));
        }
    })
}

/// Calls a service: waits until it is ready, then for its answer.
pub fn service<S>(mut service: S) -> Work
where
    S: Service<u64> + 'static,
{
    let parker = Parker::new();
    Box::new(move |times| {
        for n in 0..times {
            let call = async { service.ready().await?.call(black_box(n)).await };
            // What it answers is the same each time, and was looked at when the side was made.
            let _ = black_box(parker.wait(call));
        }
    })
}
