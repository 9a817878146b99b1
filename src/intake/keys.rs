//! A source's keys, which are derived again when one of its secrets changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::SecretString;

use crate::config::SourceSecret;
use crate::core::signature::{Keys, Scheme};

/// Keys that are kept up to date with their secrets.
pub(super) struct LiveKeys {
    secrets: Vec<SourceSecret>,
    ready: ArcSwap<Ready>,
}

/// Keys, and the secrets that they were derived from.
pub(super) struct Ready {
    made_of: Vec<Arc<SecretString>>,
    pub(super) keys: Keys,
}

impl Ready {
    fn make(scheme: &Scheme, secrets: &[SourceSecret]) -> Self {
        let made_of: Vec<_> = secrets.iter().map(|active| active.secret.current()).collect();
        let keys =
            Keys::prepare(scheme, made_of.iter().zip(secrets).map(|(secret, active)| (&**secret, active.not_after)));
        Self { made_of, keys }
    }
}

impl LiveKeys {
    pub(super) fn new(scheme: &Scheme, secrets: Vec<SourceSecret>) -> Self {
        let ready = ArcSwap::from_pointee(Ready::make(scheme, &secrets));
        Self { secrets, ready }
    }

    /// The keys of the current secrets.
    pub(super) fn current(&self, scheme: &Scheme) -> Arc<Ready> {
        let ready = self.ready.load_full();
        let fresh =
            |(active, made_of): (&SourceSecret, &Arc<SecretString>)| Arc::ptr_eq(&active.secret.current(), made_of);
        if self.secrets.iter().zip(&ready.made_of).all(fresh) {
            return ready;
        }
        let ready = Arc::new(Ready::make(scheme, &self.secrets));
        self.ready.store(Arc::clone(&ready));
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::LiveSecret;

    #[test]
    fn a_replaced_secret_is_used_and_an_unchanged_one_is_prepared_once() {
        let scheme: Scheme = toml::from_str("header = 'x'").unwrap();
        let secret = LiveSecret::new(SecretString::from(""));
        let keys = LiveKeys::new(&scheme, vec![SourceSecret { secret: secret.clone(), not_after: None }]);
        let first = keys.current(&scheme);
        assert!(first.keys.is_empty());
        assert!(Arc::ptr_eq(&first, &keys.current(&scheme)));
        secret.replace(SecretString::from("s3cret"));
        assert!(!keys.current(&scheme).keys.is_empty());
    }
}
