//! Which marks a person has, and by which terms they are found.

use super::{Document, GroupsWait};
use crate::core::person::{Mark, email};
use crate::core::time::UnixMs;

/// A person is reported after this many failures in a row: temporary trouble is over by then.
const FAILURES_TOLD: u32 = 5;
/// From the first try with their groups to the next one, after a day of tries in vain.
const GROUPLESS_MS: u64 = 2 * 86_400_000;

impl Document {
    /// What an operator should know about them although nothing blocks them.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let is = |mark: &Mark| match mark {
            Mark::AfterClose => self.words_after_close > 0 || self.record.lacks_member(),
            Mark::SwitchedOff => self.switched_off_elsewhere,
            Mark::Failing => self.failures() >= FAILURES_TOLD && self.trouble.is_none(),
            Mark::GoneAtHr => self.gone_at_hr.is_some() && self.may_be_active(),
            Mark::Groupless => {
                let is_long = |wait: GroupsWait| wait.due.ms_since(wait.since) >= GROUPLESS_MS;
                self.is_shown() && self.groups_wait.is_some_and(|wait| is_long(wait) && !wait.is_everybodys())
            }
            Mark::GroupsForbidden => self.groups_wait.is_some_and(|wait| wait.is_everybodys()),
        };
        Mark::ALL.into_iter().filter(is).collect()
    }

    /// Since when they have a mark, as far as is known.
    #[must_use]
    pub fn marked_since(&self, mark: Mark) -> Option<UnixMs> {
        match mark {
            Mark::AfterClose => self.record.closed.as_ref().map(|closed| closed.at),
            Mark::SwitchedOff => self.member.as_ref().map(|member| member.seen_at),
            Mark::GoneAtHr => self.gone_at_hr,
            Mark::Groupless | Mark::GroupsForbidden => self.groups_wait.map(|wait| wait.since),
            Mark::Failing => {
                self.progress.failing_since.or(self.owed_read.as_ref().and_then(|owed| owed.failing_since))
            }
        }
    }

    /// Failures in a row: of attempts at the target, or of reads at the HR system.
    fn failures(&self) -> u32 {
        self.progress.failures.max(self.owed_read.as_ref().map_or(0, |owed| owed.tries))
    }

    /// Whether it is the reads at the HR system that fail, and not the target.
    #[must_use]
    pub fn cannot_be_read(&self) -> bool {
        self.progress.failures < FAILURES_TOLD && self.failures() >= FAILURES_TOLD
    }

    /// The terms by which the person can be found: addresses, the folded words of their names, and their marks.
    #[must_use]
    pub fn search_terms(&self) -> Vec<String> {
        let mut terms = Vec::new();
        let record = &self.record;
        let addresses = [
            record.email().map(|email| email.lower().to_owned()),
            self.member.as_ref().map(|m| m.user_name.to_lowercase()),
        ];
        for address in addresses.into_iter().flatten() {
            terms.push(email::in_own_script(&address));
            terms.push(address);
        }
        let names = [
            record.given_name().map(str::to_owned),
            record.family_name().map(str::to_owned),
            self.member.as_ref().and_then(|m| m.given_name.clone()),
            self.member.as_ref().and_then(|m| m.family_name.clone()),
        ];
        for name in names.into_iter().flatten() {
            terms.extend(name.split_whitespace().map(str::to_lowercase));
        }
        terms.push(self.person.employee_id.to_lowercase());
        terms.extend(self.marks().into_iter().map(Mark::term));
        terms.sort();
        terms.dedup();
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::{Person, SourceName};

    #[test]
    fn a_marked_person_is_found_by_a_term_that_no_name_has() {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        let mut document = Document::new(person);
        assert!(document.marks().is_empty());
        document.switched_off_elsewhere = true;
        document.progress.failures = FAILURES_TOLD;
        assert_eq!(document.marks(), [Mark::SwitchedOff, Mark::Failing]);
        assert!(document.search_terms().contains(&"\u{1}failing".to_owned()));
        assert!(Mark::ALL.iter().all(|mark| mark.term().starts_with('\u{1}')));
    }
}
