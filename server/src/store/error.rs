//! What goes wrong with the database.

use std::fmt;

/// An error of the store. What it shows is for the log and the operator: not for users, whom it may tell names of
/// tables and hosts.
#[derive(Debug)]
pub enum StoreError {
    /// The place cannot be used as it is written.
    Place(String),
    /// Another server uses the file.
    Locked(String),
    /// The database was made by a newer version, or is damaged.
    Migration(sqlx::migrate::MigrateError),
    /// The database refuses, or does not answer.
    Database(sqlx::Error),
    /// What is kept was sealed with a key that this server does not have.
    Sealed(String),
    /// An event could not be written; the reason is in the log.
    Unwritten,
    /// What is kept cannot be read.
    Damaged(String),
}

impl StoreError {
    /// Whether the database was closed, as at the end of the server.
    pub(crate) const fn is_of_the_end(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolClosed))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(text) | Self::Sealed(text) => f.write_str(text),
            Self::Locked(path) => write!(
                f,
                "the database {path} is in use by another server: stop that one, or give this one a place of its \
                 own with --data-dir or --database-uri"
            ),
            Self::Migration(error) => write!(f, "the database does not fit this version: {error}"),
            Self::Database(error) => write!(f, "the database: {error}"),
            Self::Unwritten => f.write_str("the event was not written"),
            Self::Damaged(what) => write!(f, "the database holds {what} that cannot be read"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Migration(error) => Some(error),
            Self::Database(error) => Some(error),
            Self::Place(_) | Self::Locked(_) | Self::Sealed(_) | Self::Unwritten | Self::Damaged(_) => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Callers learn that it failed; the log has the reason.
impl From<StoreError> for polyfn_core::Error {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "store");
        let text = match error {
            StoreError::Sealed(text) => format!("RuntimeError: {text}"),
            _ => "RuntimeError: the server cannot read or write its database: its log has the reason"
                .to_owned(),
        };
        Self::new(polyfn_core::ErrorKind::Internal, text)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Place, Store};

    #[tokio::test]
    async fn a_closed_database_is_told_from_one_that_fails() {
        let store = Store::open(&Place::Memory).await.unwrap();
        store.close().await;
        assert!(store.remove_workspace("lab").await.unwrap_err().is_of_the_end());
    }
}
