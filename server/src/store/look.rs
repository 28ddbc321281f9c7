//! Looking at a database without changing it.

use std::str::FromStr;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Row};

use super::migrations::is_known;
use super::open::{prepare, read_only};
use super::{Store, StoreError};
use crate::config::Place;

impl Store {
    /// Says what a server would find at `place`. Neither makes nor changes anything.
    ///
    /// # Errors
    /// When a server could not use it.
    pub async fn look(place: &Place) -> Result<String, StoreError> {
        prepare();
        match place {
            Place::Memory => Ok("in memory: gone with the server".to_owned()),
            Place::File(path) if !path.exists() => {
                let folder = path.parent().filter(|folder| folder.exists());
                let found = if folder.is_some() { "" } else { ", with its folder" };
                Ok(format!("{} will be made{found}", path.display()))
            }
            Place::File(path) => {
                let mut connection = connect(&read_only(path)?).await?;
                // the first thing that is read of the file
                sqlx::query("PRAGMA schema_version").execute(&mut connection).await?;
                Ok(format!("{} {}", path.display(), steps(&mut connection).await?))
            }
            Place::Postgres(url) => {
                let mut connection = connect(url).await?;
                Ok(format!("PostgreSQL answers {}", steps(&mut connection).await?))
            }
        }
    }
}

async fn connect(url: &str) -> Result<AnyConnection, StoreError> {
    Ok(AnyConnectOptions::from_str(url)?.connect().await?)
}

/// How far its tables are; none at all is a new database.
async fn steps(connection: &mut AnyConnection) -> Result<String, StoreError> {
    let select = "SELECT version FROM _sqlx_migrations ORDER BY version";
    let Ok(rows) = sqlx::query(select).fetch_all(connection).await else {
        return Ok("(without tables yet)".to_owned());
    };
    for row in &rows {
        let version: i64 = row.try_get("version")?;
        if !is_known(version) {
            return Err(StoreError::Place(format!(
                "the database was made by a newer version: step {version} is not known here; install that version"
            )));
        }
    }
    Ok(format!("({} steps)", rows.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_made_by_looking() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::File(folder.path().join("x/polyfn.db"));
        assert!(Store::look(&place).await.unwrap().contains("will be made, with its folder"));
        assert!(!folder.path().join("x").exists());
        Store::open(&place).await.unwrap().close().await;
        assert!(Store::look(&place).await.unwrap().contains(" steps)"));
        let unknown = folder.path().join("text.db");
        std::fs::write(&unknown, "no database").unwrap();
        assert!(Store::look(&Place::File(unknown)).await.is_err());
    }
}
