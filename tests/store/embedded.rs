//! The embedded engine: on a folder of its own, and what is particular to its files.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use scim_bridge::clock::LeaseClock;
use scim_bridge::store::StoreOptions;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::transfer::Transfer;
use tempfile::TempDir;

use crate::harness::Engine;

/// A folder that goes away with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

#[async_trait]
impl Engine for Folder {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(Embedded::open_with(self.0.path(), options, LeaseClock::Caller).unwrap())
    }
}
