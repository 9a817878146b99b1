//! Small shared documents, read and changed by compare and swap.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use super::{Store, StoreError};

/// How often a change is tried again while others change the same document.
pub(super) const CONFLICTS_MAX: usize = 50;

/// Reads a shared document with its version; a missing or unreadable one counts as empty.
pub async fn read<T: DeserializeOwned + Default>(store: &dyn Store, name: &str) -> Result<(T, u64), StoreError> {
    let shared = store.shared(name).await?;
    if shared.bytes.is_empty() {
        return Ok((T::default(), shared.version));
    }
    let document = serde_json::from_slice(&shared.bytes).unwrap_or_else(|_| {
        error!(document = name, "a shared document is damaged, or of a newer version: treated as empty");
        T::default()
    });
    Ok((document, shared.version))
}

/// Changes a shared document. `change` returns the result, or none if it changed nothing.
pub async fn change<T, R>(
    store: &dyn Store,
    name: &str,
    mut change: impl FnMut(&mut T) -> Option<R>,
) -> Result<Option<R>, StoreError>
where
    T: Serialize + DeserializeOwned + Default,
{
    for _ in 0..CONFLICTS_MAX {
        let (mut document, version) = read::<T>(store, name).await?;
        let Some(result) = change(&mut document) else { return Ok(None) };
        let bytes = serde_json::to_vec(&document)
            .map_err(|error| StoreError::Damaged(format!("the shared document {name} cannot be written: {error}")))?;
        if store.put_shared(name, version, Bytes::from(bytes)).await? {
            return Ok(Some(result));
        }
    }
    Err(StoreError::Unavailable(format!("the shared document {name} keeps being changed by others")))
}
