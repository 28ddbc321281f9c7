//! What is kept over a restart: one database, SQLite or PostgreSQL, by the same statements.
//!
//! Each part of the server that keeps something has a file here with its statements, and a file of its own in
//! `migrations/`. Statements use what both databases have: TEXT and BIGINT, `$1` for parameters,
//! `ON CONFLICT`; ids are made by us.

pub mod accounts;
mod administration;
mod error;
pub(crate) mod events;
mod generations;
mod look;
mod made;
mod migrations;
pub(crate) mod names;
mod open;
mod revoked;
mod seal;
mod uses;
mod variables;
mod workspaces;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use sqlx::AnyPool;
use tokio::sync::{Mutex, MutexGuard};

use self::events::EventLog;

pub use crate::config::Place;
pub use error::StoreError;
pub(crate) use open::{back_up, make_folder_of};
pub(crate) use seal::Seal;

/// The database of a server. Clones share it.
///
/// What a method has answered is on the disk, and stays when the process is killed.
///
/// # Examples
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use polyfn_server::store::{Place, Store};
/// let store = Store::open(&Place::Memory).await?;
/// assert_eq!(store.kind(), "SQLite in memory");
/// store.close().await;
/// # Ok::<(), polyfn_server::store::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kind: &'static str,
    log: EventLog,
    /// How many names of workspaces were put in.
    names_put: AtomicUsize,
    /// Held while something is changed both here and in memory, so that both see changes in the same order.
    writing: Mutex<()>,
    /// Ours alone while the server runs: what is cached in memory must not be changed behind its back.
    _lock: Option<std::fs::File>,
}

/// Seconds since 1970 as the database has them.
fn seconds(at: u64) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

impl Store {
    /// What holds the data, in words for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.shared.kind
    }

    /// The connections, for the statements of the files here.
    pub(crate) const fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Waits until nobody else changes what is both here and in memory.
    pub(crate) async fn writing(&self) -> MutexGuard<'_, ()> {
        self.shared.writing.lock().await
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Ends all connections, when what is under way is done.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
