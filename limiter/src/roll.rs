//! Who is in, by name.

use std::{
    collections::BTreeMap,
    panic::Location,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mainstay_core::Moment;

use crate::error::{Holder, Holders};

/// The holders of a bulkhead.
#[derive(Debug, Default)]
pub(crate) struct Roll(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// In the order they came.
    present: BTreeMap<u64, (Name, Moment)>,
}

/// What a holder is called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Name {
    Label(Arc<str>),
    Site(&'static Location<'static>),
}

impl Name {
    fn show(&self) -> String {
        match self {
            Self::Label(label) => label.as_ref().into(),
            Self::Site(site) => site.to_string(),
        }
    }
}

impl Roll {
    pub(crate) fn enter(&self, name: Name, now: Moment) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        inner.present.insert(number, (name, now));
        number
    }

    pub(crate) fn leave(&self, number: u64) {
        let gone = self.lock().present.remove(&number);
        drop(gone);
    }

    /// The names of those present, oldest first, those of one name together.
    pub(crate) fn holders(&self, now: Moment) -> Holders {
        let mut groups: Vec<(Name, usize, Moment)> = Vec::new();
        for (name, since) in self.lock().present.values() {
            match groups.iter().position(|(known, ..)| known == name) {
                Some(at) => groups[at].1 += 1,
                None if groups.len() < Holders::MAX => groups.push((name.clone(), 1, *since)),
                None => {}
            }
        }
        Holders::new(groups.into_iter().map(|(name, count, since)| Holder {
            name: name.show(),
            count,
            oldest: now.saturating_since(since),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
