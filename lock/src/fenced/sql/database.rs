//! What a fence needs of a database.

use sqlx::{Database, Error};

use crate::fence::Fence;

/// A database that this crate keeps fences in: SQLite, PostgreSQL, and MySQL with MariaDB.
///
/// Sealed: they come with this crate, as the features `fence-sqlite`, `fence-postgres` and `fence-mysql`.
#[diagnostic::on_unimplemented(
    message = "no fences are kept in `{Self}`",
    note = "turn on `fence-sqlite`, `fence-postgres` or `fence-mysql` of mainstay-lock"
)]
pub trait FenceDatabase: Statements {}

/// Statements of one database. Its own clock says how old a row is.
#[expect(unnameable_types, reason = "the seam is sealed: databases come with this crate")]
pub trait Statements: Database {
    /// Makes the table if it is missing.
    const TABLE: &'static str;

    /// Opens a transaction that may write, at once rather than at its first write.
    const BEGIN: &'static str;

    /// Asked before a commit that would be answered with yes although the transaction had ended before.
    const SEAL: Option<Seal>;

    /// Moves a fence up to `fence`, never down; gives the one that is stored now.
    fn advance(
        conn: &mut Self::Connection,
        resource: &str,
        fence: Fence,
    ) -> impl Future<Output = Result<Fence, Error>> + Send;

    /// At most `limit` resources that were last written more than `seconds` ago.
    fn aged(
        conn: &mut Self::Connection,
        seconds: i64,
        limit: i64,
    ) -> impl Future<Output = Result<Vec<String>, Error>> + Send;

    /// Forgets a fence that was last written more than `seconds` ago.
    fn forget(
        conn: &mut Self::Connection,
        resource: &str,
        seconds: i64,
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Runs a statement without values or rows.
    fn execute(
        conn: &mut Self::Connection,
        sql: &'static str,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Whether an answer of the database to a commit leaves open what became of it.
    fn leaves_open(answer: &(dyn sqlx::error::DatabaseError + 'static)) -> bool;
}

/// A statement that fails if the transaction has ended before its time.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "the seam is sealed: databases come with this crate")]
pub struct Seal {
    pub statement: &'static str,
    /// Whether it may have ended by a commit as well, so that its refusal leaves open what was written.
    pub leaves_open: bool,
}
