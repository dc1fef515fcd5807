//! The primitives of the engine, in one place so that a model checker can replace them.

pub(crate) use std::sync::{Mutex, atomic::AtomicU64, atomic::Ordering};
