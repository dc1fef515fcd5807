//! What is said first on a new connection.

use std::{future::poll_fn, str::FromStr, sync::Arc};

use redis::{Cmd, Value};

use crate::{
    error::Cause,
    place::Place,
    server::{Name, Primary, Server},
    socket::Socket,
};

/// What is said first on a new connection.
pub(crate) struct Greeting {
    /// What each command is about, for the log.
    commands: Vec<(About, Cmd)>,
}

enum About {
    Login,
    Connection,
    Run,
    Role,
    Epoch,
    Before,
    Channel(Arc<str>),
}

/// What the server calls a connection; enough to close it from another one.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) server: Name,
    id: u64,
    addr: String,
}

/// What the server told.
pub(crate) struct Told {
    pub(crate) identity: Option<Identity>,
    pub(crate) primary: Arc<Primary>,
}

impl Greeting {
    pub(crate) fn new(
        place: &Place,
        server: &Server,
        before: Option<&Identity>,
        channels: Vec<Arc<str>>,
    ) -> Self {
        let login = server.login().into_iter().map(|command| (About::Login, command));
        let mut greeting = Self { commands: login.collect() };
        greeting.say(About::Connection, &["CLIENT", "INFO"]);
        greeting.say(About::Run, &["INFO", "server"]);
        match place {
            Place::Watched(_) => greeting.say(About::Role, &["ROLE"]),
            Place::Node(_) => greeting.say(About::Epoch, &["CLUSTER", "INFO"]),
            Place::Fixed(_) | Place::Anywhere(_) => {}
        }
        if let Some(Identity { id, addr, .. }) = before {
            // What that connection still carries must not be done after what this one will carry. Both
            // are named: a server that restarted gives numbers out again.
            let kill = ["CLIENT", "KILL", "ID", &id.to_string(), "ADDR", addr];
            greeting.say(About::Before, &kill);
        }
        for channel in channels {
            greeting.say(About::Channel(channel.clone()), &["SUBSCRIBE", &channel]);
        }
        greeting
    }

    fn say(&mut self, about: About, words: &[&str]) {
        let mut command = Cmd::new();
        words.iter().for_each(|word| _ = command.arg(word));
        self.commands.push((about, command));
    }

    /// Sends it, and hears what the server tells.
    pub(crate) async fn exchange(
        self,
        socket: &mut Socket,
        server: &Server,
        mut epoch: Option<u64>,
    ) -> Result<Told, Cause> {
        self.commands.iter().for_each(|(_, command)| socket.put(command));
        let (mut identity, mut run_id) = (None, None);
        for (about, _) in self.commands {
            match (about, poll_fn(|cx| socket.poll(cx)).await?) {
                (About::Login, Value::ServerError(error)) => {
                    return Err(Cause::new(redis::RedisError::from(error)));
                }
                (about, Value::ServerError(error)) => warn(server, &about, &error),
                (About::Connection, info) => identity = Identity::read(server.name(), info),
                (About::Run, info) => run_id = field::<String>(info, "run_id:").map(Arc::from),
                (About::Role, role) if !is_primary(&role) => {
                    return Err(Cause::new(format!("{server:?} is a replica, not yet promoted")));
                }
                (About::Epoch, info) => epoch = field(info, "cluster_my_epoch:"),
                _ => {}
            }
        }
        let address = server.name().text().clone();
        Ok(Told { identity, primary: Arc::new(Primary { address, run_id, epoch }) })
    }
}

fn warn(server: &Server, about: &About, error: &redis::ServerError) {
    let missing = match about {
        About::Connection | About::Before => "order across connections is not assured",
        About::Run => "restarts of the server are not told apart",
        About::Epoch => "elections are not told apart",
        About::Login => "nothing can be asked",
        About::Role => "a demoted primary is not recognised",
        About::Channel(_) => "pushes are missed",
    };
    let channel = match about {
        About::Channel(channel) => Some(&**channel),
        _ => None,
    };
    tracing::warn!(?server, channel, code = error.code(), "a greeting was refused: {missing}");
}

impl Identity {
    fn read(server: &Name, info: Value) -> Option<Self> {
        let info: String = redis::from_redis_value(info).ok()?;
        let field = |name: &str| {
            info.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let (id, addr) = (field("id")?.parse().ok()?, field("addr")?.to_owned());
        Some(Self { server: server.clone(), id, addr })
    }
}

/// The value of a line of `INFO`.
fn field<T: FromStr>(info: Value, name: &str) -> Option<T> {
    let info: String = redis::from_redis_value(info).ok()?;
    info.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// The first word of the answer to `ROLE`.
fn is_primary(role: &Value) -> bool {
    let first = match role {
        Value::Array(parts) => parts.first(),
        _ => None,
    };
    first.and_then(|first| redis::from_redis_value_ref::<String>(first).ok()).as_deref()
        == Some("master")
}
