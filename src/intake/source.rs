//! A source at the door: how it signs, what its payloads mean, what it may send.

use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::SecretString;

use super::BindError;
use crate::core::event::SourceName;
use crate::core::mapping::Mapping;
use crate::core::signature::{Keys, Scheme, Verifier};
use crate::core::time::UnixMs;
use crate::secret::LiveSecret;

/// A configured HR system.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in the URL.
    pub name: SourceName,
    /// How it signs.
    pub scheme: Scheme,
    /// What it may sign with.
    pub secrets: Vec<SourceSecret>,
    /// What its payloads mean.
    pub mapping: Mapping,
    /// How long its deliveries are remembered, in milliseconds.
    pub remember_ms: u64,
    /// Media types that it may send, in lower case and without parameters.
    pub content_types: Vec<String>,
}

/// A secret that may be replaced while the process runs.
#[derive(Debug, Clone)]
pub struct SourceSecret {
    /// The secret.
    pub secret: LiveSecret,
    /// After this it is not taken any more.
    pub not_after: Option<UnixMs>,
}

/// A source with its keys at hand.
pub(super) struct Guarded {
    source: Source,
    verifier: Verifier,
    prepared: ArcSwap<Prepared>,
}

/// Keys, and the secrets that they were prepared from.
struct Prepared {
    secrets: Vec<Arc<SecretString>>,
    keys: Keys,
}

impl Guarded {
    pub(super) fn new(source: Source) -> Result<Self, BindError> {
        let verifier = Verifier::new(source.scheme.clone()).map_err(|problems| {
            let name = source.name.to_string();
            // Refused means that there is at least one; `config` has told them all.
            let problem = problems.into_iter().next().unwrap_or_else(|| unreachable!("refused without a problem"));
            BindError::Scheme { name, problem }
        })?;
        let prepared = ArcSwap::from_pointee(prepare(&source));
        Ok(Self { source, verifier, prepared })
    }

    pub(super) fn name(&self) -> &SourceName {
        &self.source.name
    }

    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn mapping(&self) -> &Mapping {
        &self.source.mapping
    }

    pub(super) fn remember_ms(&self) -> u64 {
        self.source.remember_ms
    }

    /// Whether a `Content-Type` may be sent. One that is not there may: some senders leave it out.
    pub(super) fn takes(&self, content_type: Option<&str>) -> bool {
        let Some(content_type) = content_type else { return true };
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        self.source.content_types.iter().any(|taken| taken.eq_ignore_ascii_case(media_type))
    }

    /// Runs `with` on the keys of the present secrets.
    pub(super) fn with_keys<T>(&self, with: impl FnOnce(&Keys) -> T) -> T {
        let prepared = self.prepared.load();
        let present = |(secret, of): (&SourceSecret, &Arc<SecretString>)| Arc::ptr_eq(&secret.secret.current(), of);
        if self.source.secrets.iter().zip(&prepared.secrets).all(present) {
            return with(&prepared.keys);
        }
        let renewed = Arc::new(prepare(&self.source));
        self.prepared.store(renewed.clone());
        with(&renewed.keys)
    }
}

fn prepare(source: &Source) -> Prepared {
    let secrets: Vec<_> = source.secrets.iter().map(|secret| secret.secret.current()).collect();
    let until = source.secrets.iter().map(|secret| secret.not_after);
    let keys = Keys::prepare(&source.scheme, secrets.iter().map(AsRef::as_ref).zip(until));
    Prepared { secrets, keys }
}
