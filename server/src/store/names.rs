//! Names of workspaces that somebody has made: they are remembered after the workspace has vanished, as long as tokens
//! from before may live.

use std::sync::atomic::Ordering;

use sqlx::Row;

use super::{Store, StoreError, seconds};

/// Names that may be there above the limit until the oldest give way.
const AT_ONCE: usize = 1000;

/// A name, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// When somebody made the workspace, in seconds since 1970.
    pub(crate) created: u64,
    pub(crate) owners: Vec<String>,
}

impl Store {
    /// Keeps whose a name is, until `until`. Of more than `max` names the oldest give way, a thousand at once.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn put_name(&self, named: &Named, until: u64, max: usize) -> Result<(), StoreError> {
        let put = "INSERT INTO workspace_names (name, created, owners, until) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (name) DO UPDATE SET created = excluded.created, owners = excluded.owners, \
                   until = excluded.until";
        sqlx::query(put)
            .bind(named.name.as_str())
            .bind(seconds(named.created))
            .bind(serde_json::Value::from(named.owners.clone()).to_string())
            .bind(seconds(until))
            .execute(self.pool())
            .await?;
        if self.shared.names_put.fetch_add(1, Ordering::Relaxed) % AT_ONCE == AT_ONCE - 1 {
            self.forget_names_above(max).await?;
        }
        Ok(())
    }

    async fn forget_names_above(&self, max: usize) -> Result<(), StoreError> {
        let old = "DELETE FROM workspace_names WHERE created < \
                   (SELECT created FROM workspace_names ORDER BY created DESC LIMIT 1 OFFSET $1)";
        let last = i64::try_from(max.saturating_sub(1)).unwrap_or(i64::MAX);
        sqlx::query(old).bind(last).execute(self.pool()).await?;
        Ok(())
    }

    /// The names whose time is not over at `now`, the oldest first, `max` at most; the others are forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn names(&self, now: u64, max: usize) -> Result<Vec<Named>, StoreError> {
        let old = "DELETE FROM workspace_names WHERE until <= $1";
        sqlx::query(old).bind(seconds(now)).execute(self.pool()).await?;
        self.forget_names_above(max).await?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let all = "SELECT name, created, owners FROM workspace_names ORDER BY created DESC, name LIMIT $1";
        let rows = sqlx::query(all).bind(max).fetch_all(self.pool()).await?;
        let read = |row: &sqlx::any::AnyRow| {
            let (name, created, owners): (String, i64, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let owners =
                serde_json::from_str(&owners).map_err(|_| StoreError::Damaged(format!("the name {name}")))?;
            Ok(Named { name, created: created.unsigned_abs(), owners })
        };
        rows.iter().rev().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    #[tokio::test]
    async fn names_are_kept_until_their_time() {
        let store = Store::open(&Place::Memory).await.unwrap();
        let named = |name: &str, created| Named {
            name: name.to_owned(),
            created,
            owners: vec!["ann".to_owned(), "b\"ob".to_owned()],
        };
        for (name, created, until) in [("lab-a", 5, 90), ("lab-b", 3, 90), ("lab-c", 4, 10), ("lab-a", 6, 90)]
        {
            store.put_name(&named(name, created), until, 9).await.unwrap();
        }
        assert_eq!(store.names(10, 9).await.unwrap(), [named("lab-b", 3), named("lab-a", 6)]);
        assert_eq!(store.names(10, 1).await.unwrap(), [named("lab-a", 6)], "the newest ones");
        assert_eq!(store.names(10, 9).await.unwrap(), [named("lab-a", 6)], "the others are forgotten");
        for number in 0..AT_ONCE as u64 {
            store.put_name(&named(&format!("lab-{number}"), 10 + number), 9000, 5).await.unwrap();
        }
        let count =
            sqlx::query("SELECT name FROM workspace_names").fetch_all(store.pool()).await.unwrap().len();
        assert!(count < AT_ONCE / 2, "{count}");
        assert_eq!(store.names(9000, 9).await.unwrap(), []);
    }
}
