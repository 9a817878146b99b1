//! What a delivery is known by when it comes again.

use sha2::{Digest, Sha256};

use super::verify::Genuine;
use crate::core::event::SourceName;

/// What makes two deliveries of a source the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EventId {
    /// An id that the source vouches for.
    Given(Vec<u8>),
    /// There is none: the body itself.
    Body,
}

/// How a delivery is known again. Hashes (SHA-256, cut to 16 bytes): an id may be of any length, and
/// may be somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupeKey {
    /// Of source and id, or of source and body.
    pub key: [u8; 16],
    /// Of the body: the same key with another one is a conflict.
    pub fingerprint: [u8; 16],
}

impl Genuine {
    /// How this delivery of `source` is known again.
    #[must_use]
    pub fn dedupe_key(&self, source: &SourceName) -> DedupeKey {
        let fingerprint = cut(Sha256::digest(&self.delivery.get().body));
        let key = Sha256::new().chain_update(source.as_str()).chain_update(b"\0");
        // The tag keeps an id from passing for the hash of a body.
        let key = match &self.id {
            EventId::Given(id) => key.chain_update(b"id\0").chain_update(id),
            EventId::Body => key.chain_update(b"body\0").chain_update(fingerprint),
        };
        DedupeKey { key: cut(key.finalize()), fingerprint }
    }
}

fn cut(digest: impl AsRef<[u8]>) -> [u8; 16] {
    let mut cut = [0; 16];
    cut.copy_from_slice(&digest.as_ref()[..16]);
    cut
}
