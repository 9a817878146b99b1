//! The groups that the member is in, or may be in, because of the bridge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Document;
use crate::core::person::Event;
use crate::core::time::UnixMs;

/// The longest pause before another try to put a member into their groups.
pub const GROUPS_PAUSE_MS_MAX: u64 = 86_400_000;
/// How many values of one further fact are noted until the member is up to date.
const LABELS_TOLD_MAX: usize = 200;

/// A group that the member was put into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedGroup {
    /// `displayName`, as it is configured.
    pub name: String,
    /// SCIM `id` of the group.
    pub id: String,
    /// SCIM `id` of the member.
    pub member: String,
    /// A removal may have taken effect: they are put in again if they should be in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_out: bool,
}

/// The groups of a member who is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Groups {
    /// Those that the bridge put them into.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<JoinedGroup>,
    /// Those that a worker that died may have put them into.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsure: Vec<String>,
    /// The SCIM id of the member that the unsure ones are about, by group, if known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unsure_of: BTreeMap<String, String>,
}

impl Groups {
    /// Those that a document knows.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let unsure_of = document.unsure_of();
        Self { joined: document.groups.clone(), unsure: document.groups_unsure.clone(), unsure_of }
    }

    /// Takes them out of a document whose member is handed over.
    pub(in crate::core::person) fn taken_from(document: &mut Document) -> Self {
        let groups = Self::of(document);
        (document.groups, document.groups_unsure) = (Vec::new(), Vec::new());
        document.groups_unsure_of.clear();
        groups
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.unsure.is_empty()
    }
}

/// A wait until the member has joined: only then can they be put into groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsWait {
    /// When it began.
    pub since: UnixMs,
    /// When it is tried again.
    pub due: UnixMs,
    /// The target forbids it; none if the member may only not have joined yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbidden: Option<Forbidden>,
}

impl GroupsWait {
    pub(in crate::core::person) fn is_everybodys(&self) -> bool {
        self.forbidden.is_some_and(|forbidden| forbidden.is_everybodys)
    }
}

/// A group write that the target forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forbidden {
    /// How often in a row.
    pub times: u32,
    /// When it was last tried.
    pub at: UnixMs,
    /// Others are refused as well: most likely the key may not write groups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_everybodys: bool,
}

impl Document {
    /// The member that each unsure group is about, if known.
    fn unsure_of(&self) -> BTreeMap<String, String> {
        let own = self.member.as_ref().and_then(|member| member.id.as_ref());
        let of = |name: &String| Some((name.clone(), self.groups_unsure_of.get(name).or(own)?.clone()));
        self.groups_unsure.iter().filter_map(of).collect()
    }

    /// Notes a group that a worker that died may have put this person's member into.
    pub fn note_unsure(&mut self, name: String) {
        if !self.groups_unsure.contains(&name) {
            self.groups_unsure_of.remove(&name);
            self.groups_unsure.push(name);
        }
    }

    /// Takes over groups that a worker that died may have put a member into.
    pub fn take_unsure(&mut self, unsure: Vec<String>, mut of: BTreeMap<String, String>) {
        for name in unsure {
            if !self.groups_unsure.contains(&name) {
                self.note_unsure(name.clone());
                self.groups_unsure_of.extend(of.remove_entry(&name));
            }
        }
    }

    /// Forgets the unsure groups of other members than this one: if this one is in them, somebody else may have put
    /// them there.
    pub fn keep_unsure_of(&mut self, member: &str) {
        let of = &mut self.groups_unsure_of;
        self.groups_unsure.retain(|name| of.get(name).is_none_or(|whose| whose == member));
        let unsure = &self.groups_unsure;
        of.retain(|name, _| unsure.contains(name));
    }

    /// Notes the values of further facts that an event states, and the previous ones.
    pub fn note_labels(&mut self, event: &Event) {
        for (name, labels) in &event.facts.further {
            let before = self.record.further(name).unwrap_or_default();
            let told = self.labels_told.entry(name.clone()).or_default();
            for label in before.iter().chain(labels) {
                if !told.contains(label) && told.len() < LABELS_TOLD_MAX {
                    told.push(label.clone());
                }
            }
        }
    }
}
