//! Connections for readers, which see the last commit while the writer works.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::schema;
use crate::store::StoreError;

/// Connections kept for the next reader.
const IDLE_MAX: usize = 4;

/// Read-only connections, opened as needed.
#[derive(Clone)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Arc::default() }
    }

    /// Runs `read` on one state of the store, off the async threads.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.clone();
        tokio::task::spawn_blocking(move || {
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut db = match idle {
                Some(db) => db,
                None => schema::open_reader(&readers.path)?,
            };
            let snapshot = db.transaction()?;
            let value = read(&snapshot)?;
            drop(snapshot);
            let mut idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(db);
            }
            Ok(value)
        })
        .await
        .map_err(|_| StoreError::Unavailable("the read was interrupted".to_owned()))?
    }
}
