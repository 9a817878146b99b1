//! The member at the target, as far as the bridge knows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Document;
use crate::core::person::{email, fact};
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
}

impl KnownMember {
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
