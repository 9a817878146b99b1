//! The former owners of a person's member, who are notified of what HR says about that person.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Document;
use crate::core::person::{AddressHash, OwnerNow, Person};
use crate::core::time::UnixMs;

/// How many former records are notified of what happens to their member's new owner: a rehire leaves one. A record that
/// is dropped is notified of that, too.
const FORMERS_MAX: usize = 8;

/// A record whose member this person has.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerRecord {
    /// The person whose record it is.
    pub person: Person,
    /// The address that this person had when they took the member over.
    #[serde(default, alias = "address", skip_serializing_if = "Option::is_none")]
    pub address_hash: Option<AddressHash>,
    /// What they were last sent about this person, or about the member's owner since it was handed on.
    pub told: OwnerNow,
    /// What HR had said about this person when the member was handed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_handed_on: Option<OwnerNow>,
}

impl fmt::Debug for FormerRecord {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormerRecord").field("person", &self.person).field("told", &self.told).finish_non_exhaustive()
    }
}

impl Document {
    /// Notes the former owner of this person's member, to be notified of what HR says about this person from now on.
    /// `address_hash`: of the one that HR gave this person at the hand-over. If there are too many, returns the one that is
    /// dropped, with the last that it is sent.
    pub fn note_former(&mut self, person: Person, address_hash: Option<AddressHash>) -> Option<(Person, OwnerNow)> {
        self.formers.retain(|former| former.person != person);
        let told = OwnerNow::default();
        // The member was handed on before this was folded.
        let until_handed_on = self.record.closed.as_ref().map(|_| told);
        self.formers.push(FormerRecord { person, address_hash, told, until_handed_on });
        let dropped = (self.formers.len() > FORMERS_MAX).then(|| self.formers.remove(0));
        dropped.map(|former| (former.person, OwnerNow { is_out_of_sight: true, ..former.told }))
    }

    /// Opens a closed record again.
    pub(in crate::core::person) fn reopen(&mut self) {
        for former in &mut self.formers {
            former.until_handed_on = None;
        }
        let Some(closed) = self.record.closed.take() else { return };
        // Where the new owner has left, they may still be the same human being.
        if closed.is_another || closed.owner_has_moved() {
            self.apart_from.retain(|person| *person != closed.to);
            self.apart_from.push(closed.to);
            let surplus = self.apart_from.len().saturating_sub(FORMERS_MAX);
            self.apart_from.drain(..surplus);
        }
    }

    /// The member is handed on to somebody: from now on, the former owners are notified of that person.
    pub(in crate::core::person) fn hand_on_formers(&mut self, to: &Person, now: UnixMs) {
        self.formers.retain(|former| former.person != *to);
        for former in &mut self.formers {
            former.until_handed_on = Some(OwnerNow::of(&self.record, former.address_hash, now));
        }
    }

    /// Those former records that do not know yet what HR says about this person now, or about the member's owner since it
    /// was handed on. They count as notified.
    pub fn tell_formers(&mut self, now: UnixMs) -> Vec<(Person, OwnerNow)> {
        let record = &self.record;
        let next = record.closed.as_ref().and_then(|closed| closed.owner).unwrap_or_default();
        let told = self.formers.iter_mut().filter_map(|former| {
            let of_this = || OwnerNow::of(record, former.address_hash, now);
            let news = former.until_handed_on.map_or_else(of_this, |until| until.or(next));
            let is_news = news != std::mem::replace(&mut former.told, news);
            is_news.then(|| (former.person.clone(), news))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::SourceName;

    #[test]
    fn a_dropped_former_record_is_notified_of_that() {
        let person = |id: usize| Person::parse(SourceName::parse("hr").unwrap(), &format!("E-{id}")).unwrap();
        let mut document = Document::new(person(0));
        for id in 1..=FORMERS_MAX {
            assert_eq!(document.note_former(person(id), None), None);
        }
        assert_eq!(document.note_former(person(2), None), None, "it is noted already");
        let last = OwnerNow { is_out_of_sight: true, ..OwnerNow::default() };
        assert_eq!(document.note_former(person(99), None), Some((person(1), last)));
        assert_eq!(document.formers.len(), FORMERS_MAX);
    }
}
