//! How a repeated delivery is recognised.

use sha2::{Digest, Sha256};

use super::genuine::{EventId, Genuine};
use crate::core::person::SourceName;

/// How a delivery is recognised when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupeKey {
    /// SHA-256, truncated to 16 bytes, of source and id, or of source and body: an id may have any length, and may be
    /// personal data.
    pub key: [u8; 16],
    /// The key is made of the body alone: it counts only while it is the newest delivery's.
    pub only_while_newest: bool,
}

impl Genuine {
    /// The key of this delivery from `source`; `something` is whether it has events besides notices. A notice without
    /// an id of its own is never a duplicate: the same bytes may be about another change.
    ///
    /// `not_understood_by`: the fingerprint of the mapping, if it could not use the whole delivery. Only the same mapping
    /// takes the delivery for a duplicate then: once the mapping or the record is corrected, the HR system's *send again*
    /// is news.
    #[must_use]
    pub fn dedupe_key(
        &self,
        source: &SourceName,
        something: bool,
        not_understood_by: Option<&[u8; 16]>,
    ) -> Option<DedupeKey> {
        let key = Sha256::new().chain_update(source.as_str()).chain_update(b"\0");
        let key = match not_understood_by {
            Some(fingerprint) => key.chain_update(b"not understood\0").chain_update(fingerprint),
            None => key,
        };
        // The tag keeps an id from being mistaken for the hash of a body.
        let (key, only_while_newest) = match &self.id {
            EventId::Given(id) => (key.chain_update(b"id\0").chain_update(id), false),
            EventId::Body if something => {
                (key.chain_update(b"body\0").chain_update(Sha256::digest(&self.delivery.get().body)), true)
            }
            EventId::Body => return None,
        };
        let mut cut = [0; 16];
        cut.copy_from_slice(&key.finalize()[..16]);
        Some(DedupeKey { key: cut, only_while_newest })
    }
}
