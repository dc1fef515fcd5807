//! Runs a command, shows what it prints as it prints it, and reads along.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Read, Write},
    process::{Command, ExitStatus, Stdio},
    thread,
};

/// Runs `command` and hands each line, without colours, to `read`.
pub(crate) fn read_along(
    command: &mut Command,
    read: impl Fn(&str) + Sync,
) -> io::Result<ExitStatus> {
    if io::stderr().is_terminal() {
        // It sees a pipe and would go without colours.
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let out = child.stdout.take().expect("stdout is piped above");
    let err = child.stderr.take().expect("stderr is piped above");
    thread::scope(|scope| {
        let errors = scope.spawn(|| copy(err, io::stderr(), &read));
        copy(out, io::stdout(), &read)?;
        errors.join().expect("copying does not panic")
    })?;
    child.wait()
}

fn copy(from: impl Read, mut to: impl Write, read: &impl Fn(&str)) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        read(&plain(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    to.flush()
}

/// A line without colours: an escape sequence ends with the first letter.
fn plain(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        out += end.map_or("", |end| &part[end + 1..]);
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(plain("\u{1b}[32;1m  3\u{1b}[0m passed\n"), "  3 passed");
    }

    #[test]
    fn both_streams_are_read_and_the_status_is_returned() {
        let lines = Mutex::new(Vec::new());
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let status = read_along(&mut command, |line| {
            lines.lock().unwrap().push(line.to_owned());
        });
        let mut lines = lines.into_inner().unwrap();
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
        assert_eq!(status.unwrap().code(), Some(3));
    }
}
