//! Drift: the result of comparing HR's records with the members. Without personal data: people by number, members by
//! id.

use serde::{Deserialize, Serialize};

use super::planned::PlannedPerson;
use super::report::PlanOutcome;
use crate::core::target_name::said;
use crate::core::time::UnixMs;

/// The shared document that keeps the last comparison.
pub const DRIFT: &str = "drift";
/// How many people of each list are kept.
const KEPT: usize = 100;
/// An invitation that is not accepted for this long is reported: longer than most holidays of one week last, and well
/// before anybody stops waiting for the person.
const INVITED_LONG_MS: u64 = 7 * 86_400_000;
/// A comparison that has not ended after this long died with its process: paging twice through 100,000 members takes
/// seven minutes.
const ABANDONED_MS: u64 = 900_000;

/// The last comparison, and the process that makes the next one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Drift {
    /// When the last one was begun.
    pub begun_at: Option<UnixMs>,
    /// Whether it has ended.
    pub is_over: bool,
    /// Its result; until it has ended, the previous one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<DriftReport>,
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DriftReport {
    /// When it ended.
    pub at: UnixMs,
    /// Why it could not be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it is not reliable; then nothing was repaired.
    pub warnings: Vec<String>,
    /// People in HR who were compared.
    pub people: u64,
    /// Members of the team.
    pub members: u64,
    /// People with any difference.
    pub different: u64,
    /// People who were not compared, because a dead letter blocks them or was discarded.
    pub not_compared: u64,
    /// How many of these are being repaired, as `[drift] repair` says.
    pub repaired: u64,
    /// HR says employed, but they are not in the team.
    pub create: DriftList,
    /// HR newly says employed, but they are switched off.
    pub switch_on: DriftList,
    /// Other names.
    pub rename: DriftList,
    /// Another address.
    pub readdress: DriftList,
    /// HR says that they have left, but they are switched on.
    pub deactivate: DriftList,
    /// In other groups than their facts say.
    pub regroup: DriftList,
    /// Members who were switched off at the target, which is never undone.
    pub switched_off: DriftList,
    /// What cannot be repaired: the member was removed, or given another address, at the target.
    pub blocked: DriftList,
    /// People who were invited and have never been listed: the invitation is not accepted yet, or they were removed since.
    pub invited: DriftList,
    /// People who have one member together with somebody else.
    pub shared: DriftList,
    /// How many of these were invited more than a week before.
    pub invited_long: u64,
    /// When the first of them was invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_since: Option<UnixMs>,
    /// Members who are not in HR.
    pub strangers: u64,
}

/// People with one kind of difference.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DriftList {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<PlannedPerson>,
}

impl DriftList {
    fn of(people: &[PlannedPerson]) -> Self {
        let without_address = |planned: &PlannedPerson| PlannedPerson { email: None, ..planned.clone() };
        Self {
            count: u64::try_from(people.len()).unwrap_or(u64::MAX),
            first: people.iter().take(KEPT).map(without_address).collect(),
        }
    }
}

impl Drift {
    /// Takes the next comparison for this process, if one is due. Only one process makes it.
    pub fn claim(&mut self, now: UnixMs, every_ms: u64) -> bool {
        let since_ms = self.begun_at.map(|begun_at| now.ms_since(begun_at));
        let is_under_way = !self.is_over && since_ms.is_some_and(|ms| ms < ABANDONED_MS);
        if is_under_way || since_ms.is_some_and(|ms| self.is_over && ms < every_ms) {
            return false;
        }
        self.begun_at = Some(now);
        self.is_over = false;
        true
    }

    /// Removes a person's name from the lists, which still count them. Returns whether they were in one.
    pub fn forget(&mut self, person: &str) -> bool {
        let Some(report) = &mut self.report else { return false };
        let lists = [
            &mut report.create,
            &mut report.switch_on,
            &mut report.rename,
            &mut report.readdress,
            &mut report.deactivate,
            &mut report.regroup,
            &mut report.switched_off,
            &mut report.blocked,
            &mut report.invited,
            &mut report.shared,
        ];
        let mut is_named = false;
        for list in lists {
            // A line about another person may name them, too.
            let names = |planned: &PlannedPerson| {
                planned.person.as_deref() == Some(person)
                    || planned.detail.as_ref().is_some_and(|detail| {
                        detail.split_whitespace().any(|word| word.trim_end_matches([',', ':']) == person)
                    })
            };
            is_named |= list.first.iter().any(names);
            list.first.retain(|planned| !names(planned));
        }
        is_named
    }

