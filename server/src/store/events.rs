//! The log of events of workspaces. Many are written at once: a commit costs a write to the disk, and a function that
//! logs a lot must not wait for one each time.

use std::collections::BTreeMap;

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyPool, Row, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::{Store, StoreError};

/// Events that wait to be written; who logs more waits.
const WAITING: usize = 1024;
/// Events written with one commit.
const TOGETHER: usize = 256;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logged {
    /// Number of the event in its workspace, given when it is written.
    pub(crate) id: i64,
    pub(crate) workspace: String,
    pub(crate) kind: String,
    pub(crate) user: String,
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// JSON.
    pub(crate) data: Option<String>,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) workspace: String,
    pub(crate) user: String,
    pub(crate) kind: Option<String>,
    /// From this microsecond on.
    pub(crate) from: Option<i64>,
    /// Up to this microsecond.
    pub(crate) until: Option<i64>,
}

/// Writes events in the order in which they come.
#[derive(Clone, Debug)]
pub(crate) struct EventLog {
    queue: mpsc::Sender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    event: Logged,
    /// How many its workspace keeps.
    max: usize,
    written: oneshot::Sender<bool>,
}

impl EventLog {
    /// Starts the writer, which ends with the last clone of the log.
    pub(super) fn start(pool: AnyPool) -> Self {
        let (queue, mut waiting) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(TOGETHER);
            while waiting.recv_many(&mut batch, TOGETHER).await > 0 {
                let written = match append(&pool, &batch).await {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::error!(%error, events = batch.len(), "the log of events cannot be written");
                        false
                    }
                };
                // who gave up waiting is not told
                batch.drain(..).for_each(|waiting: Waiting| _ = waiting.written.send(written));
            }
        });
        Self { queue }
    }

    async fn write(&self, event: Logged, max: usize) -> bool {
        let (written, done) = oneshot::channel();
        self.queue.send(Waiting { event, max, written }).await.is_ok() && done.await.unwrap_or(false)
    }
}

async fn append(pool: &AnyPool, batch: &[Waiting]) -> Result<(), StoreError> {
    let mut change = pool.begin().await?;
    let insert = "INSERT INTO events (workspace, id, kind, user_id, at, data) \
                  SELECT $1, COALESCE(MAX(id), 0) + 1, $2, $3, $4, $5 FROM events WHERE workspace = $1";
    for Waiting { event, .. } in batch {
        let query = sqlx::query(insert).bind(event.workspace.as_str()).bind(event.kind.as_str());
        let query = query.bind(event.user.as_str()).bind(event.at).bind(event.data.as_deref());
        query.execute(&mut *change).await?;
    }
    let limits: BTreeMap<&str, usize> =
        batch.iter().map(|waiting| (waiting.event.workspace.as_str(), waiting.max)).collect();
    for (workspace, max) in limits {
        trim(&mut change, workspace, max).await?;
    }
    change.commit().await?;
    Ok(())
}

/// Only the caller's own events of one workspace, ever.
macro_rules! own_events {
    () => {
        "FROM events WHERE workspace = $1 AND user_id = $2 \
         AND (CAST($3 AS TEXT) IS NULL OR kind = CAST($3 AS TEXT)) \
         AND (CAST($4 AS BIGINT) IS NULL OR at >= CAST($4 AS BIGINT)) \
         AND (CAST($5 AS BIGINT) IS NULL OR at <= CAST($5 AS BIGINT))"
    };
}

impl Store {
    /// Writes an event; of its workspace the newest `max` are kept. It is on the disk when this returns.
    pub(crate) async fn log_event(&self, event: Logged, max: usize) -> Result<(), StoreError> {
        let written = self.shared.log.write(event, max).await;
        written.then_some(()).ok_or_else(|| StoreError::Unwritten)
    }

    /// The newest `limit` events asked for, oldest first.
    pub(crate) async fn events(&self, asked: &Asked, limit: usize) -> Result<Vec<Logged>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let text =
            concat!("SELECT id, kind, user_id, at, data ", own_events!(), " ORDER BY id DESC LIMIT $6");
        let rows = asked.bind(text).bind(limit).fetch_all(self.pool()).await?;
        let read = rows.into_iter().rev().map(|row| {
            Ok(Logged {
                id: row.try_get(0)?,
                workspace: asked.workspace.clone(),
                kind: row.try_get(1)?,
                user: row.try_get(2)?,
                at: row.try_get(3)?,
                data: row.try_get(4)?,
            })
        });
        read.collect()
    }

    /// How many of each kind are there.
    pub(crate) async fn count_events(&self, asked: &Asked) -> Result<Vec<(String, i64)>, StoreError> {
        let text = concat!("SELECT kind, COUNT(*) ", own_events!(), " GROUP BY kind ORDER BY kind");
        let rows = asked.bind(text).fetch_all(self.pool()).await?;
        rows.into_iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

impl Asked {
    fn bind<'a>(&'a self, text: &'static str) -> Query<'a, Any, AnyArguments> {
        let query = sqlx::query(text).bind(self.workspace.as_str()).bind(self.user.as_str());
        query.bind(self.kind.as_deref()).bind(self.from).bind(self.until)
    }
}

async fn trim(change: &mut Transaction<'_, Any>, workspace: &str, max: usize) -> Result<(), StoreError> {
    let trim = "DELETE FROM events WHERE workspace = $1 \
                AND id <= (SELECT MAX(id) FROM events WHERE workspace = $1) - $2";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    sqlx::query(trim).bind(workspace).bind(max).execute(&mut **change).await?;
    Ok(())
}
