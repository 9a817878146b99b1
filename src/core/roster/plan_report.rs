//! A plan as it is shown, and compared with another.

use serde::{Deserialize, Serialize};

use super::planned::PlannedPerson;
use super::selection::Change;

/// What would be done. A person may be in several lists.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanReport {
    /// Members that would be created.
    pub create: Vec<PlannedPerson>,
    /// Members that would be switched on.
    pub switch_on: Vec<PlannedPerson>,
    /// Members whose names would be written.
    pub rename: Vec<PlannedPerson>,
    /// Members whose address would be changed.
    pub readdress: Vec<PlannedPerson>,
    /// Members that would be switched off.
    pub deactivate: Vec<PlannedPerson>,
    /// Members who would be added to a group, or removed from one.
    #[serde(default)]
    pub regroup: Vec<PlannedPerson>,
    /// Existing members who would be assigned to a person.
    pub adopt: Vec<PlannedPerson>,
    /// Members who are not in HR; they are never touched, unless an operator says so.
    pub strangers: Vec<PlannedPerson>,
    /// People who would be blocked, and why.
    pub blocked: Vec<PlannedPerson>,
    /// People about whom HR has not said enough.
    pub incomplete: Vec<PlannedPerson>,
    /// Members who were switched off at the target, although HR says employed: left alone.
    pub switched_off: Vec<PlannedPerson>,
    /// People who were invited and have never been listed: the invitation is not accepted yet, or they were removed since.
    /// Left alone.
    pub invited: Vec<PlannedPerson>,
    /// People who would take over the member of another person: one whom HR does not report as gone (their record is
    /// closed), or one of another name who has left.
    pub take_over: Vec<PlannedPerson>,
    /// People who have one member together with somebody else: an apply settles whose it is.
    pub shared: Vec<PlannedPerson>,
    /// Warnings to read before the plan is applied.
    pub warnings: Vec<String>,
    /// How many people were planned for.
    pub people: u64,
    /// Members in the list.
    pub members: u64,
    /// How many calls it would take.
    pub calls: u64,
    /// How many minutes it would take at the target's rate.
    pub minutes: f64,
    /// A digest of what HR says and of the members: it changes with any of them.
    pub digest: String,
}

impl PlanReport {
    /// Whether anything would be written.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        Change::ALL.iter().any(|change| change.is_write() && !self.of(*change).is_empty())
    }

    /// The people with a change of this kind.
    #[must_use]
    pub fn of(&self, change: Change) -> &[PlannedPerson] {
        match change {
            Change::Create => &self.create,
            Change::SwitchOn => &self.switch_on,
            Change::Rename => &self.rename,
            Change::Readdress => &self.readdress,
            Change::Deactivate => &self.deactivate,
            Change::Regroup => &self.regroup,
            Change::Adopt => &self.adopt,
        }
    }

    pub(super) fn list(&mut self, change: Change) -> &mut Vec<PlannedPerson> {
        match change {
            Change::Create => &mut self.create,
            Change::SwitchOn => &mut self.switch_on,
            Change::Rename => &mut self.rename,
            Change::Readdress => &mut self.readdress,
            Change::Deactivate => &mut self.deactivate,
            Change::Regroup => &mut self.regroup,
            Change::Adopt => &mut self.adopt,
        }
    }

    /// What differs between this plan and another; none if both would do the same for the same reasons.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let names = ["create", "switch on", "rename", "change the address of", "switch off", "regroup", "adopt"];
        for (name, change) in names.into_iter().zip(Change::ALL) {
            let sorted = |report: &Self| {
                let mut people = report.of(change).to_vec();
                people.sort();
                people
            };
            if sorted(self) != sorted(other) {
                let (one, two) = (self.of(change).len(), other.of(change).len());
                return Some(format!("it would {name} {two} now instead of {one}, or other people"));
            }
        }
        (self.digest != other.digest).then(|| "a record or member has changed since then".to_owned())
    }
}
