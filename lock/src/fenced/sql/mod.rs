//! Fences in a database: a row beside the business rows, written in the same transaction.

mod begin;
mod check;
mod codec;
mod database;
mod guard;
#[cfg(feature = "fence-mysql")]
mod mysql;
#[cfg(feature = "fence-postgres")]
mod postgres;
mod run;
mod slot;
#[cfg(feature = "fence-sqlite")]
mod sqlite;
mod table;
mod tx;

pub use check::fence_guard;
pub use database::FenceDatabase;
pub use run::FencedRun;
#[cfg(feature = "fence-mysql")]
pub use table::FENCE_TABLE_MYSQL;
#[cfg(feature = "fence-postgres")]
pub use table::FENCE_TABLE_POSTGRES;
#[cfg(feature = "fence-sqlite")]
pub use table::FENCE_TABLE_SQLITE;
pub use table::{LEAST_FENCE_RETENTION, create_fence_table, purge_fences};
pub use tx::Tx;
