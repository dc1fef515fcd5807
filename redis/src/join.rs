//! Many calls of one script become one.

use redis::{Arg, Cmd};

use crate::job::{Answer, Job, Ticket};

/// Joins neighbours that call the same script, if it takes several calls at once.
pub(crate) fn join(jobs: impl Iterator<Item = Job>) -> Vec<Job> {
    let (mut joined, mut run) = (Vec::new(), Vec::new());
    for job in jobs {
        let goes_on = run.first().is_none_or(|first| are_alike(first, &job));
        if !goes_on || run.len() == AT_ONCE {
            flush(&mut run, &mut joined);
        }
        if joins(&job) {
            run.push(job);
        } else {
            joined.push(job);
        }
    }
    flush(&mut run, &mut joined);
    joined
}

/// Joined already, it goes out as it is.
fn joins(job: &Job) -> bool {
    let script = job.ticket.script;
    let whole = job.ticket.asking || matches!(job.ticket.answer, Answer::Parts(_));
    script.is_some_and(|script| script.joined_keys() > 0) && !whole
}

fn are_alike(one: &Job, other: &Job) -> bool {
    let same = one.ticket.script.zip(other.ticket.script);
    let near = one.ticket.slot == other.ticket.slot;
    joins(other) && near && same.is_some_and(|(one, other)| std::ptr::eq(one, other))
}

fn flush(run: &mut Vec<Job>, joined: &mut Vec<Job>) {
    let Some(script) = run.first().and_then(|first| first.ticket.script) else { return };
    let mut command = Cmd::with_capacity(HEAD + run.len() * ARGS, run.len() * BYTES);
    let keys = script.joined_keys();
    command.arg("EVALSHA").arg(script.digest()).arg(run.len() * keys);
    for job in &*run {
        copy(&mut command, job.command.args_iter().skip(HEAD).take(keys));
    }
    for job in &*run {
        copy(&mut command, job.command.args_iter().skip(HEAD + keys));
    }
    let slot = run.first().and_then(|first| first.ticket.slot);
    let parts: Vec<_> = run.drain(..).map(|job| job.ticket).collect();
    let deadline = parts.iter().map(|part| part.deadline).min();
    let strayed = parts.iter().any(|part| part.strayed);
    let answer = Answer::Parts(parts);
    let deadline = deadline.unwrap_or(mainstay_core::Moment::NEVER);
    let ticket = Ticket { slot, strayed, ..Ticket::new(Some(script), answer, deadline) };
    joined.push(Job { command, ticket });
}

/// The calls that were joined to a command, each on its own; they are not joined again.
pub(crate) fn split(mut job: Job) -> Vec<Job> {
    let (Some(script), Answer::Parts(parts)) = (job.ticket.script, &mut job.ticket.answer) else {
        return vec![job];
    };
    if parts.len() < 2 {
        return vec![job];
    }
    let (count, keys, parts) = (parts.len(), script.joined_keys(), std::mem::take(parts));
    let Job { command, ticket } = job;
    let args = (command.args_iter().count() - HEAD - count * keys) / count;
    let single = |(at, part): (usize, Ticket)| {
        let mut single = Cmd::with_capacity(HEAD + keys + args, BYTES);
        single.arg("EVALSHA").arg(script.digest()).arg(keys);
        copy(&mut single, command.args_iter().skip(HEAD + at * keys).take(keys));
        copy(&mut single, command.args_iter().skip(HEAD + count * keys + at * args).take(args));
        let (deadline, strayed) = (part.deadline, ticket.strayed || part.strayed);
        let answer = Answer::Parts(vec![part]);
        let slot = ticket.slot;
        let ticket = Ticket { slot, strayed, ..Ticket::new(Some(script), answer, deadline) };
        Job { command: single, ticket }
    };
    parts.into_iter().enumerate().map(single).collect()
}

fn copy<'a>(command: &mut Cmd, args: impl Iterator<Item = Arg<&'a [u8]>>) {
    for arg in args {
        if let Arg::Simple(arg) = arg {
            command.arg(arg);
        }
    }
}

/// Calls joined at most.
pub(crate) const AT_ONCE: usize = 32;

/// `EVALSHA`, the digest, and how many keys.
const HEAD: usize = 3;

/// Room for the arguments of most calls.
const ARGS: usize = 8;
const BYTES: usize = 192;
