//! The primitives that hand-made synchronisation uses; the model check brings its own.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
