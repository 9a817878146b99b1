//! Whether the store's files are still the ones that were opened. Once they are removed, moved or replaced, what is
//! written goes to files that no later process finds.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::schema;
use crate::store::StoreError;

/// Device and number of a file.
type Identity = (u64, u64);

/// The files by which another process finds the store, and by which it is locked.
#[derive(Debug)]
pub(super) struct Presence([(PathBuf, Identity); 2]);

impl Presence {
    /// The files as just opened.
    pub(super) fn of(dir: &Path) -> Result<Self, StoreError> {
        let known = |path: PathBuf| {
            let identity = identity(&path).map_err(|error| gone(&path, &error.to_string()))?;
            Ok::<_, StoreError>((path, identity))
        };
        Ok(Self([known(schema::database(dir))?, known(schema::lock_file(dir))?]))
    }

    /// Checks the paths again. Two system calls; blocks while the disk hangs.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (path, known) in &self.0 {
            match identity(path) {
                Ok(identity) if identity == *known => {}
                Ok(_) => return Err(gone(path, "another file is in its place")),
                Err(error) => return Err(gone(path, &error.to_string())),
            }
        }
        Ok(())
    }
}

fn identity(path: &Path) -> std::io::Result<Identity> {
    path.metadata().map(|about| (about.dev(), about.ino()))
}

fn gone(path: &Path, why: &str) -> StoreError {
    StoreError::Unavailable(format!("{} is not the file that was opened: {why}", path.display()))
}
