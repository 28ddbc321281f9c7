//! Where the database is, and how it is opened.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Once};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, Connection as _, Executor};
use tokio::sync::Mutex;

use super::events::EventLog;
use super::migrations::migrator;
use super::{Shared, Store, StoreError};
use crate::config::Place;

/// Connections to a PostgreSQL server.
const CONNECTIONS: u32 = 8;
/// How long an operation waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

impl Store {
    /// Opens the database, makes it if need be, and brings its tables to this version.
    ///
    /// # Errors
    /// When the file is in use or cannot be written, the server of the database refuses, or a newer version made it.
    pub async fn open(place: &Place) -> Result<Self, StoreError> {
        prepare();
        let (kind, url, lock) = match place {
            Place::Memory => ("SQLite in memory", "sqlite::memory:".to_owned(), None),
            Place::File(path) => ("SQLite", url(path, "rwc")?, Some(lock(path)?)),
            Place::Postgres(url) => ("PostgreSQL", url.clone(), None),
        };
        if let Place::File(path) = place {
            create_private(path)
                .map_err(|error| StoreError::Place(format!("cannot write {}: {error}", path.display())))?;
        }
        let options = AnyConnectOptions::from_str(&url)?;
        let pool = AnyPoolOptions::new()
            .acquire_timeout(PATIENCE)
            // a database in memory is as old as its connection
            .idle_timeout(None)
            .max_lifetime(None)
            // one at a time: SQLite has one writer, and refuses the second instead of having it wait
            .max_connections(if matches!(place, Place::Postgres(_)) { CONNECTIONS } else { 1 });
        let durable = matches!(place, Place::File(_));
        let pool = pool.after_connect(move |connection, _| Box::pin(set_up(connection, durable)));
        let pool = pool.connect_with(options).await?;
        migrator().run(&pool).await.map_err(StoreError::Migration)?;
        let log = EventLog::start(pool.clone());
        Ok(Self {
            pool,
            shared: Arc::new(Shared {
                kind,
                log,
                names_put: AtomicUsize::default(),
                writing: Mutex::new(()),
                _lock: lock,
            }),
        })
    }
}

impl Store {
    /// Keeps servers away from a database file for as long as the answer lives.
    ///
    /// # Errors
    /// When a server uses it, or its folder cannot be written.
    pub(crate) fn lock(path: &Path) -> Result<File, StoreError> {
        lock(path)
    }
}

/// Copies a database of SQLite, which a server may be using, into a file that is not there yet.
///
/// # Errors
/// When there is no such database, or the copy cannot be written.
pub(crate) async fn back_up(database: &Path, copy: &Path) -> Result<(), StoreError> {
    if !database.is_file() {
        return Err(StoreError::Place(format!("there is no database at {}", database.display())));
    }
    if copy.exists() {
        return Err(StoreError::Place(format!("{} is there already: choose another name", copy.display())));
    }
    prepare();
    let failed =
        |error: std::io::Error| StoreError::Place(format!("cannot write {}: {error}", copy.display()));
    // what has the name of the copy is the whole of it, whenever this is cut off
    let part = beside(copy, ".part");
    for end in ["", "-journal"] {
        _ = std::fs::remove_file(beside(&part, end));
    }
    create_private(&part).map_err(failed)?;
    let target =
        part.to_str().ok_or_else(|| StoreError::Place(format!("the path {} is not text", copy.display())))?;
    let mut connection =
        AnyConnection::connect_with(&AnyConnectOptions::from_str(&url(database, "rwc")?)?).await?;
    let written = sqlx::query("VACUUM INTO $1").bind(target).execute(&mut connection).await;
    connection.close().await?;
    if let Err(error) = written {
        _ = std::fs::remove_file(&part);
        return Err(error.into());
    }
    File::options().write(true).open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&part, copy).map_err(failed)
}

/// An empty file that only this user can read, unless there is one: a database tells much about many.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// `polyfn.db` as `polyfn.db-wal`.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Makes both kinds of databases known; before anything is opened.
pub(super) fn prepare() {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
}

/// The URL of a file that is not to be changed.
pub(super) fn read_only(path: &Path) -> Result<String, StoreError> {
    url(path, "ro")
}

async fn set_up(connection: &mut AnyConnection, durable: bool) -> Result<(), sqlx::Error> {
    if durable {
        // what was acknowledged is on the disk, even when the power fails
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").await?;
    }
    Ok(())
}

/// Whatever is in the path, none of it is taken for a part of the URL.
fn url(path: &Path, mode: &str) -> Result<String, StoreError> {
    let unusable = || StoreError::Place(format!("the path {} is not text", path.display()));
    // what is relative would be taken for the name of a host
    let path = std::path::absolute(path).map_err(|_| unusable())?;
    let text = path.to_str().ok_or_else(unusable)?;
    let escaped = percent_encoding::utf8_percent_encode(text, ESCAPED);
    Ok(format!("sqlite://{escaped}?mode={mode}"))
}

const ESCAPED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// Makes the folder in which `path` is to be.
pub(crate) fn make_folder_of(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::create_dir_all(folder),
        None => Ok(()),
    }
}

/// Takes the file for this server, until the process ends.
fn lock(path: &Path) -> Result<File, StoreError> {
    let failed = |what: &Path, error: std::io::Error| {
        StoreError::Place(format!(
            "the database cannot be kept at {}: {error}; choose another place with --data-dir or --database-uri",
            what.display()
        ))
    };
    make_folder_of(path).map_err(|error| failed(path, error))?;
    let beside = beside(path, ".lock");
    let file =
        File::options().create(true).append(true).open(&beside).map_err(|error| failed(&beside, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(failed(&beside, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_has_one_server_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        // none of this is a part of a URL
        let place = Place::File(folder.path().join("a folder?").join("x#y %41.db"));
        let store = Store::open(&place).await.unwrap();
        let error = Store::open(&place).await.unwrap_err();
        assert!(error.to_string().contains("in use by another server"), "{error}");
        store.close().await;
        drop(store);
        assert!(folder.path().join("a folder?").join("x#y %41.db").is_file());
        Store::open(&place).await.unwrap().ping().await.unwrap();
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_told() {
        let error = Store::open(&Place::File(PathBuf::from("/proc/polyfn/x.db"))).await.unwrap_err();
        assert!(error.to_string().contains("choose another place with --data-dir"), "{error}");
    }
}
