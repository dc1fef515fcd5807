//! For programs.

use serde::Serialize;

use super::{Machine, Report, Verdict};
use crate::harness::Table;

#[derive(Serialize)]
struct Page<'a> {
    name: &'a str,
    machine: &'a Machine,
    bars: &'a [Verdict],
    tables: &'a [Table],
}

/// Every figure of every round.
pub(super) fn page(report: &Report) -> Result<String, serde_json::Error> {
    let Report { name, machine, tables, verdicts, .. } = report;
    let mut text = serde_json::to_string_pretty(&Page { name, machine, bars: verdicts, tables })?;
    text.push('\n');
    Ok(text)
}
