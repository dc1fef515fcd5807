//! What a run prints.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Result, judge::Verdict};

/// Violations that are told in full; the others are counted.
const TOLD: usize = 20;

/// One line of JSON, and before it, for a person, what was violated.
pub(crate) fn print(verdict: &Verdict, history: &Path) -> Result<()> {
    for violation in verdict.violations.iter().take(TOLD) {
        eprintln!("violation: {:?}: {}", violation.rule, violation.what);
    }
    let mut line = serde_json::to_value(verdict)?;
    let mut rules = serde_json::Map::new();
    for violation in &verdict.violations {
        let rule = serde_json::to_value(violation.rule)?;
        let rule = rule.as_str().unwrap_or_default().to_owned();
        let count = rules.get(&rule).and_then(Value::as_u64).unwrap_or(0);
        rules.insert(rule, json!(count + 1));
    }
    line["injected"] = json!(verdict.faults.values().sum::<usize>());
    line["violations"] = json!(verdict.violations.len());
    line["violated"] = Value::Object(rules);
    line["history"] = json!(history);
    println!("{line}");
    Ok(())
}
