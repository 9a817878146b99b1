//! Whose store it is: a store that belongs to one team is not used for another.

use bytes::Bytes;

use super::{Store, StoreError};

/// The shared document that names the target.
pub const TARGET: &str = "target";

/// Claims a store for a target that has none yet.
///
/// # Errors
/// [`StoreError::OtherTarget`] if it is another's, and whatever the store fails with.
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
        // Another process may be quicker: then it is looked at again.
        if store.put_shared(TARGET, 0, Bytes::copy_from_slice(ours.as_bytes())).await? {
            return Ok(());
        }
    }
}
