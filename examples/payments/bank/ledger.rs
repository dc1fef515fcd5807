//! The bank's ledger: one line a charge, only ever appended.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

/// A booked charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) charge_id: String,
    pub(super) reference: String,
    pub(super) customer: String,
    pub(super) cents: u64,
}

/// Charges in the order of their booking, in memory and in a file.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    entries: Vec<Entry>,
}

impl Ledger {
    /// Starts an empty ledger at `path`.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create_new(path)?, entries: Vec::new() })
    }

    /// Books a charge and gives it its name.
    pub(super) fn book(
        &mut self,
        reference: &str,
        customer: &str,
        cents: u64,
    ) -> io::Result<&Entry> {
        let entry = Entry {
            charge_id: format!("charge-{}", self.entries.len() + 1),
            reference: reference.to_owned(),
            customer: customer.to_owned(),
            cents,
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.entries.push(entry);
        Ok(&self.entries[self.entries.len() - 1])
    }

    /// Number of charges booked.
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The charge at `index`.
    pub(super) fn get(&self, index: usize) -> &Entry {
        &self.entries[index]
    }
}

/// Reads a ledger back: how the outside sees it after the bank has closed.
pub(super) fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path)?;
    let entry = |line| serde_json::from_str(line).map_err(io::Error::from);
    text.lines().map(entry).collect()
}
