//! How the two databases are reached: files, connections, and that one server's rows have one process.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::time::{Instant, sleep_until};

use super::StoreError;
use super::engine::{Link, Query, Readers};
use crate::config::Database;

/// What opens connections that write, one after another.
pub(super) struct Door {
    database: Database,
    server: String,
    /// Held for as long as the process lives, so that no second one writes the same rows.
    _lock: Option<File>,
}

impl Door {
    /// Makes sure that nobody else is at work and that there is a place to write to.
    pub(super) fn open(database: &Database, server: &str) -> Result<Self, StoreError> {
        let lock = match database {
            Database::Sqlite(file) => Some(lock(file)?),
            Database::Postgres(_) => None,
        };
        Ok(Self { database: database.clone(), server: server.to_owned(), _lock: lock })
    }

    /// The connection that writes. The one before it is gone.
    pub(super) async fn writer(&self) -> Result<Link, StoreError> {
        match &self.database {
            Database::Sqlite(file) => {
                let options = sqlite(file).create_if_missing(true);
                let link = options.connect().await.map_err(|error| cannot_open(file, &error))?;
                Ok(Link::Sqlite(Box::new(link)))
            }
            Database::Postgres(url) => {
                let options = postgres(url.expose())?;
                let connected = tokio::time::timeout(CONNECT_TIMEOUT, options.connect());
                let link = match connected.await {
                    Ok(Ok(link)) => link,
                    Ok(Err(error)) => return Err(unreached(&options, &error.to_string())),
                    Err(_) => return Err(unreached(&options, "it does not answer")),
                };
                let mut link = Link::Postgres(Box::new(link));
                self.claim(&mut link).await?;
                Ok(link)
            }
        }
    }

    /// Whether this server's rows are its own only as long as the writing connection stands.
    pub(super) fn is_claimed_by_connection(&self) -> bool {
        matches!(self.database, Database::Postgres(_))
    }

    /// Connections that read.
    pub(super) fn readers(&self) -> Result<Readers, StoreError> {
        Ok(match &self.database {
            Database::Sqlite(file) => {
                let pool = SqlitePoolOptions::new().max_connections(READERS_MAX);
                let options = sqlite(file).create_if_missing(false).pragma("query_only", "ON");
                Readers::Sqlite(pool.acquire_timeout(READ_TIMEOUT).connect_lazy_with(options))
            }
            Database::Postgres(url) => {
                let pool = PgPoolOptions::new().max_connections(READERS_MAX);
                Readers::Postgres(
                    pool.acquire_timeout(READ_TIMEOUT).connect_lazy_with(postgres(url.expose())?),
                )
            }
        })
    }

    /// The database's name in errors.
    pub(super) fn name(&self) -> String {
        match &self.database {
            Database::Sqlite(file) => file.display().to_string(),
            Database::Postgres(url) => {
                postgres(url.expose()).map_or_else(|_| "PostgreSQL".to_owned(), |options| place(&options))
            }
        }
    }

    /// Takes the rows of this server for the life of the connection. A process that was killed a moment ago may
    /// still hold them until PostgreSQL has noticed.
    async fn claim(&self, link: &mut Link) -> Result<(), StoreError> {
        let until = Instant::now() + CLAIM_PATIENCE;
        loop {
            let claim = Query::new(
                "SELECT CASE WHEN pg_try_advisory_lock($1, hashtext($2)) THEN 1::BIGINT ELSE 0::BIGINT END",
            );
            let row = claim.key(SERVER_LOCK).text(&self.server).row(link).await?;
            let claimed = row.map(|mut row| row.whole()).transpose()?;
            if claimed == Some(1) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(StoreError::Taken(format!(
                    "another patchcord with server.id = \"{}\" is at work in {}: give each server an id of its own",
                    self.server,
                    self.name()
                )));
            }
            sleep_until(Instant::now() + CLAIM_INTERVAL).await;
        }
    }
}

fn lock(file: &Path) -> Result<File, StoreError> {
    let failed = |what: &dyn std::fmt::Display| {
        StoreError::Open(format!("{}: {what}: choose another place by storage.database", file.display()))
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let mut path = file.as_os_str().to_owned();
    path.push(".lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let lock = lock.map_err(|error| failed(&error))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => StoreError::Taken(format!(
            "{} is in use by another patchcord: stop that one, or give this one another server.data_dir",
            file.display()
        )),
        other => failed(&other),
    })?;
    Ok(lock)
}

fn sqlite(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses acknowledged commits when the power goes.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_size_limit", JOURNAL_BYTES_KEPT)
        .disable_statement_logging()
}

fn postgres(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.parse().map_err(|_| {
        StoreError::Open(
            "storage.database is no PostgreSQL address: postgres://USER:PASSWORD@HOST/NAME".to_owned(),
        )
    })?;
    Ok(options.application_name("patchcord").disable_statement_logging())
}

fn cannot_open(file: &Path, error: &sqlx::Error) -> StoreError {
    let told = match error {
        sqlx::Error::Database(told) => told.message().to_owned(),
        other => other.to_string(),
    };
    StoreError::Open(format!(
        "{} cannot be opened: {told}: check the folder's owner and the free space, or choose another place by \
         storage.database",
        file.display()
    ))
}

fn unreached(options: &PgConnectOptions, why: &str) -> StoreError {
    StoreError::Open(format!(
        "PostgreSQL at {} cannot be reached: {why}: check storage.database and that the server runs",
        place(options)
    ))
}

fn place(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    format!("{host}/{}", options.get_database().unwrap_or_default())
}

/// Connections that read at a time.
const READERS_MAX: u32 = 4;
/// How long a reader waits for a connection.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long SQLite waits for another program that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long PostgreSQL may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a claim of a process that is gone may last.
const CLAIM_PATIENCE: Duration = Duration::from_secs(5);
const CLAIM_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of SQLite's journal that stay on the disk between checkpoints.
const JOURNAL_BYTES_KEPT: &str = "67108864";
/// The advisory locks of servers: "ptch" in ASCII, as a number.
const SERVER_LOCK: i32 = 0x7074_6368;
