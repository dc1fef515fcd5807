//! Handing out answers.

use redis::Value;

use crate::{
    call::Reply,
    error::RedisError,
    job::{Answer, Ticket},
    router::Router,
    server::Name,
};

/// Tells whoever waits.
pub(crate) fn tell(name: &Name, router: &Router, to: Answer, answer: Result<Reply, RedisError>) {
    match to {
        Answer::Caller(caller) => {
            // Gone meanwhile: the command is done all the same.
            let _ = caller.send(answer);
        }
        Answer::Handler(handler) => handler(answer),
        Answer::Parts(parts) => tell_parts(name, router, parts, answer),
        Answer::Listeners { channel, afar } => {
            if let Err(error) = &answer {
                tracing::warn!(%error, "a subscription was refused");
            }
            if afar || answer.is_err() {
                router.may_have_lost(&channel);
            }
        }
        Answer::Nobody => {}
    }
}

/// Tells each of the calls that were one its part of the answer.
fn tell_parts(name: &Name, router: &Router, parts: Vec<Ticket>, answer: Result<Reply, RedisError>) {
    match answer.and_then(|reply| reply.parts(parts.len())) {
        Ok((answers, written, primary)) => {
            for (part, value) in parts.into_iter().zip(answers) {
                let answer = match value {
                    Value::ServerError(error) => Err(name.refused(&error)),
                    value => Ok(Reply::new(value, written, primary.clone())),
                };
                tell(name, router, part.answer, answer);
            }
        }
        Err(error) => {
            parts.into_iter().for_each(|part| tell(name, router, part.answer, Err(error.clone())));
        }
    }
}
