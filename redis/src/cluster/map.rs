//! Who serves which slots, as a node says.

use std::sync::Arc;

use redis::Value;

use super::slot::SLOTS;
use crate::{call::Reply, error::RedisError};

/// The address of a node. A clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
}

impl Address {
    /// Reads `host:port`, as in a redirection; `asked` stands in for a host that is left out.
    pub(super) fn read(text: &str, asked: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { host_of(asked) } else { host };
        Some(Self { host: host.trim_matches(['[', ']']).into(), port: port.parse().ok()? })
    }
}

/// Who serves which slots.
#[derive(PartialEq, Eq)]
pub(super) struct SlotMap {
    ranges: Vec<(usize, usize, Address)>,
}

impl SlotMap {
    /// Reads the answer to `CLUSTER SLOTS`.
    pub(super) fn read(reply: Reply) -> Result<Self, RedisError> {
        let asked = reply.primary().address().to_owned();
        let ranges: Vec<Vec<Value>> = reply.read()?;
        let ranges: Option<Vec<_>> = ranges.iter().map(|range| served(range, &asked)).collect();
        let strange = || RedisError::unreadable("`CLUSTER SLOTS` has another shape".into());
        ranges.map(|ranges| Self { ranges }).ok_or_else(strange)
    }

    /// Who serves each slot, from the first to the last.
    pub(super) fn owners(&self) -> Vec<Option<&Address>> {
        let mut owners = vec![None; SLOTS];
        for (from, to, owner) in &self.ranges {
            let theirs = owners.get_mut(*from..=*to).into_iter().flatten();
            theirs.for_each(|place| *place = Some(owner));
        }
        owners
    }

    /// Every primary once.
    pub(super) fn primaries(&self) -> Vec<Address> {
        let mut primaries: Vec<Address> = Vec::new();
        for (_, _, owner) in &self.ranges {
            if !primaries.contains(owner) {
                primaries.push(owner.clone());
            }
        }
        primaries
    }
}

/// `[from, to, [host, port, ..], replicas ..]`; a node that does not know its own host leaves it out.
fn served(range: &[Value], asked: &str) -> Option<(usize, usize, Address)> {
    let [from, to, Value::Array(primary), ..] = range else { return None };
    let [host, port, ..] = &primary[..] else { return None };
    let host: Option<String> = redis::from_redis_value_ref(host).ok()?;
    let host = host.filter(|host| !host.is_empty() && host != "?");
    let host = host.as_deref().unwrap_or_else(|| host_of(asked)).into();
    let address = Address { host, port: redis::from_redis_value_ref(port).ok()? };
    let number = |value| redis::from_redis_value_ref::<usize>(value).ok();
    Some((number(from)?, number(to)?, address))
}

fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
