//! Who is kept out, and the audit log.

use sqlx::Row;

use super::{Store, StoreError, seconds};
use crate::audit::Entry;
use crate::blocks::{Block, Subject};

/// Entries of the audit log that are given at once.
pub(crate) const ENTRIES_MAX: usize = 1000;

impl Store {
    /// Keeps somebody out; what was said of that before is replaced.
    ///
    /// # Errors
    /// When the database fails: nobody must be told to be blocked then.
    pub async fn block(&self, block: &Block) -> Result<(), StoreError> {
        let put = "INSERT INTO blocked (kind, name, reason, blocked_by, at, until) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (kind, name) DO UPDATE SET reason = $3, blocked_by = $4, at = $5, until = $6";
        sqlx::query(put)
            .bind(block.subject.word())
            .bind(&block.name)
            .bind(&block.reason)
            .bind(&block.by)
            .bind(seconds(block.at))
            .bind(block.until.map(seconds))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Lets somebody in again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unblock(&self, subject: Subject, name: &str) -> Result<(), StoreError> {
        let delete = "DELETE FROM blocked WHERE kind = $1 AND name = $2";
        sqlx::query(delete).bind(subject.word()).bind(name).execute(self.pool()).await?;
        Ok(())
    }

    /// All who are kept out at `now`; those whose time is over are forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blocked(&self, now: u64) -> Result<Vec<Block>, StoreError> {
        sqlx::query("DELETE FROM blocked WHERE until <= $1").bind(seconds(now)).execute(self.pool()).await?;
        let select = "SELECT kind, name, reason, blocked_by, at, until FROM blocked";
        let rows = sqlx::query(select).fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                let kind: String = row.try_get("kind")?;
                let subject = Subject::from_word(&kind)
                    .ok_or_else(|| StoreError::Damaged("who is blocked".to_owned()))?;
                let (at, until): (i64, Option<i64>) = (row.try_get("at")?, row.try_get("until")?);
                Ok(Block {
                    subject,
                    name: row.try_get("name")?,
                    reason: row.try_get("reason")?,
                    by: row.try_get("blocked_by")?,
                    at: at.unsigned_abs(),
                    until: until.map(i64::unsigned_abs),
                })
            })
            .collect()
    }

    /// Writes an entry of the audit log.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn note(&self, entry: &Entry) -> Result<(), StoreError> {
        let put =
            "INSERT INTO audit (id, at, changed_by, what, target, details) VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(put)
            .bind(&entry.id)
            .bind(seconds(entry.at))
            .bind(&entry.by)
            .bind(&entry.what)
            .bind(&entry.target)
            .bind(&entry.details)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Forgets all but the last `max` entries, and those before `before`, seconds since 1970; 0 and none for no limit.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn trim_audit(&self, max: u64, before: Option<u64>) -> Result<(), StoreError> {
        if max > 0 {
            let delete =
                "DELETE FROM audit WHERE id <= (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET $1)";
            sqlx::query(delete).bind(seconds(max)).execute(self.pool()).await?;
        }
        if let Some(before) = before {
            sqlx::query("DELETE FROM audit WHERE at < $1").bind(seconds(before)).execute(self.pool()).await?;
        }
        Ok(())
    }

    /// The last entries before the one called `before`, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn noted(&self, limit: usize, before: Option<&str>) -> Result<Vec<Entry>, StoreError> {
        // every id is smaller than this
        let before = before.unwrap_or("~");
        let select = "SELECT id, at, changed_by, what, target, details FROM audit WHERE id < $1 \
                      ORDER BY id DESC LIMIT $2";
        let limit = i64::try_from(limit.min(ENTRIES_MAX)).unwrap_or(1);
        let rows = sqlx::query(select).bind(before).bind(limit).fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                let at: i64 = row.try_get("at")?;
                Ok(Entry {
                    id: row.try_get("id")?,
                    at: at.unsigned_abs(),
                    by: row.try_get("changed_by")?,
                    what: row.try_get("what")?,
                    target: row.try_get("target")?,
                    details: row.try_get("details")?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    fn block(name: &str, until: Option<u64>) -> Block {
        let (reason, by) = ("noise".to_owned(), "root".to_owned());
        Block { subject: Subject::User, name: name.to_owned(), reason, by, at: 5, until }
    }

    #[tokio::test]
    async fn who_is_blocked_stays_so_until_the_time_is_over() {
        let store = Store::open(&Place::Memory).await.unwrap();
        for block in [block("ann", None), block("bob", Some(10)), block("bob", Some(20))] {
            store.block(&block).await.unwrap();
        }
        assert_eq!(store.blocked(19).await.unwrap(), [block("ann", None), block("bob", Some(20))]);
        assert_eq!(store.blocked(20).await.unwrap(), [block("ann", None)]);
        store.unblock(Subject::User, "ann").await.unwrap();
        assert_eq!(store.blocked(20).await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_oldest_entries_give_way() {
        let store = Store::open(&Place::Memory).await.unwrap();
        for number in 0..5_u64 {
            let entry =
                Entry { at: number, id: format!("{number:020}"), ..Entry::new("root", "block", "", "") };
            store.note(&entry).await.unwrap();
        }
        let times =
            async || store.noted(9, None).await.unwrap().iter().map(|entry| entry.at).collect::<Vec<_>>();
        store.trim_audit(0, None).await.unwrap();
        store.trim_audit(5, Some(0)).await.unwrap();
        assert_eq!(times().await, [4, 3, 2, 1, 0]);
        store.trim_audit(3, None).await.unwrap();
        assert_eq!(times().await, [4, 3, 2]);
        store.trim_audit(3, Some(4)).await.unwrap();
        assert_eq!(times().await, [4]);
    }

    #[tokio::test]
    async fn the_newest_entries_come_first() {
        let store = Store::open(&Place::Memory).await.unwrap();
        for target in ["one", "two", "three"] {
            store.note(&Entry::new("root", "block", target, "")).await.unwrap();
        }
        let all = store.noted(9, None).await.unwrap();
        assert_eq!(
            all.iter().map(|entry| entry.target.as_str()).collect::<Vec<_>>(),
            ["three", "two", "one"]
        );
        let rest = store.noted(9, Some(&all[1].id)).await.unwrap();
        assert_eq!(rest, all[2..]);
    }
}
