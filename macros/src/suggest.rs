//! What a misspelt or misplaced argument was meant to be.

use crate::kind::Kind;

/// Words that people use for an argument.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("with", &["handle", "by", "on", "locks", "limiter", "breaker", "outbox", "using"]),
    ("key", &["name", "keys", "scope", "path"]),
    ("mode", &["shared", "read", "write", "exclusive", "rw"]),
    ("wait", &["timeout", "wait_for", "deadline", "max_wait"]),
    ("lease", &["ttl", "expire", "expires", "lease_time"]),
    ("ttl", &["lease", "expire", "expires", "keep"]),
    ("guard", &["token", "fence", "bind", "permit", "handle", "call", "as"]),
    ("tx", &["transaction", "conn", "connection", "guard"]),
    ("permits", &["weight", "n", "count", "max"]),
    ("id", &["request_id"]),
    ("classify", &["classifier", "outcome", "is_failure"]),
    ("fingerprint", &["hash", "params", "parameters"]),
    ("on_reject", &["fallback", "or_else", "on_error", "reject", "on_open"]),
    ("crate", &["krate", "crate_path"]),
];

/// The argument of `kind` that `written` was most likely meant to be.
pub(crate) fn argument(kind: Kind, written: &str) -> Option<&'static str> {
    nearest(kind, written).or_else(|| synonym(kind, written))
}

/// The attributes that do take `written`.
pub(crate) fn takers(written: &str) -> Vec<&'static str> {
    let takes = |kind: &Kind| kind.arguments().contains(&written);
    Kind::ALL.into_iter().filter(takes).map(Kind::name).collect()
}

fn nearest(kind: Kind, written: &str) -> Option<&'static str> {
    let near = |name: &'static str| (distance(name, written), name);
    let (distance, name) = kind.arguments().iter().copied().map(near).min()?;
    (distance <= name.len() / 3).then_some(name)
}

fn synonym(kind: Kind, written: &str) -> Option<&'static str> {
    let fits = |name: &&&str| {
        SYNONYMS.iter().any(|(for_name, words)| for_name == *name && words.contains(&written))
    };
    kind.arguments().iter().find(fits).copied()
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_and_missing_letters_are_found() {
        assert_eq!(argument(Kind::Lock, "wati"), Some("wait"));
        assert_eq!(argument(Kind::Lock, "leas"), Some("lease"));
        assert_eq!(argument(Kind::Breaker, "onreject"), Some("on_reject"));
    }

    #[test]
    fn synonyms_are_found_only_where_the_argument_exists() {
        assert_eq!(argument(Kind::Lock, "timeout"), Some("wait"));
        assert_eq!(argument(Kind::Lock, "ttl"), Some("lease"));
        assert_eq!(argument(Kind::Idempotent, "keep"), Some("ttl"));
        assert_eq!(argument(Kind::Transactional, "timeout"), None);
    }

    #[test]
    fn nonsense_suggests_nothing() {
        assert_eq!(argument(Kind::Lock, "banana"), None);
    }
}
