//! A short run, as `cargo xtask chaos lock` does long ones.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::{Command, Output};

fn chaos(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mainstay-chaos")).arg("lock").args(args).output().unwrap()
}

/// The verdict, without where the history is.
fn verdict(output: &Output) -> serde_json::Value {
    let line = String::from_utf8_lossy(&output.stdout);
    let mut verdict: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| {
        panic!("{error}: {line}{}", String::from_utf8_lossy(&output.stderr));
    });
    verdict["history"] = serde_json::Value::Null;
    verdict
}

#[test]
fn nothing_is_violated_and_the_kept_history_says_so_again() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let history = history.to_str().unwrap();
    let args = ["--seed", "20", "--minutes", "0.25", "--shape", "single", "--history", history];
    let output = chaos(&args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stdout));
    let first = verdict(&output);
    assert!(first["operations"].as_u64() > Some(200), "{first}");
    assert!(first["writes"].as_u64() > Some(50), "{first}");
    assert!(first["faults"].as_object().unwrap().len() >= 10, "{first}");
    assert_eq!(verdict(&chaos(&["--judge", history])), first);
}

#[test]
fn no_replicated_grant_is_lost_where_the_primary_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let history = history.to_str().unwrap();
    let faults = ["--fault", "alone,split", "--shape", "replicated"];
    let output =
        chaos(&[&faults[..], &["--seed", "22", "--minutes", "0.1", "--history", history]].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stdout));
    let verdict = verdict(&output);
    assert!(verdict["failovers"].as_u64() > Some(0), "{verdict}");
    assert!(verdict["grants"].as_u64() > Some(50), "{verdict}");
    assert_eq!(verdict["lost_grants_in"]["replicated"], 0, "{verdict}");
}
