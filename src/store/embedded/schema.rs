//! The database file: where it is, how it is opened, and its schema versions.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::store::StoreError;

/// The database within the store's directory.
pub(super) const DATABASE: &str = "store.db";
/// SQLite's log of what is not in the database yet.
const DATABASE_LOG: &str = "store.db-wal";
/// Locked as long as a process has the store open. The system releases the lock when the process ends, however it
/// ends.
const LOCK: &str = "lock";

/// The schema version that this program reads and writes.
const VERSION: u32 = 3;
/// The oldest one that it can open: before it, the store kept events to replay, and no state.
const VERSION_FIRST: u32 = 3;

/// Marks the file as ours ("SCBR"), so that we do not write to another program's database.
const APPLICATION_ID: i32 = 0x5343_4252;

/// How many prepared statements are kept: more than there are.
const STATEMENTS_KEPT: usize = 128;

/// Keeps other processes out until it is dropped.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Unlocks explicitly, since closing the file may not be enough: a process that was just forked has it open
        // until it runs its own program.
        let _ = self.0.unlock();
    }
}

/// Creates the directory if it is missing, and takes the lock.
pub(super) fn lock(dir: &Path) -> Result<Lock, StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| no_access(dir, &e))?;
    let path = lock_file(dir);
    let file = private(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: dir.display().to_string() }),
        Err(TryLockError::Error(e)) => Err(no_access(&path, &e)),
    }
}

/// The path of the lock file.
pub(super) fn lock_file(dir: &Path) -> PathBuf {
    dir.join(LOCK)
}

/// The writer's connection, after migrating the file to the newest version.
pub(super) fn open_writer(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check_log(dir)?;
            make(&path)?;
        }
        _ => check_size(&path)?,
    }
    // Opened here, so that SQLite's other files get the same permissions.
    drop(private(&path)?);
    let mut db =
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Somebody may be reading the file with the `sqlite3` tool.
    db.busy_timeout(Duration::from_secs(5))?;
    check_header(&db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // Deleted data is overwritten: it may be about a person.
    db.pragma_update(None, "secure_delete", "ON")?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // At most 16 MiB of pages in memory.
    db.pragma_update(None, "cache_size", -16_384)?;
    // A checkpoint stops the writer for some 15 ms. With one for each 64 MiB of log, fewer than one delivery in a
    // hundred meets one, a page that was changed many times is written once, and reading the log after a crash is
    // still quick.
    db.pragma_update(None, "wal_autocheckpoint", 16_000)?;
    db.pragma_update(None, "journal_size_limit", 134_217_728)?;
    create(&mut db)?;
    Ok(db)
}

/// Makes a new file, whole or not at all.
fn make(path: &Path) -> Result<(), StoreError> {
    let draft = path.with_extension("db.new");
    let failed = |error: io::Error| no_access(&draft, &error);
    if let Err(error) = fs::remove_file(&draft)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed(error));
    }
    drop(private(&draft)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(&draft, flags)?;
    // Freed pages can then be returned to the file system. It can be set only before the first page is written.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    create(&mut db)?;
    db.close().map_err(|(_, error)| error)?;
    fs::rename(&draft, path).and_then(|()| sync_folder(path)).map_err(failed)
}

/// A log without its file is of a store that was lost: SQLite would write it into the new one.
fn check_log(dir: &Path) -> Result<(), StoreError> {
    let log = dir.join(DATABASE_LOG);
    match fs::metadata(&log) {
        Ok(found) if found.len() > 0 => Err(StoreError::Damaged(format!(
            "{DATABASE} is missing, and its log {DATABASE_LOG} is there: put {DATABASE} back, or, to begin with an empty \
             store, remove {DATABASE_LOG} and {DATABASE}-shm, too"
        ))),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(no_access(&log, &error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Refuses an empty file: SQLite would take it for a new database, and the loss of the old one would go unnoticed.
fn check_size(path: &Path) -> Result<(), StoreError> {
    let file = fs::metadata(path).map_err(|error| no_access(path, &error))?;
    if file.len() == 0 {
        return Err(StoreError::Damaged("its file is empty, as after a copy onto a full disk".to_owned()));
    }
    Ok(())
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Where a store's database is.
pub(super) fn database(dir: &Path) -> PathBuf {
    dir.join(DATABASE)
}

/// Refuses a file that is not ours, or has another layout, before anything is written to it.
fn check_header(db: &Connection) -> Result<(), StoreError> {
    let found = version(db)?;
    if found > VERSION {
        return Err(StoreError::NewerSchema { found, known: VERSION });
    }
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == APPLICATION_ID && found < VERSION_FIRST {
        return Err(StoreError::OlderSchema { found });
    }
    if application == APPLICATION_ID || (application == 0 && found == 0 && tables == 0) {
        Ok(())
    } else {
        Err(StoreError::Damaged("it is not a database of scim-bridge".to_owned()))
    }
}

fn create(db: &mut Connection) -> Result<(), StoreError> {
    if version(db)? < VERSION {
        let transaction = db.transaction()?;
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(db: &Connection) -> Result<u32, StoreError> {
    Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Writes a snapshot of the store in `dir` to a new file, even while a process serves it. The file gets its name once
/// it is complete; an interrupted backup leaves `FILE.partial`, which the next one replaces.
pub(super) fn backup(dir: &Path, to: &Path) -> Result<(), StoreError> {
    let db = open_reader(&database(dir))?;
    check_header(&db)?;
    db.pragma_update(None, "query_only", false)?;
    let path = to.to_str().ok_or_else(|| StoreError::Unavailable(format!("{}: is not UTF-8", to.display())))?;
    if to.exists() {
        return Err(no_access(to, &io::ErrorKind::AlreadyExists.into()));
    }
    let part = PathBuf::from(format!("{path}.partial"));
    let taken = || {
        remove(&part)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)
    };
    let file = taken().map_err(|e| no_access(&part, &e))?;
    let written = db
        .execute("VACUUM INTO ?1", [format!("{path}.partial")])
        .map_err(StoreError::from)
        .and_then(|_| file.sync_all().map_err(|e| no_access(&part, &e)))
        .and_then(|()| examine(&part, None))
        .and_then(|_| fs::rename(&part, to).and_then(|()| sync_folder(to)).map_err(|e| no_access(to, &e)));
    if written.is_err() {
        let _ = remove(&part);
    }
    written
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Reads the whole file. Returns whether there was time for all of it. Errors: [`StoreError::Damaged`] if something
/// in it is wrong.
pub(super) fn examine(path: &Path, time: Option<Duration>) -> Result<bool, StoreError> {
    check_size(path)?;
    let db = open_reader(path)?;
    let (done, ended) = mpsc::channel::<()>();
    let in_time = time.map(|time| {
        let running = db.get_interrupt_handle();
        thread::spawn(move || {
            if ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                running.interrupt();
            }
        })
    });
    // SQLite's messages name tables, indexes and pages, never values.
    let found = db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    if let Some(in_time) = in_time {
        let _ = in_time.join();
    }
    match found {
        Ok(found) if found == "ok" => Ok(true),
        Ok(found) => Err(StoreError::Damaged(found.replace('\n', " "))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn sync_folder(of: &Path) -> io::Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Opens a file for its owner only, and creates it if it is missing.
fn private(path: &Path) -> Result<File, StoreError> {
    let open = || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
        Ok(file)
    };
    open().map_err(|e| no_access(path, &e))
}

fn no_access(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
