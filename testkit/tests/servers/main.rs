//! Each server starts, is killed, comes back; and none outlives its test.
#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

mod broken;
// It looks at processes through /proc.
#[cfg(target_os = "linux")]
mod cleanup;
mod cluster;
mod mariadb;
mod nats;
mod postgres;
mod rabbitmq;
mod redis;
mod sentinel;
mod shared;
