//! What can go wrong with the store, by what to do about it.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened; the text says which and what to do.
    #[error("{0}")]
    Open(String),
    /// The database was written by a newer version.
    #[error(
        "{database} has schema {found}, and this version knows {known} at most: start the newer patchcord that wrote it, \
         or restore the backup from before the update"
    )]
    Newer {
        /// The database.
        database: String,
        /// Its schema.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// Another process works with the same rows.
    #[error("{0}")]
    Taken(String),
    /// The database does not keep up; what was asked may still be written.
    #[error("the database does not answer in time")]
    Behind,
    /// The database refused this write and would refuse it again.
    #[error("the database refuses this: {0}")]
    Refused(String),
    /// The database failed.
    #[error("the database failed: {0}")]
    Failed(String),
    /// What was read makes no sense.
    #[error("{0} in the database cannot be read")]
    Unreadable(&'static str),
}

impl StoreError {
    /// Whether a repetition is pointless.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unreadable(_) | Self::Newer { .. } => true,
            Self::Open(_) | Self::Taken(_) | Self::Behind | Self::Failed(_) => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    /// Texts of databases name tables, columns and files; values stand in details, which are left out.
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(told) => {
                use sqlx::error::ErrorKind::{
                    CheckViolation, ExclusionViolation, ForeignKeyViolation, NotNullViolation,
                    UniqueViolation,
                };
                // SQLSTATE 22: the value itself is impossible (PostgreSQL, appendix A).
                let impossible = told.code().is_some_and(|code| code.len() == 5 && code.starts_with("22"));
                match told.kind() {
                    UniqueViolation | ForeignKeyViolation | NotNullViolation | CheckViolation
                    | ExclusionViolation => Self::Refused(told.message().to_owned()),
                    _ if impossible => Self::Refused(told.message().to_owned()),
                    _ => Self::Failed(told.message().to_owned()),
                }
            }
            sqlx::Error::PoolTimedOut => Self::Behind,
            other => Self::Failed(other.to_string()),
        }
    }
}
