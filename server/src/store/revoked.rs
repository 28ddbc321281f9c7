//! Tokens that were taken back.

use sqlx::Row;

use super::{Store, StoreError, seconds};
use crate::auth::{Revocation, TokenId};

impl Store {
    /// Keeps that a token was taken back.
    ///
    /// # Errors
    /// When the database fails: the token must not be told to be revoked then.
    pub async fn revoke(&self, revocation: Revocation) -> Result<(), StoreError> {
        let Revocation { id, until } = revocation;
        let put = "INSERT INTO revoked (id, until) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET until = $2";
        sqlx::query(put).bind(id.to_string()).bind(seconds(until)).execute(self.pool()).await?;
        Ok(())
    }

    /// Those taken back whose time is not over at `now`; the others are forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoked(&self, now: u64) -> Result<Vec<Revocation>, StoreError> {
        sqlx::query("DELETE FROM revoked WHERE until <= $1").bind(seconds(now)).execute(self.pool()).await?;
        let rows = sqlx::query("SELECT id, until FROM revoked").fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                let id: String = row.try_get("id")?;
                let until: i64 = row.try_get("until")?;
                let id =
                    TokenId::parse(&id).ok_or_else(|| StoreError::Damaged("a revoked token".to_owned()))?;
                Ok(Revocation { id, until: u64::try_from(until).unwrap_or_default() })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    #[tokio::test]
    async fn what_was_revoked_is_kept_until_its_time() {
        let store = Store::open(&Place::Memory).await.unwrap();
        let revocation = Revocation { id: TokenId::of("a.b.c"), until: 10 };
        for _ in 0..2 {
            store.revoke(revocation).await.unwrap();
        }
        assert_eq!(store.revoked(9).await.unwrap(), [revocation]);
        assert_eq!(store.revoked(10).await.unwrap(), []);
        assert_eq!(store.revoked(9).await.unwrap(), []);
    }
}
