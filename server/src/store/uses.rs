//! How often tokens were used that may be used so many times only.

use sqlx::Row;

use super::{Store, StoreError, seconds};
use crate::auth::{TokenId, Used};

impl Store {
    /// Keeps how often a token was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_use(&self, used: Used) -> Result<(), StoreError> {
        let put = "INSERT INTO token_uses (id, used, until) VALUES ($1, $2, $3) \
                   ON CONFLICT (id) DO UPDATE SET used = $2, until = $3";
        let put = sqlx::query(put).bind(used.id.to_string()).bind(i64::from(used.used));
        put.bind(seconds(used.until)).execute(self.pool()).await?;
        Ok(())
    }

    /// Those whose time is not over at `now`; the others are forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uses(&self, now: u64) -> Result<Vec<Used>, StoreError> {
        sqlx::query("DELETE FROM token_uses WHERE until <= $1")
            .bind(seconds(now))
            .execute(self.pool())
            .await?;
        let rows = sqlx::query("SELECT id, used, until FROM token_uses").fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                let (id, used, until): (String, i64, i64) =
                    (row.try_get("id")?, row.try_get("used")?, row.try_get("until")?);
                let id =
                    TokenId::parse(&id).ok_or_else(|| StoreError::Damaged("a token's uses".to_owned()))?;
                let used = u32::try_from(used).unwrap_or(u32::MAX);
                Ok(Used { id, used, until: u64::try_from(until).unwrap_or_default() })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    #[tokio::test]
    async fn uses_are_kept_until_their_time() {
        let store = Store::open(&Place::Memory).await.unwrap();
        let used = Used { id: TokenId::of("a.b.c"), used: 2, until: 10 };
        store.keep_use(Used { used: 1, ..used }).await.unwrap();
        store.keep_use(used).await.unwrap();
        assert_eq!(store.uses(9).await.unwrap(), [used]);
        assert_eq!(store.uses(10).await.unwrap(), []);
    }
}
