//! Environment variables of workspaces. They come and go sealed.

use sqlx::Row;

use super::seal::Seal;
use super::{Store, StoreError};

impl Store {
    /// Sets a variable; `None` takes it out. Answers whether there was one.
    pub(crate) async fn set_variable(
        &self,
        seal: &Seal,
        workspace: &str,
        name: &str,
        value: Option<&str>,
    ) -> Result<bool, StoreError> {
        let remove = sqlx::query("DELETE FROM variables WHERE workspace = $1 AND name = $2");
        let mut change = self.pool().begin().await?;
        let had = remove.bind(workspace).bind(name).execute(&mut *change).await?.rows_affected() > 0;
        if let Some(value) = value {
            let sealed = seal.close(&place(workspace, name), value)?;
            let insert = sqlx::query("INSERT INTO variables (workspace, name, sealed) VALUES ($1, $2, $3)");
            insert.bind(workspace).bind(name).bind(sealed).execute(&mut *change).await?;
        }
        change.commit().await?;
        Ok(had)
    }

    /// The value of a variable, if there is one.
    pub(crate) async fn variable(
        &self,
        seal: &Seal,
        workspace: &str,
        name: &str,
    ) -> Result<Option<String>, StoreError> {
        let query = sqlx::query("SELECT sealed FROM variables WHERE workspace = $1 AND name = $2");
        let row = query.bind(workspace).bind(name).fetch_optional(self.pool()).await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: String = row.try_get(0)?;
        seal.open(&place(workspace, name), &sealed).map(Some)
    }

    /// All variables of a workspace by name.
    pub(crate) async fn variables(
        &self,
        seal: &Seal,
        workspace: &str,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let query = sqlx::query("SELECT name, sealed FROM variables WHERE workspace = $1 ORDER BY name");
        let rows = query.bind(workspace).fetch_all(self.pool()).await?;
        let read = rows.into_iter().map(|row| {
            let (name, sealed): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let value = seal.open(&place(workspace, &name), &sealed)?;
            Ok((name, value))
        });
        read.collect()
    }

    /// How many variables a workspace has.
    pub(crate) async fn count_variables(&self, workspace: &str) -> Result<usize, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) FROM variables WHERE workspace = $1");
        let count: i64 = query.bind(workspace).fetch_one(self.pool()).await?.try_get(0)?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

/// A value that is moved to another name or workspace in the database is not opened there.
fn place(workspace: &str, name: &str) -> String {
    format!("{workspace}/{name}")
}
