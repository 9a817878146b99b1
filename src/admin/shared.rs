//! The small documents that all processes share, by name. They are read and changed through
//! [`crate::store::documents`].

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{Store, StoreError, documents};

pub use crate::store::holds::HOLDS;

/// What went through the guard: [`crate::core::guard::Guard`].
pub const GUARD: &str = "guard";
/// Who did what: [`crate::core::audit::Audit`].
pub const AUDIT: &str = "audit";
/// What happened lately: [`crate::core::activity::Activity`].
pub const ACTIVITY: &str = "activity";
/// The processes on this store: [`crate::core::processes::Processes`].
pub const PROCESSES: &str = "processes";
/// Since when each problem has been there: [`crate::core::problems::Seen`].
pub const SEEN: &str = "problems";
/// The mappings with which all unmapped records were tried.
pub const REMAPPED: &str = "remapped";
/// The people of sources that are not configured any more.
pub const GONE: &str = "gone";
/// Sessions of the console that were logged out.
pub const LOGGED_OUT: &str = "logged-out";

/// Reads a document; a missing one is the default.
pub(super) async fn read<T: DeserializeOwned + Default>(store: &dyn Store, name: &str) -> Result<T, StoreError> {
    Ok(documents::read(store, name).await?.0)
}

/// Changes a document, and returns the result of `change`; if that is none, nothing is written.
pub(super) async fn update<T, R>(
    store: &dyn Store,
    name: &str,
    change: impl FnMut(&mut T) -> Option<R> + Send,
) -> Result<Option<R>, StoreError>
where
    T: DeserializeOwned + Default + Serialize + Send,
    R: Send,
{
    documents::change(store, name, change).await
}
