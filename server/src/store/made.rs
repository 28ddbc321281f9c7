//! Tokens that an auth service has made.

use sqlx::Row;

use super::{Store, StoreError, seconds};
use crate::auth::TokenId;
use crate::auth::made::Made;

impl Store {
    /// Keeps what a token comes of.
    ///
    /// # Errors
    /// When the database fails: the token must not be given to anybody then.
    pub(crate) async fn put_made(&self, made: &Made) -> Result<(), StoreError> {
        let put = "INSERT INTO made_tokens (id, lineage, issued, until, parent) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (id) DO UPDATE SET lineage = excluded.lineage, issued = excluded.issued, \
                   until = excluded.until, parent = excluded.parent";
        let lineage: Vec<String> = made.lineage.iter().map(TokenId::to_string).collect();
        sqlx::query(put)
            .bind(made.id.to_string())
            .bind(lineage.join(" "))
            .bind(seconds(made.issued))
            .bind(seconds(made.until))
            .bind(made.parent.clone())
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Forgets those whose time is over at `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn forget_made(&self, now: u64) -> Result<(), StoreError> {
        let old = "DELETE FROM made_tokens WHERE until <= $1";
        sqlx::query(old).bind(seconds(now)).execute(self.pool()).await?;
        Ok(())
    }

    /// All of them, also those whose time is over: their makers may still know them.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn made(&self) -> Result<Vec<Made>, StoreError> {
        let all = "SELECT id, lineage, issued, until, parent FROM made_tokens";
        let rows = sqlx::query(all).fetch_all(self.pool()).await?;
        let damaged = || StoreError::Damaged("a token that an auth service has made".to_owned());
        let read = |row: &sqlx::any::AnyRow| {
            let (id, lineage): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let (issued, until): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
            let lineage: Option<_> = lineage.split_whitespace().map(TokenId::parse).collect();
            Ok(Made {
                id: TokenId::parse(&id).ok_or_else(damaged)?,
                lineage: lineage.ok_or_else(damaged)?,
                issued: issued.unsigned_abs(),
                until: until.unsigned_abs(),
                parent: row.try_get(4)?,
            })
        };
        rows.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    #[tokio::test]
    async fn what_was_made_is_kept() {
        let store = Store::open(&Place::Memory).await.unwrap();
        let [one, two] = ["one", "two"].map(|name| TokenId::named("test", name));
        let mut made =
            Made { id: one, lineage: vec![two, one], issued: 5, until: 10, parent: Some("ann".to_owned()) };
        store.put_made(&made).await.unwrap();
        made.issued = 6;
        store.put_made(&made).await.unwrap();
        assert_eq!(store.made().await.unwrap(), [made.clone()]);
        let root = Made { id: two, lineage: vec![], parent: None, ..made };
        store.put_made(&Made { until: 11, ..root.clone() }).await.unwrap();
        store.forget_made(10).await.unwrap();
        assert_eq!(store.made().await.unwrap(), [Made { until: 11, ..root }]);
    }
}
