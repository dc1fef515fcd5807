//! Which slot a command is about.

use redis::{Arg, Cmd};

/// How many slots a Cluster has.
pub(crate) const SLOTS: usize = 16_384;

/// The slot of a key: of its hash tag, if it has one.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS as u16
}

/// The slot of a command's first key; `None` if it has no keys, so that any node may do it.
pub(crate) fn slot_of_command(command: &Cmd) -> Option<u16> {
    let simple = |arg| match arg {
        Arg::Simple(word) => Some(word),
        _ => None,
    };
    let words: Vec<&[u8]> = command.args_iter().filter_map(simple).collect();
    let name = words.first()?.to_ascii_uppercase();
    let number = |at: usize| str::from_utf8(words.get(at)?).ok()?.parse::<usize>().ok();
    let counted = |at: usize| number(at).filter(|count| *count > 0).map(|_| at + 1);
    let at = match &*name {
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" | b"BLMPOP"
        | b"BZMPOP" => counted(2)?,
        b"LMPOP" | b"ZMPOP" | b"SINTERCARD" | b"ZDIFF" | b"ZINTER" | b"ZINTERCARD" | b"ZUNION" => {
            counted(1)?
        }
        b"XREAD" | b"XREADGROUP" => {
            let streams = words.iter().position(|word| word.eq_ignore_ascii_case(b"STREAMS"));
            streams? + 1
        }
        b"XGROUP" | b"XINFO" | b"OBJECT" | b"BITOP" => 2,
        name if KEYLESS.contains(&name) => return None,
        _ => 1,
    };
    words.get(at).map(|key| slot_of(key))
}

/// Between the first `{` and the next `}`, unless there is nothing.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')? + 1;
    let length = key[open..].iter().position(|byte| *byte == b'}')?;
    (length > 0).then(|| &key[open..open + length])
}

/// CRC16 as Redis counts it: polynomial 0x1021, from 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

const KEYLESS: [&[u8]; 32] = [
    b"ACL",
    b"AUTH",
    b"BGREWRITEAOF",
    b"BGSAVE",
    b"CLIENT",
    b"CLUSTER",
    b"COMMAND",
    b"CONFIG",
    b"DBSIZE",
    b"DEBUG",
    b"ECHO",
    b"FLUSHALL",
    b"FLUSHDB",
    b"FUNCTION",
    b"HELLO",
    b"INFO",
    b"KEYS",
    b"LASTSAVE",
    b"LATENCY",
    b"MEMORY",
    b"PING",
    b"PUBLISH",
    b"PUBSUB",
    b"RANDOMKEY",
    b"ROLE",
    b"SCAN",
    b"SCRIPT",
    b"SLOWLOG",
    b"SUBSCRIBE",
    b"TIME",
    b"UNSUBSCRIBE",
    b"WAIT",
];

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(slot_of(b"123456789"), 12739, "the check value 0x31C3 of the algorithm");
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % 16_384);
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    #[test]
    fn the_first_key_of_a_command_is_found() {
        let foo = Some(slot_of(b"foo"));
        let words = |text: &str| {
            let mut words = text.split(' ');
            let mut command = cmd(words.next().unwrap());
            words.for_each(|word| _ = command.arg(word));
            slot_of_command(&command)
        };
        for text in [
            "get foo",
            "EVALSHA abc 2 foo bar x",
            "XREADGROUP GROUP g c COUNT 1 STREAMS foo >",
            "XGROUP CREATE foo g $",
            "ZUNION 1 foo",
            "BLMPOP 0 1 foo LEFT",
            "HSET foo a b",
        ] {
            assert_eq!(words(text), foo, "{text}");
        }
        for text in ["PING", "publish foo x", "EVALSHA abc 0 foo", "INFO server", "WAIT 1 100"] {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
