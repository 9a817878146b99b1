//! The plan as a whole: what would be done for everybody, and what it would cost.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::members::MemberList;
use crate::core::limiter::Rate;
use crate::core::person::Document;
use crate::core::reconcile::owner::{Owner, address_key, id_key};
use crate::core::reconcile::plan::PlanRules;
use crate::core::reconcile::preview::{Claims, preview};
use crate::core::time::UnixMs;

/// A person of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPerson {
    /// `{source}/{employee id}`; none for a stranger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The address that they have, or are to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The SCIM id, where the list of members has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why it would block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Fields, shapes, ids of employees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What would be done. A person may stand in several lists.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PlanReport {
    /// Members that would be made.
    pub create: Vec<PlannedPerson>,
    /// Members that would be switched on.
    pub switch_on: Vec<PlannedPerson>,
    /// Members whose names would be written.
    pub rename: Vec<PlannedPerson>,
    /// Members whose address would be changed.
    pub readdress: Vec<PlannedPerson>,
    /// Members that would be switched off.
    pub deactivate: Vec<PlannedPerson>,
    /// Members who are there and would become somebody's.
    pub adopt: Vec<PlannedPerson>,
    /// Members who are nobody's in HR; they are never touched.
    pub strangers: Vec<PlannedPerson>,
    /// Who would block, and why.
    pub blocked: Vec<PlannedPerson>,
    /// People of whom HR has not said enough.
    pub incomplete: Vec<PlannedPerson>,
    /// People looked at.
    pub people: u64,
    /// Members in the list.
    pub members: u64,
    /// Calls that it would take.
    pub calls: u64,
    /// Minutes, at the target's rate.
    pub minutes: f64,
}

impl PlanReport {
    /// Whether anything would be written.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        [&self.create, &self.switch_on, &self.rename, &self.readdress, &self.deactivate]
            .iter()
            .any(|list| !list.is_empty())
    }
}

/// Plans for all these people, with what is staged folded in.
#[must_use]
pub fn plan_all(
    people: Vec<Document>,
    list: &MemberList,
    rules: &PlanRules,
    rates: (Rate, Rate),
    now: UnixMs,
) -> PlanReport {
    let mut report = PlanReport { members: count(list.len()), ..PlanReport::default() };
    let mut claims = claims_of(&people, now);
    let mut taken = HashSet::new();
    let (mut reads, mut writes) = (0_u64, 0_u64);
    for mut document in people {
        if document.record.closed.is_some() {
            continue;
        }
        if let Some(staged) = document.staged.take() {
            document.record.fold(&staged.event, staged.accepted_at, staged.seq);
        }
        report.people += 1;
        let listed = list.of(&document);
        if let Some(listed) = listed {
            taken.insert(listed.member.id.clone());
        }
        let planned = PlannedPerson {
            person: Some(document.person.to_string()),
            email: document.record.email().map(|email| email.lower().to_owned()),
            id: listed.map(|listed| listed.member.id.clone()),
            code: None,
            detail: None,
        };
        let preview = preview(document, listed.map(|listed| &listed.member), &mut claims, rules, now);
        reads += u64::from(preview.reads);
        writes += u64::from(preview.writes);
        for (is, of) in [
            (preview.create, &mut report.create),
            (preview.switch_on, &mut report.switch_on),
            (preview.rename, &mut report.rename),
            (preview.readdress, &mut report.readdress),
            (preview.deactivate, &mut report.deactivate),
            (preview.adopt, &mut report.adopt),
            (preview.incomplete, &mut report.incomplete),
        ] {
            if is {
                of.push(planned.clone());
            }
        }
        if let Some((code, detail)) = preview.blocked {
            report.blocked.push(PlannedPerson { code: Some(code.to_string()), detail: Some(detail), ..planned });
        }
    }
    report.strangers = list
        .strangers(&taken)
        .map(|listed| PlannedPerson {
            person: None,
            email: Some(listed.member.user_name.clone()),
            id: Some(listed.member.id.clone()),
            code: None,
            detail: None,
        })
        .collect();
    report.calls = reads + writes;
    let (write_rate, read_rate) = rates;
    report.minutes = minutes(writes, write_rate).max(minutes(reads, read_rate));
    report
}

/// What people have already, so that the plan meets the same refusals as the worker.
fn claims_of(people: &[Document], now: UnixMs) -> Claims {
    let mut claims = Claims::new();
    for document in people.iter().filter(|document| document.record.closed.is_none()) {
        let Some(member) = &document.member else { continue };
        let keys = [Some(address_key(&member.user_name)), member.id.as_deref().map(id_key)];
        for key in keys.into_iter().flatten() {
            let owner = Owner::of(document, &key, now);
            claims.insert(key, owner);
        }
    }
    claims
}

#[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
fn minutes(calls: u64, rate: Rate) -> f64 {
    if rate.calls == 0 {
        return 0.0;
    }
    let windows = calls as f64 / f64::from(rate.calls);
    windows * rate.window_ms as f64 / 60_000.0
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
