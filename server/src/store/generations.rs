//! How often users have ended all their logins.

use sqlx::Row;

use super::{Store, StoreError, seconds};
use crate::auth::Revocation;

impl Store {
    /// All who ever did, with how often.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn generations(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows =
            sqlx::query("SELECT user_id, generation FROM login_generations").fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                let generation: i64 = row.try_get("generation")?;
                Ok((row.try_get("user_id")?, generation.unsigned_abs()))
            })
            .collect()
    }

    /// Begins another generation, and takes back what the one before stands for: both or neither.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn begin_generation(
        &self,
        user: &str,
        generation: u64,
        ended: Revocation,
    ) -> Result<(), StoreError> {
        let mut change = self.pool().begin().await?;
        let put = "INSERT INTO login_generations (user_id, generation) VALUES ($1, $2) \
                   ON CONFLICT (user_id) DO UPDATE SET generation = excluded.generation";
        sqlx::query(put).bind(user).bind(seconds(generation)).execute(&mut *change).await?;
        let revoke =
            "INSERT INTO revoked (id, until) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET until = $2";
        sqlx::query(revoke)
            .bind(ended.id.to_string())
            .bind(seconds(ended.until))
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(())
    }
}
