//! The in-memory engine, reopened again and again with the same content.

use std::sync::Arc;

use async_trait::async_trait;
use scim_bridge::store::StoreOptions;
use scim_bridge::store::memory::Memory;
use scim_bridge::store::transfer::Transfer;

use crate::harness::{Engine, options};

/// Content that outlives its handles.
pub(crate) struct Kept(Memory);

impl Kept {
    pub(crate) fn new() -> Self {
        Self(Memory::new(options()))
    }
}

#[async_trait]
impl Engine for Kept {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(self.0.reopened(options))
    }
}
