//! For people.

use std::fmt::Write;

use super::{Machine, Report, Verdict, figure};
use crate::harness::{Samples, Table};

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut page = format!("# {}\n\n{}\n", report.title, how(&report.machine));
    let _ = write!(page, "\n## Bars\n\n{}", bars(&report.verdicts));
    let _ = write!(page, "\n![{} in pictures]({}.svg)\n", report.title, report.name);
    for table in &report.tables {
        page.push_str(&details(table));
    }
    page
}

/// The table of bars.
pub(super) fn bars(verdicts: &[Verdict]) -> String {
    let mut text = String::from(
        "| what | reference | ours | figure | bar | met? |\n|---|---|---|---|---|---|\n",
    );
    for verdict in verdicts {
        let Verdict { what, reference, ours, figure, bar, met, .. } = verdict;
        let reference = reference.as_deref().unwrap_or("-");
        let met = met.map_or("-", |met| if met { "yes" } else { "**no**" });
        let _ = writeln!(text, "| {what} | {reference} | {ours} | {figure} | {bar} | {met} |");
    }
    text
}

fn how(machine: &Machine) -> String {
    let Machine { cores, processor, kernel, rustc, load, beside, peers } = machine;
    let beside = beside.as_ref().map_or_else(String::new, |what| format!(" ({what})"));
    let peers: Vec<String> =
        peers.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "Medians over rounds in which every side had its turn; a comparison is the median of what it was in each round. \
         Calls are measured in CPU time of their thread. In brackets: the middle half of the rounds.\n\n\
         {cores} cores ({processor}), {kernel}, {rustc}; load before the run {load}{beside}. Beside ours: {}.",
        peers.join(", ")
    )
}

fn details(table: &Table) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n| |", table.title, table.note);
    for column in &table.columns {
        let unit =
            if column.unit.is_empty() { String::new() } else { format!(", {}", column.unit) };
        let _ = write!(text, " {}{unit} |", column.name);
    }
    let _ = write!(text, "\n|---|{}\n", "---|".repeat(table.columns.len()));
    for row in &table.rows {
        let side = if row.ours { format!("**{}**", row.side) } else { row.side.to_owned() };
        let cells: Vec<String> =
            row.cells.iter().map(|cell| cell.as_ref().map_or_else(String::new, shown)).collect();
        let _ = writeln!(text, "| {side} | {} |", cells.join(" | "));
    }
    text
}

fn shown(samples: &Samples) -> String {
    let median = figure(samples.median());
    match samples.0.len() {
        0 | 1 => median,
        _ => format!(
            "{median} ({}-{})",
            figure(samples.quantile(0.25)),
            figure(samples.quantile(0.75))
        ),
    }
}
