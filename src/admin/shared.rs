//! The small documents that all processes share, read and changed: read, change, write if nobody wrote
//! in between, else again.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock;
use crate::store::{Store, StoreError};

/// Holds in force: [`crate::core::hold::Holds`].
pub const HOLDS: &str = "holds";
/// What went through the guard: [`crate::core::guard::Guard`].
pub const GUARD: &str = "guard";
/// Who did what: [`crate::core::audit::Audit`].
pub const AUDIT: &str = "audit";
/// What happens: [`crate::core::activity::Activity`].
pub const ACTIVITY: &str = "activity";
/// Who works here: [`crate::core::processes::Processes`].
pub const PROCESSES: &str = "processes";
/// Since when there is which problem: [`crate::core::problems::Seen`].
pub const SEEN: &str = "problems";
/// With which mappings all unmapped records were tried.
pub const REMAPPED: &str = "remapped";
/// Sessions of the console that were logged out.
pub const LOGGED_OUT: &str = "logged-out";

/// Two hundred processes that write the same document every few seconds meet now and then.
const TRIES: u32 = 50;
const PAUSE_MAX: Duration = Duration::from_millis(40);

/// Reads a document; one that there is not yet is the default.
///
/// # Errors
/// The store cannot be read, or the document is not what was written.
pub async fn read<T: DeserializeOwned + Default>(store: &dyn Store, name: &str) -> Result<T, StoreError> {
    parse(name, &store.shared(name).await?.bytes)
}

/// Changes a document. What `change` gives is given back; where it gives nothing, nothing is written.
///
/// # Errors
/// The store cannot be used, the document is not what was written, or others write it all the time.
pub async fn update<T, R>(
    store: &dyn Store,
    name: &str,
    mut change: impl FnMut(&mut T) -> Option<R> + Send,
) -> Result<Option<R>, StoreError>
where
    T: DeserializeOwned + Default + Serialize + Send,
    R: Send,
{
    for _ in 0..TRIES {
        let shared = store.shared(name).await?;
        let mut document: T = parse(name, &shared.bytes)?;
        let Some(result) = change(&mut document) else { return Ok(None) };
        let bytes = serde_json::to_vec(&document).map_err(|_| damaged(name))?;
        if store.put_shared(name, shared.version, Bytes::from(bytes)).await? {
            return Ok(Some(result));
        }
        tokio::time::sleep(PAUSE_MAX.mul_f64(clock::jitter())).await;
    }
    Err(StoreError::Unavailable(format!("the shared document `{name}` is written by others all the time")))
}

/// What is lost with these is told anew within seconds, so that damage to one must not take the others
/// with it. Holds, guard and audit are not among them.
const RENEWED: [&str; 5] = [ACTIVITY, PROCESSES, SEEN, REMAPPED, LOGGED_OUT];

fn parse<T: DeserializeOwned + Default>(name: &str, bytes: &[u8]) -> Result<T, StoreError> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    match serde_json::from_slice(bytes) {
        Ok(document) => Ok(document),
        Err(_) if RENEWED.contains(&name) => {
            tracing::warn!(name, "a shared document does not read, and is begun anew");
            Ok(T::default())
        }
        Err(_) => Err(damaged(name)),
    }
}

fn damaged(name: &str) -> StoreError {
    StoreError::Damaged(format!("the shared document `{name}`"))
}
