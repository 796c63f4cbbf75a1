//! The two databases behind one face: a connection, a pool of readers, and queries that both understand.
//!
//! Queries are written once, with `$1` for values, whole numbers as 64 bits and everything else as text. Nothing
//! outside this file names SQLite or PostgreSQL.

use sqlx::postgres::{PgConnection, PgPool, PgRow, Postgres};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqlSafeStr, SqlStr};

use super::StoreError;

/// A statement with its values.
pub(super) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
}

enum Value {
    /// A number of 32 bits, for PostgreSQL's functions that take nothing else.
    Key(i32),
    Whole(Option<i64>),
    Text(Option<String>),
}

/// One connection.
pub(super) enum Link {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

/// Connections for those who only read.
#[derive(Clone)]
pub(super) enum Readers {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// One row, read column by column.
pub(super) struct Row {
    columns: Columns,
    next: usize,
}

enum Columns {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Query {
    /// A statement that stands in the source.
    pub(super) fn new(sql: &'static str) -> Self {
        Self { sql: sql.into_sql_str(), values: Vec::new() }
    }

    /// A statement put together from pieces that stand in the source; values never are among them.
    pub(super) fn composed(sql: String) -> Self {
        Self { sql: AssertSqlSafe(sql).into_sql_str(), values: Vec::new() }
    }

    /// The next value, text. PostgreSQL has no text with a NUL in it.
    pub(super) fn text(self, text: &str) -> Self {
        self.maybe_text(Some(text))
    }

    /// The next value, text or nothing.
    pub(super) fn maybe_text(mut self, text: Option<&str>) -> Self {
        self.values.push(Value::Text(text.map(|text| text.replace('\0', ""))));
        self
    }

    /// The next value, a number.
    pub(super) fn whole(self, number: u64) -> Self {
        self.maybe_whole(Some(number))
    }

    /// The next value, a number or nothing.
    pub(super) fn maybe_whole(mut self, number: Option<u64>) -> Self {
        self.values.push(Value::Whole(number.map(|number| i64::try_from(number).unwrap_or(i64::MAX))));
        self
    }

    /// The next value, a number of 32 bits.
    pub(super) fn key(mut self, number: i32) -> Self {
        self.values.push(Value::Key(number));
        self
    }

    /// Runs it and says how many rows it changed.
    pub(super) async fn execute(self, link: &mut Link) -> Result<u64, StoreError> {
        Ok(match link {
            Link::Sqlite(link) => self.for_sqlite().execute(&mut **link).await?.rows_affected(),
            Link::Postgres(link) => self.for_postgres().execute(&mut **link).await?.rows_affected(),
        })
    }

    /// Runs it and takes every row.
    pub(super) async fn rows(self, link: &mut Link) -> Result<Vec<Row>, StoreError> {
        Ok(match link {
            Link::Sqlite(link) => {
                let rows = self.for_sqlite().fetch_all(&mut **link).await?;
                rows.into_iter().map(|row| Row::of(Columns::Sqlite(row))).collect()
            }
            Link::Postgres(link) => {
                let rows = self.for_postgres().fetch_all(&mut **link).await?;
                rows.into_iter().map(|row| Row::of(Columns::Postgres(row))).collect()
            }
        })
    }

    /// Runs it and takes the first row.
    pub(super) async fn row(self, link: &mut Link) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(link).await?.into_iter().next())
    }

    fn for_sqlite(self) -> sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql), |query, value| match value {
            Value::Key(number) => query.bind(number),
            Value::Whole(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
        })
    }

    fn for_postgres(self) -> sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql), |query, value| match value {
            Value::Key(number) => query.bind(number),
            Value::Whole(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
        })
    }
}

impl Link {
    /// Runs a script of statements without values.
    pub(super) async fn script(&mut self, sql: String) -> Result<(), StoreError> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(link) => script.execute(&mut **link).await.map(|_| ())?,
            Self::Postgres(link) => script.execute(&mut **link).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Begins a transaction that writes.
    ///
    /// With PostgreSQL it holds the order of events: whoever shares the database writes before or after, so that
    /// a reader that has seen a sequence number never misses a smaller one.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Query::new("BEGIN IMMEDIATE").execute(self).await.map(|_| ()),
            Self::Postgres(_) => {
                Query::new("BEGIN").execute(self).await?;
                Query::new("SELECT pg_advisory_xact_lock($1)")
                    .whole(WRITE_LOCK)
                    .execute(self)
                    .await
                    .map(|_| ())
            }
        }
    }

    /// Makes what the transaction wrote durable.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        Query::new("COMMIT").execute(self).await.map(|_| ())
    }

    /// Undoes the transaction.
    pub(super) async fn roll_back(&mut self) -> Result<(), StoreError> {
        Query::new("ROLLBACK").execute(self).await.map(|_| ())
    }

    /// Whether the other end answers.
    pub(super) async fn is_alive(&mut self) -> bool {
        let ping = match self {
            Self::Sqlite(link) => link.ping().await,
            Self::Postgres(link) => link.ping().await,
        };
        ping.is_ok()
    }

    /// Ends the connection in good order.
    pub(super) async fn close(self) {
        // Whatever goes wrong here: every commit stands.
        let _ = match self {
            Self::Sqlite(link) => link.close().await,
            Self::Postgres(link) => link.close().await,
        };
    }

    /// The words for a table's key that counts up by itself and never repeats.
    pub(super) fn serial(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Self::Postgres(_) => "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        }
    }
}

impl Readers {
    /// Runs a query and takes every row.
    pub(super) async fn rows(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        Ok(match self {
            Self::Sqlite(pool) => {
                let rows = query.for_sqlite().fetch_all(pool).await?;
                rows.into_iter().map(|row| Row::of(Columns::Sqlite(row))).collect()
            }
            Self::Postgres(pool) => {
                let rows = query.for_postgres().fetch_all(pool).await?;
                rows.into_iter().map(|row| Row::of(Columns::Postgres(row))).collect()
            }
        })
    }

    /// Runs a query and takes the first row.
    pub(super) async fn row(&self, query: Query) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// Ends every connection.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Row {
    fn of(columns: Columns) -> Self {
        Self { columns, next: 0 }
    }

    /// The next column, a number or nothing.
    pub(super) fn maybe_whole(&mut self) -> Result<Option<u64>, StoreError> {
        let at = self.step();
        let number: Option<i64> = match &self.columns {
            Columns::Sqlite(row) => row.try_get(at)?,
            Columns::Postgres(row) => row.try_get(at)?,
        };
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    /// The next column, a number.
    pub(super) fn whole(&mut self) -> Result<u64, StoreError> {
        self.maybe_whole()?.ok_or(StoreError::Unreadable("a number"))
    }

    /// The next column, text or nothing.
    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, StoreError> {
        let at = self.step();
        Ok(match &self.columns {
            Columns::Sqlite(row) => row.try_get(at)?,
            Columns::Postgres(row) => row.try_get(at)?,
        })
    }

    /// The next column, text.
    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.maybe_text()?.ok_or(StoreError::Unreadable("a text"))
    }

    fn step(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }
}

/// The advisory lock of whoever writes: "patchcord" in ASCII, as a number.
const WRITE_LOCK: u64 = 0x7061_7463_6863_6f72;
