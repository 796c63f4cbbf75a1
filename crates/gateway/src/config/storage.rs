//! `[storage]`: where calls are kept.

use std::path::{Path, PathBuf};

use super::problem::Refusal;
use super::secret::Secret;
use super::section::{Section, Setting};

/// The settings of `[storage]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The database for calls, events and deliveries, where it does not lie in the data folder.
    pub database: Option<Database>,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file of our own.
    Sqlite(PathBuf),
    /// A PostgreSQL server, by its URL, which may hold a password.
    Postgres(Secret),
}

impl Storage {
    pub(super) fn read(section: &Section<'_>) -> Storage {
        Storage { database: section.value("database") }
    }
}

impl Database {
    /// The database of a data folder.
    pub fn in_folder(data_dir: &Path) -> Database {
        Database::Sqlite(data_dir.join("patchcord.db"))
    }
}

impl Setting for Database {
    fn from_text(text: &str) -> Result<Database, Refusal> {
        let cure = "\"sqlite:PATH/patchcord.db\" or \"postgres://USER:PASSWORD@HOST/NAME\"";
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(Refusal::new("names no file", cure)),
                ":memory:" => Err(Refusal::new("would forget every call", cure)),
                path => Ok(Database::Sqlite(path.into())),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match text.parse::<sqlx::postgres::PgConnectOptions>() {
                Ok(_) => Ok(Database::Postgres(Secret::new(text))),
                Err(_) => Err(Refusal::new("is no PostgreSQL address", cure)),
            };
        }
        Err(Refusal::new("is no database that is known here", cure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn database(value: &str) -> Result<Database, String> {
        let text = format!("[storage]\ndatabase = \"{value}\"\n");
        Config::parse(&text).map(|config| config.database()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn without_a_word_the_database_lies_in_the_data_folder() {
        let config = Config::parse("[server]\ndata_dir = \"/srv/data\"\n").unwrap();
        assert_eq!(config.database(), Database::Sqlite("/srv/data/patchcord.db".into()));
    }

    #[test]
    fn both_kinds_of_address_are_read_and_a_password_is_never_shown() {
        assert_eq!(database("sqlite:/srv/a.db"), Ok(Database::Sqlite("/srv/a.db".into())));
        let postgres = database("postgres://me:hunter2@db.example/calls").unwrap();
        assert!(matches!(&postgres, Database::Postgres(_)));
        assert!(!format!("{postgres:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_no_database_is_refused_with_what_would_be_one() {
        for wrong in ["", "sqlite:", "sqlite::memory:", "mysql://h/x", "patchcord.db", "postgres://h:port/x"]
        {
            let refused = database(wrong).unwrap_err();
            assert!(
                refused.contains("storage.database") && refused.contains("sqlite:PATH"),
                "{wrong}: {refused}"
            );
            assert!(!refused.contains("hunter2"));
        }
    }
}
