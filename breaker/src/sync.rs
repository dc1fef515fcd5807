//! The synchronisation types of this crate, in one place so that a model checker can replace them.

pub(crate) use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
