//! The three databases, each with a table of accounts.

use mainstay_lock::{FenceDatabase, create_fence_table};
use mainstay_testkit::{mariadb, postgres, unique};
use sqlx::{
    AssertSqlSafe, MySql, Pool, Postgres, Row, Sqlite, SqlitePool,
    mysql::MySqlPoolOptions,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tempfile::TempDir;

use crate::SOON;

/// What tests do with a database.
pub(crate) trait Kit: FenceDatabase {
    /// An empty database.
    async fn empty() -> Db<Self>;

    /// Runs statements of the test's own making.
    fn run(
        conn: &mut Self::Connection,
        sql: impl Into<String> + Send,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Reads one number.
    fn number(
        conn: &mut Self::Connection,
        sql: impl Into<String> + Send,
    ) -> impl Future<Output = Result<i64, sqlx::Error>> + Send;
}

/// A database of one test.
#[derive(Debug)]
pub(crate) struct Db<DB: Kit> {
    pub(crate) pool: Pool<DB>,
    pub(crate) url: String,
    _dir: Option<TempDir>,
}

impl<DB: Kit> Db<DB> {
    /// With fences, and accounts 1 and 2 that have nothing.
    pub(crate) async fn fresh() -> Self {
        DB::empty().await.furnished().await
    }

    async fn furnished(self) -> Self {
        create_fence_table(&self.pool).await.unwrap();
        self.run("CREATE TABLE account (id BIGINT PRIMARY KEY, total BIGINT NOT NULL)").await;
        self.run("INSERT INTO account VALUES (1, 0), (2, 0)").await;
        self
    }

    pub(crate) async fn run(&self, sql: &str) {
        DB::run(&mut *self.pool.acquire().await.unwrap(), sql).await.unwrap();
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        DB::number(&mut *self.pool.acquire().await.unwrap(), sql).await.unwrap()
    }

    pub(crate) async fn total(&self) -> i64 {
        self.number(TOTAL).await
    }
}

impl Db<MySql> {
    /// As [`fresh`](Self::fresh), on a server of the test's own.
    pub(crate) async fn of(server: &mariadb::MariaDb) -> Self {
        let url = server.url();
        let pool = MySqlPoolOptions::new().max_connections(20).connect(&url).await.unwrap();
        Self { pool, url, _dir: None }.furnished().await
    }
}

/// What account 1 has.
pub(crate) const TOTAL: &str = "SELECT total FROM account WHERE id = 1";

/// "Check": reads the total.
pub(crate) async fn read<DB: Kit>(conn: &mut DB::Connection) -> Result<i64, sqlx::Error> {
    DB::number(conn, TOTAL).await
}

/// "Update": writes what was computed from what was read.
pub(crate) async fn write<DB: Kit>(
    conn: &mut DB::Connection,
    total: i64,
) -> Result<(), sqlx::Error> {
    DB::run(conn, format!("UPDATE account SET total = {total} WHERE id = 1")).await
}

macro_rules! kit {
    ($database:ty) => {
        async fn run(
            conn: &mut Self::Connection,
            sql: impl Into<String> + Send,
        ) -> Result<(), sqlx::Error> {
            sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(conn).await.map(drop)
        }

        async fn number(
            conn: &mut Self::Connection,
            sql: impl Into<String> + Send,
        ) -> Result<i64, sqlx::Error> {
            sqlx::query(AssertSqlSafe(sql.into())).fetch_one(conn).await?.try_get(0)
        }
    };
}

impl Kit for Sqlite {
    async fn empty() -> Db<Self> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("test.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(SOON);
        let pool: SqlitePool =
            SqlitePoolOptions::new().max_connections(20).connect_with(options).await.unwrap();
        Db { pool, url: file.display().to_string(), _dir: Some(dir) }
    }

    kit!(Sqlite);
}

impl Kit for Postgres {
    async fn empty() -> Db<Self> {
        let url = postgres::fresh_database().await.unwrap();
        let pool = PgPoolOptions::new().max_connections(20).connect(&url).await.unwrap();
        Db { pool, url, _dir: None }
    }

    kit!(Postgres);
}

impl Kit for MySql {
    async fn empty() -> Db<Self> {
        let server = mariadb::shared().await.unwrap();
        let name = unique("test");
        let one = MySqlPoolOptions::new().max_connections(1).connect(&server).await.unwrap();
        Self::run(&mut *one.acquire().await.unwrap(), format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        let url = format!("{base}/{name}");
        let pool = MySqlPoolOptions::new().max_connections(20).connect(&url).await.unwrap();
        Db { pool, url, _dir: None }
    }

    kit!(MySql);
}

/// Makes a test on each database of generic functions.
macro_rules! on_every_database {
    ($($(#[$attribute:meta])* $test:ident),+ $(,)?) => {
        mod sqlite {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<sqlx::Sqlite>().await; })+
        }
        mod postgres {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<sqlx::Postgres>().await; })+
        }
        mod mariadb {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test::<sqlx::MySql>().await; })+
        }
    };
}
pub(crate) use on_every_database;