    /// Records the result of the comparison that began then. False if another one has replaced it.
    pub fn end(&mut self, begun_at: UnixMs, report: DriftReport) -> bool {
        if self.begun_at != Some(begun_at) {
            return false;
        }
        self.is_over = true;
        self.report = Some(report);
        true
    }
}

impl DriftReport {
    /// The result from a plan, and how many people are being repaired.
    #[must_use]
    pub fn of(outcome: &PlanOutcome, repaired: u64, at: UnixMs) -> Self {
        let plan = &outcome.report;
        let is_long = |since: &&UnixMs| at.ms_since(**since) >= INVITED_LONG_MS;
        let invited_long = outcome.invited_since.iter().filter(is_long).count();
        Self {
            at,
            error: None,
            warnings: if outcome.is_reliable { Vec::new() } else { plan.warnings.clone() },
            people: plan.people,
            members: plan.members,
            different: outcome.different,
            not_compared: outcome.not_compared,
            repaired,
            create: DriftList::of(&plan.create),
            switch_on: DriftList::of(&plan.switch_on),
            rename: DriftList::of(&plan.rename),
            readdress: DriftList::of(&plan.readdress),
            deactivate: DriftList::of(&plan.deactivate),
            regroup: DriftList::of(&plan.regroup),
            switched_off: DriftList::of(&plan.switched_off),
            blocked: DriftList::of(&plan.blocked),
            invited: DriftList::of(&plan.invited),
            shared: DriftList::of(&plan.shared),
            invited_long: u64::try_from(invited_long).unwrap_or(u64::MAX),
            invited_since: outcome.invited_since.iter().min().copied(),
            strangers: u64::try_from(plan.strangers.len()).unwrap_or(u64::MAX),
        }
    }

    /// Why it is not complete.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let unsure = || (!self.warnings.is_empty()).then(|| self.warnings.join("; "));
        self.error.clone().or_else(unsure)
    }

    /// The lists, each with its description.
    #[must_use]
    pub fn lists(&self) -> [(&'static str, &DriftList); 9] {
        [
            ("to be created", &self.create),
            ("to be switched on", &self.switch_on),
            ("of another name", &self.rename),
            ("of another address", &self.readdress),
            ("to be switched off", &self.deactivate),
            ("in other groups", &self.regroup),
            (said("switched off in Postman"), &self.switched_off),
            (said("removed or changed in Postman"), &self.blocked),
            ("with the member of another person", &self.shared),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn one_process_compares_at_a_time_and_a_dead_one_is_followed() {
        let mut drift = Drift::default();
        assert!(drift.claim(UnixMs(0), DAY_MS));
        assert!(!drift.claim(UnixMs(1_000), DAY_MS));
        assert!(!drift.claim(UnixMs(1_000), 0));
        let later = UnixMs(0).plus_ms(ABANDONED_MS);
        assert!(drift.claim(later, DAY_MS));
        assert!(!drift.end(UnixMs(0), DriftReport::default()));
        assert!(drift.end(later, DriftReport::default()));
        assert!(!drift.claim(later.plus_ms(DAY_MS - 1), DAY_MS));
        assert!(drift.claim(later.plus_ms(DAY_MS), DAY_MS));
    }

    #[test]
    fn an_erased_person_is_no_longer_named() {
        let named = |person: &str, detail: Option<&str>| PlannedPerson {
            person: Some(person.to_owned()),
            email: Some("ada@example.com".to_owned()),
            id: None,
            code: None,
            detail: detail.map(str::to_owned),
        };
        let people =
            [named("hr/E-1", None), named("hr/E-2", Some("should get the member of hr/E-1")), named("hr/E-12", None)];
        let report = DriftReport { rename: DriftList::of(&people), ..DriftReport::default() };
        let mut drift = Drift { report: Some(report), ..Drift::default() };
        assert!(drift.forget("hr/E-1") && !drift.forget("hr/E-1"));
        let kept = serde_json::to_string(&drift).unwrap();
        assert!(kept.contains("hr/E-12") && !kept.contains("hr/E-2\"") && !kept.contains("ada@"), "{kept}");
        assert_eq!(drift.report.unwrap().rename.count, 3);
    }

    #[test]
    fn an_operator_may_compare_at_any_time() {
        let mut drift = Drift::default();
        assert!(drift.claim(UnixMs(0), 0) && drift.end(UnixMs(0), DriftReport::default()));
        assert!(drift.claim(UnixMs(1), 0));
    }
}
