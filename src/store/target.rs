//! Keeps a store that belongs to one team from being used for another.

use bytes::Bytes;

use super::{Store, StoreError};

/// The shared document that names the target.
pub const TARGET: &str = "target";

/// Whether a store belongs to this target, or to none yet. Changes nothing.
///
/// # Errors
/// [`StoreError::OtherTarget`] if it belongs to another target, and the store's own errors.
pub async fn check_target<S: Store + ?Sized>(store: &S, ours: &str) -> Result<(), StoreError> {
    let found = store.shared(TARGET).await?;
    if found.version == 0 || found.bytes == ours.as_bytes() {
        return Ok(());
    }
    let theirs = String::from_utf8_lossy(&found.bytes).into_owned();
    Err(StoreError::OtherTarget { theirs, ours: ours.to_owned() })
}

/// Claims a store for a target that has none yet.
///
/// # Errors
/// [`StoreError::OtherTarget`] if it belongs to another target, and the store's own errors.
pub async fn bind_target(store: &dyn Store, ours: &str) -> Result<(), StoreError> {
    loop {
        let found = store.shared(TARGET).await?;
        if found.version > 0 {
            let theirs = String::from_utf8_lossy(&found.bytes).into_owned();
            return if theirs == ours {
                Ok(())
            } else {
                Err(StoreError::OtherTarget { theirs, ours: ours.to_owned() })
            };
        }
        // Another process may have been quicker: look again.
        if store.put_shared(TARGET, 0, Bytes::copy_from_slice(ours.as_bytes())).await? {
            return Ok(());
        }
    }
}
