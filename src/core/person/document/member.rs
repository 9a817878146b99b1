//! The member at the target, as far as the bridge knows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Document;
use crate::core::person::{Aspect, OpenWrite, email, fact};
use crate::core::time::UnixMs;

/// The member at the target, as last read or written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownMember {
    /// SCIM `id`; none while the person is invited and not shown by any look-up yet.
    pub id: Option<String>,
    /// `userName`, as the target spells it.
    pub user_name: String,
    /// `name.givenName`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// `name.familyName`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// `active`; none if it has never been shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// When they were last read or written.
    pub seen_at: UnixMs,
    /// When we created them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<UnixMs>,
    /// Only the reply to our own create has shown them: they may be invited and not have joined.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unshown: bool,
    /// When we last wrote the address and a reply showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name_written_at: Option<UnixMs>,
    /// Hashes of earlier addresses that a read may still show. Only the hashes: they may be another person's, who is
    /// erased later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address_hashes_before: Vec<u32>,
    /// When we last wrote the names and a reply showed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names_written_at: Option<UnixMs>,
    /// Hashes of earlier names that a read may still show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_hashes_before: Vec<u32>,
    /// When we last switched them on or off and a reply showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_written_at: Option<UnixMs>,
    /// Writes of ours whose outcome is not known, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_writes: Vec<OpenWrite>,
}

/// How many open writes are remembered. Writes are paced, so a few are enough.
const OPEN_WRITES_MAX: usize = 8;

impl KnownMember {
    /// Notes a write whose outcome is not known. An earlier one of the same value may still take effect, too.
    pub fn note_open(&mut self, mut write: OpenWrite) {
        let is_same = |known: &&OpenWrite| (known.aspect, known.value) == (write.aspect, write.value);
        write.may_land |= self.open_writes.iter().find(is_same).is_some_and(|known| known.may_land);
        self.open_writes.retain(|known| (known.aspect, known.value) != (write.aspect, write.value));
        if self.open_writes.len() >= OPEN_WRITES_MAX {
            self.open_writes.remove(0);
        }
        self.open_writes.push(write);
    }

    /// Notes that this aspect was written, and that a reply has shown it. What may still take effect can undo that, as
    /// long as it is not over.
    pub fn cover(&mut self, aspect: Aspect, now: UnixMs) {
        self.open_writes.retain(|write| write.aspect != aspect || (write.may_land && write.until > now));
        for write in self.open_writes.iter_mut().filter(|write| write.aspect == aspect) {
            write.is_uncovered = false;
        }
    }

    /// Whether a write of this value is open: what a read shows may come from it.
    #[must_use]
    pub fn may_have(&self, aspect: Aspect, value: u32) -> bool {
        self.open_writes.iter().any(|write| (write.aspect, write.value) == (aspect, value))
    }

    /// Whether a read shows a membership that an open write may have set.
    #[must_use]
    pub fn may_have_switched(&self, active: bool) -> bool {
        self.may_have(Aspect::Membership, u32::from(active))
    }

    /// Whether a read or a list has shown them: they are not only invited.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.id.is_some() && !self.is_unshown
    }

    /// The hash under which an earlier address is kept.
    #[must_use]
    pub fn address_hash(user_name: &str) -> u32 {
        fact::hash(&email::compare_key(user_name))
    }

    /// The hash under which earlier names are kept.
    #[must_use]
    pub fn name_hash(given: Option<&str>, family: Option<&str>) -> u32 {
        fact::hash(&(given, family))
    }

    /// The hash of names as open writes have it: a target may trim what it stores, and shows no name as it likes.
    #[must_use]
    pub fn open_names(given: Option<&str>, family: Option<&str>) -> u32 {
        fact::hash(&(given.unwrap_or_default().trim(), family.unwrap_or_default().trim()))
    }

    /// The key that all spellings of the address share.
    #[must_use]
    pub fn address_key(&self) -> String {
        email::compare_key(&self.user_name)
    }
}

impl fmt::Debug for KnownMember {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownMember")
            .field("active", &self.active)
            .field("seen_at", &self.seen_at)
            .finish_non_exhaustive()
    }
}

impl Document {
    /// Whether the target has shown a member of theirs: they are not only invited.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.member.as_ref().is_some_and(KnownMember::is_shown)
    }

    /// Whether there is a member of theirs who is not known to be switched off.
    #[must_use]
    pub fn may_be_active(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.active != Some(false))
    }
}
