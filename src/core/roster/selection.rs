//! The people of an apply, if not everybody.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::planned::PlannedPerson;

/// What can be done for a person, by the names of the plan's lists or everyday words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A member is created.
    #[serde(alias = "creates")]
    Create,
    /// A member is switched on.
    #[serde(alias = "switch_ons", alias = "switch-ons", alias = "switch-on", alias = "activations")]
    SwitchOn,
    /// Names are written.
    #[serde(alias = "names", alias = "renames")]
    Rename,
    /// The address is changed.
    #[serde(alias = "addresses", alias = "readdresses")]
    Readdress,
    /// A member is switched off.
    #[serde(alias = "deactivations", alias = "deactivates", alias = "leaves")]
    Deactivate,
    /// A member is added to a group, or removed from one.
    #[serde(alias = "groups", alias = "regroups")]
    Regroup,
    /// An existing member is assigned to a person; nothing is written for it.
    #[serde(alias = "adoptions", alias = "adopts")]
    Adopt,
}

impl Change {
    /// All, in the order of the plan.
    pub const ALL: [Self; 7] =
        [Self::Create, Self::SwitchOn, Self::Rename, Self::Readdress, Self::Deactivate, Self::Regroup, Self::Adopt];

    /// Whether it writes at the target.
    #[must_use]
    pub fn is_write(self) -> bool {
        self != Self::Adopt
    }

    /// Parses a word; none if it is not a change.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
    }
}

/// The people of an apply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only people whose changes are all among these.
    pub only: Option<BTreeSet<Change>>,
    /// Only these: `{source}/{employee id}`, an employee id, an address, or a SCIM id.
    pub people: Option<BTreeSet<String>>,
    /// Whether members who are not in HR are switched off.
    pub strangers: bool,
}

impl Selection {
    /// The names by which a person was selected.
    pub(super) fn names(&self, planned: &PlannedPerson) -> Vec<&String> {
        let Some(people) = &self.people else { return Vec::new() };
        let person = planned.person.as_deref();
        let employee_id = person.and_then(|person| person.split_once('/')).map(|(_, id)| id);
        let email = planned.email.as_deref().map(str::to_lowercase);
        let names = [person, employee_id, email.as_deref(), planned.email.as_deref(), planned.id.as_deref()];
        let named: BTreeSet<&String> = names.into_iter().flatten().filter_map(|name| people.get(name)).collect();
        named.into_iter().collect()
    }

    /// Whether all of a person's changes are selected. An adoption is included with any other change.
    pub(super) fn takes_all(&self, changes: &[Change]) -> bool {
        let Some(only) = &self.only else { return true };
        let mut writes = changes.iter().filter(|change| change.is_write()).peekable();
        match writes.peek() {
            Some(_) => writes.all(|change| only.contains(change)),
            None => changes.iter().any(|change| only.contains(change)),
        }
    }

    /// Whether one of a person's changes is selected.
    pub(super) fn takes_some(&self, changes: &[Change]) -> bool {
        self.only.as_ref().is_none_or(|only| changes.iter().any(|change| only.contains(change)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(words: &[&str]) -> Selection {
        Selection {
            only: Some(words.iter().map(|word| Change::parse(word).unwrap()).collect()),
            ..Selection::default()
        }
    }

    #[test]
    fn the_words_of_people_and_of_the_plan_are_the_same_changes() {
        for (word, change) in
            [("creates", Change::Create), ("names", Change::Rename), ("deactivate", Change::Deactivate)]
        {
            assert_eq!(Change::parse(word), Some(change));
        }
        assert_eq!(Change::parse("everything"), None);
    }

    #[test]
    fn a_person_with_another_change_is_left_out() {
        let names = only(&["names"]);
        assert!(names.takes_all(&[Change::Rename]));
        assert!(names.takes_all(&[Change::Rename, Change::Adopt]));
        assert!(!names.takes_all(&[Change::Rename, Change::Readdress]));
        assert!(names.takes_some(&[Change::Rename, Change::Readdress]));
        assert!(!names.takes_all(&[]) && !names.takes_all(&[Change::Adopt]));
        assert!(only(&["adopt"]).takes_all(&[Change::Adopt]));
        assert!(Selection::default().takes_all(&[]));
    }

    #[test]
    fn people_are_named_by_id_address_or_scim_id() {
        let planned = PlannedPerson {
            person: Some("hr/E-1".to_owned()),
            email: Some("ada@example.com".to_owned()),
            id: Some("abc".to_owned()),
            code: None,
            detail: None,
        };
        for (name, is_named) in
            [("hr/E-1", true), ("E-1", true), ("ada@example.com", true), ("abc", true), ("E-2", false)]
        {
            let selection = Selection { people: Some([name.to_owned()].into()), ..Selection::default() };
            assert_eq!(!selection.names(&planned).is_empty(), is_named, "{name}");
        }
    }
}
