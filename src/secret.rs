//! A secret that may change while the process runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::SecretString;

/// A secret's current value; `config` replaces it when its file changes. Never printed.
#[derive(Clone)]
pub struct LiveSecret(Arc<ArcSwap<SecretString>>);

impl LiveSecret {
    /// A secret with a first value.
    #[must_use]
    pub fn new(value: SecretString) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// The value as it is now.
    #[must_use]
    pub fn current(&self) -> Arc<SecretString> {
        self.0.load_full()
    }

    /// Replaces the value; the next reader gets the new one.
    pub fn replace(&self, value: SecretString) {
        self.0.store(Arc::new(value));
    }
}

impl fmt::Debug for LiveSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveSecret(…)")
    }
}
