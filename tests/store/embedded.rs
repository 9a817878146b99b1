//! The embedded engine: on a folder of its own.

use std::sync::Arc;

use async_trait::async_trait;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{Store, StoreOptions};
use tempfile::TempDir;

use crate::harness::Engine;

/// A folder that goes away with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
}

#[async_trait]
impl Engine for Folder {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Store> {
        Arc::new(Embedded::open(self.0.path(), options).unwrap())
    }
}
