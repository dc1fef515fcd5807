//! Who we are, said first.

use redis::{Cmd, RedisConnectionInfo, cmd};

/// The commands that tell a server the protocol, the user and the database.
///
/// Pushes travel on the connection of the commands, which only RESP3 can do. The client's name is not told: not
/// every ACL allows that.
pub(crate) fn login(settings: &RedisConnectionInfo) -> Vec<Cmd> {
    let mut hello = cmd("HELLO").arg(3).take();
    if let Some(password) = settings.password() {
        hello.arg("AUTH").arg(settings.username().unwrap_or("default")).arg(password);
    }
    let mut commands = vec![hello];
    if settings.db() != 0 {
        commands.push(cmd("SELECT").arg(settings.db()).take());
    }
    commands
}
