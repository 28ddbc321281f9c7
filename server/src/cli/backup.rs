//! `polyfn backup` and `polyfn restore`: the database of a server in one file.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{FAILED, UNUSABLE, fail};
use crate::runtime;
use crate::store::{Place, Store, StoreError, back_up, make_folder_of};

pub(super) const EXAMPLES: &str = "\
Examples:
  Copy the database in ./polyfn-data while its server runs:
    polyfn backup monday.db
  Copy another one:
    polyfn backup monday.db --data-dir /var/lib/polyfn

A database in PostgreSQL is copied by pg_dump. Keys are not in the copy: keep the token secret and the seal key, or the file
polyfn.key beside the database, with it and apart from it.";

pub(super) const RESTORE_EXAMPLES: &str = "\
Examples:
  Go on with a copy; the server must be stopped, and the database before is kept beside it:
    polyfn restore monday.db";

/// Where the database of a server is, as `polyfn serve` finds it.
#[derive(Debug, Args)]
struct PlaceFlags {
    /// Folder of what outlives the server.
    #[arg(long, default_value = "polyfn-data", value_name = "FOLDER", env = "POLYFN_DATA_DIR")]
    data_dir: PathBuf,
    /// Database, when it is not the file in the data folder.
    #[arg(long, value_name = "URI", env = "POLYFN_DATABASE_URI")]
    database_uri: Option<Place>,
}

impl PlaceFlags {
    fn file(&self) -> Result<PathBuf, String> {
        match &self.database_uri {
            None => Ok(self.data_dir.join("polyfn.db")),
            Some(Place::File(path)) => Ok(path.clone()),
            Some(Place::Memory) => Err("a database in memory cannot be copied".to_owned()),
            Some(Place::Postgres(_)) => {
                Err("a PostgreSQL database is copied by pg_dump and pg_restore".to_owned())
            }
        }
    }
}

/// What `polyfn backup` understands.
#[derive(Debug, Args)]
pub(super) struct BackupCommand {
    /// The copy; it must not be there yet.
    file: PathBuf,
    #[command(flatten)]
    place: PlaceFlags,
}

/// What `polyfn restore` understands.
#[derive(Debug, Args)]
pub(super) struct RestoreCommand {
    /// A copy made by `polyfn backup`.
    file: PathBuf,
    #[command(flatten)]
    place: PlaceFlags,
}

impl BackupCommand {
    pub(super) fn run(&self) -> u8 {
        let database = match self.place.file() {
            Ok(path) => path,
            Err(text) => return fail(UNUSABLE, &text),
        };
        let done = waited(back_up(&database, &self.file));
        ended(done, &format!("copied {} to {}", database.display(), self.file.display()))
    }
}

impl RestoreCommand {
    pub(super) fn run(&self) -> u8 {
        let database = match self.place.file() {
            Ok(path) => path,
            Err(text) => return fail(UNUSABLE, &text),
        };
        match restore(&self.file, &database) {
            Ok(None) => ended(Ok(()), &format!("{} holds {} now", database.display(), self.file.display())),
            Ok(Some(before)) => ended(
                Ok(()),
                &format!(
                    "{} holds {} now; it was kept as {}",
                    database.display(),
                    self.file.display(),
                    before.display()
                ),
            ),
            Err(text) => fail(FAILED, &text),
        }
    }
}

/// Gives the name under which the database before is kept.
fn restore(copy: &Path, database: &Path) -> Result<Option<PathBuf>, String> {
    let told = |error: StoreError| error.to_string();
    // a copy that does not open must not take the place of a database that does; to open it is to bring it to this
    // version, so that is done to a copy of it
    let failed = |error: std::io::Error| format!("cannot put the copy at {}: {error}", database.display());
    if copy.is_file() {
        make_folder_of(database).map_err(failed)?;
    }
    let fresh = beside(database, "restored");
    // with the log that a restore left which was cut off: it is none of this copy's
    remove_with_logs(&fresh);
    waited(back_up(copy, &fresh)).map_err(told)?;
    let opened = waited(async {
        let store = Store::open(&Place::File(fresh.clone())).await?;
        store.close().await;
        Ok(())
    });
    _ = std::fs::remove_file(beside(&fresh, "lock"));
    opened.map_err(|error| format!("{} cannot be used: {error}", copy.display()))?;
    let lock = Store::lock(database).map_err(told)?;
    let before = database.exists().then(|| beside(database, "before"));
    if let Some(before) = &before {
        // with all of its log in it, so that the file is the whole of it
        waited(back_up_over(database, before)).map_err(told)?;
    }
    remove_logs(database);
    std::fs::rename(&fresh, database).map_err(failed)?;
    drop(lock);
    Ok(before)
}

async fn back_up_over(database: &Path, copy: &Path) -> Result<(), StoreError> {
    remove_with_logs(copy);
    back_up(database, copy).await
}

fn remove_with_logs(database: &Path) {
    _ = std::fs::remove_file(database);
    remove_logs(database);
}

fn remove_logs(database: &Path) {
    for end in ["-wal", "-shm", "-journal"] {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        _ = std::fs::remove_file(name);
    }
}

/// `polyfn.db` as `polyfn.db.before`.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}

fn waited(work: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    let runtime =
        runtime::new(1).map_err(|error| StoreError::Place(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(work)
}

fn ended(done: Result<(), StoreError>, text: &str) -> u8 {
    match done {
        Ok(()) => {
            println!("{text}");
            0
        }
        Err(error) => fail(FAILED, &error.to_string()),
    }
}
