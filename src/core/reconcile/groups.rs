//! Which groups a member should be in, and the next call that adds or removes them. Groups come last, when the
//! member is up to date, and their failures are their own.
//!
//! The bridge removes only people whom it added. Anybody else in a group, and the groups themselves,
//! stay.

use std::collections::{BTreeMap, BTreeSet};

use super::capabilities::Capabilities;
use super::carrier::Carrier;
use super::group::{GroupCall, GroupOutcome, GroupRow, ShownGroup};
use crate::core::person::Document;
use crate::core::person::document::{Forbidden, GROUPS_PAUSE_MS_MAX, GroupsWait, JoinedGroup};
use crate::core::person::label::{self, Label};
use crate::core::person::record::Record;
use crate::core::time::UnixMs;

/// Stands for the fact's value in a group's name.
pub const VALUE: &str = "{value}";
/// The pause before the second try to put a person who has not joined into their groups. Each later pause is as long
/// as they have waited so far, up to [`GROUPS_PAUSE_MS_MAX`].
const WAIT_FIRST_MS: u64 = 900_000;
/// Between two tries for a person who is forbidden a group, and of whom it is not known whether everybody is.
const ALONE_MS: u64 = 60_000;
/// How long this is tried. Somebody who has not accepted the invitation by then most likely never will.
const WAIT_MS_MAX: u64 = 30 * 86_400_000;
/// How often a group may have changed between our look and our write.
const CHANGED_MAX: u32 = 20;
/// How often a change may be answered, and not be made, before it waits.
const NOT_MADE_MAX: u32 = 2;
/// Pages of groups read at most, where the target does not filter.
const PAGES_MAX: u32 = 20;

/// `[[group]]`: who belongs to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// `displayName`; [`VALUE`] in it makes a group for each value.
    pub name: String,
    /// The fact that decides.
    pub fact: String,
    /// The values that count, as [`Label::key`]; none: all.
    pub values: Option<BTreeSet<String>>,
}

/// Group names by key.
pub type Names = BTreeMap<String, String>;

/// The groups that a person should be in: names by key.
#[must_use]
pub fn wanted(record: &Record, rules: &[GroupRule]) -> Names {
    names_of(|fact| record.further(fact).unwrap_or_default(), rules)
}

fn names_of<'a>(labels: impl Fn(&str) -> &'a [Label], rules: &[GroupRule]) -> Names {
    let mut names = Names::new();
    for rule in rules {
        let counts = |label: &&Label| rule.values.as_ref().is_none_or(|values| values.contains(&label.key()));
        for label in labels(&rule.fact).iter().filter(counts) {
            let name = rule.name.replace(VALUE, label.as_str());
            names.entry(label::key(&name)).or_insert(name);
        }
    }
    names
}

/// A worker died. It may have put the member into any group that they should have been in since the last commit.
pub(super) fn note_unsure(document: &mut Document, state: &mut GroupsState, rules: &[GroupRule]) {
    let told = names_of(|fact| document.labels_told.get(fact).map_or(&[], Vec::as_slice), rules);
    state.left_claimed.extend(told.keys().map(|key| claim(key)));
    // It may also have taken the member out of any group, if it knew of other labels.
    let joined = if document.labels_told.is_empty() { Vec::new() } else { std::mem::take(&mut document.groups) };
    for group in &joined {
        state.found.insert(label::key(&group.name), Some(group.id.clone()));
    }
    for name in told.into_values().chain(joined.into_iter().map(|group| group.name)) {
        document.note_unsure(name);
    }
}

/// The claim under which a group is created or, at a target without PATCH, written. Without it, two workers could
/// create two groups of one name, or lose a member.
fn claim(key: &str) -> String {
    format!("group:{key}")
}

/// Whether this is a claim on a group: those are given up with every commit.
#[must_use]
pub fn is_claim(key: &str) -> bool {
    key.starts_with("group:")
}

/// The detail if a person could not be put into their groups in time.
pub(super) const NEVER_JOINED: &str = "no group has accepted the member for thirty days: they may not have joined";

/// Schedules another try for a person who cannot be put into their groups yet; false: time is up.
pub fn wait(document: &mut Document, now: UnixMs) -> bool {
    // Time in which nothing was tried does not count as waiting: the bridge was off, or the clock jumped.
    let untried = |wait: GroupsWait| now.ms_since(wait.due).saturating_sub(GROUPS_PAUSE_MS_MAX);
    let since = document.groups_wait.map_or(now, |wait| wait.since.plus_ms(untried(wait)));
    let waited_ms = now.ms_since(since);
    let goes_on = waited_ms < WAIT_MS_MAX;
    let due = now.plus_ms(waited_ms.clamp(WAIT_FIRST_MS, GROUPS_PAUSE_MS_MAX));
    document.groups_wait = goes_on.then_some(GroupsWait { since, due, forbidden: None });
    goes_on
}

/// Schedules another try for a person whom the target forbids to put into groups, as it may everybody.
pub(super) fn wait_for_rights(document: &mut Document, is_everybodys: bool, now: UnixMs) {
    let before = document.groups_wait;
    let since = before.map_or(now, |wait| wait.since);
    let times = before.and_then(|wait| wait.forbidden).map_or(0, |forbidden| forbidden.times).saturating_add(1);
    let pause_ms = if is_everybodys { now.ms_since(since).clamp(WAIT_FIRST_MS, GROUPS_PAUSE_MS_MAX) } else { ALONE_MS };
    let forbidden = Some(Forbidden { times, at: now, is_everybodys });
    document.groups_wait = Some(GroupsWait { since, due: now.plus_ms(pause_ms), forbidden });
}

/// What to do next.
pub(super) enum Next {
    /// Make this call.
    Send(GroupCall),
    /// Claim this.
    Own(String),
    /// It cannot be done: why.
    Refuse(String),
    /// Nothing is left to do.
    Done,
}

/// What the plan for groups needs to know.
#[derive(Clone, Copy)]
pub(super) struct GroupContext<'a> {
    pub(super) claims: &'a [String],
    pub(super) capabilities: Capabilities,
    /// SCIM id of the member.
    pub(super) member: &'a str,
}

/// What the answers to an attempt's calls about groups show of the target.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answered {
    /// A write was served.
    pub(super) served: bool,
    /// A call was answered 403.
    pub(super) forbidden: bool,
}

/// A change of a group's members whose reply does not show it.
#[derive(Debug, Clone)]
struct UnshownChange {
    /// SCIM id of the group.
    id: String,
    /// SCIM id of the member.
    member: String,
    is_in: bool,
}

/// What an attempt knows of groups.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupsState {
    /// Group ids by key, for names that were looked up; none: there is no such group.
    found: BTreeMap<String, Option<String>>,
    listed: Vec<GroupRow>,
    /// The next page, while the list is being read.
    next_page: Option<u32>,
    is_listed: bool,
    pages: u32,
    no_filter: bool,
    /// Keys of names for which the filter showed no group. `displayName` is compared without regard to case (RFC 7643
    /// §4.2), but not every filter does so: the list is read.
    unfiltered: BTreeSet<String>,
    shown: Option<ShownGroup>,
    /// Ids for which there is no group any more.
    gone: BTreeSet<String>,
    /// Keys of groups that did not accept the member.
    refused: BTreeSet<String>,
    /// One of these says that it never will: why.
    forbidden: Option<String>,
    answered: Answered,
    /// Keys of groups that were created, but are not shown yet.
    made: BTreeSet<String>,
    /// Keys of groups that were created in this attempt.
    made_here: BTreeSet<String>,
    /// Names as configured, by key.
    names: Names,
    changed: u32,
    /// A change whose reply does not show it: the group is read.
    unshown: Option<UnshownChange>,
    not_made: u32,
    problem: Option<String>,
    /// Groups are written by PUT, whatever the provider says about PATCH.
    no_patch: bool,
    /// Claims that an earlier attempt may have left behind when its worker died.
    left_claimed: Vec<String>,
}

impl GroupsState {
    /// The claims on groups that are given up when the attempt ends: its own, and those left behind.
    pub(super) fn claims(&self, document: &Document, claims: &[String]) -> Vec<String> {
        let of_groups = document.groups.iter().map(|joined| claim(&label::key(&joined.name)));
        let own = claims.iter().filter(|key| is_claim(key)).cloned();
        own.chain(self.left_claimed.iter().cloned()).chain(of_groups).collect()
    }

    /// The provider does not accept PATCH for groups, which says nothing about users.
    pub(super) fn learn_no_patch(&mut self) {
        self.no_patch = true;
    }

    /// The next call for a person who should be in the groups `wanted`.
    pub(super) fn next(
        &mut self,
        document: &mut Document,
        wanted: &Names,
        known: GroupContext<'_>,
        now: UnixMs,
    ) -> Next {
        // Groups that another member was put into are not this member's.
        document.groups.retain(|joined| joined.member == known.member);
        document.keep_unsure_of(known.member);
        if let Some(problem) = &self.problem {
            document.groups_wait = document.groups_wait.filter(|_| self.answered.forbidden);
            return Next::Refuse(problem.clone());
        }
        if let Some(change) = &self.unshown {
            return Next::Send(GroupCall::Get { id: change.id.clone() });
        }
        let surplus = document.groups.iter().find(|joined| !wanted.contains_key(&label::key(&joined.name)));
        if let Some(joined) = surplus {
            let key = label::key(&joined.name);
            return match self.carrier(&key, &joined.id, false, known) {
                Ok(by) => Next::Send(GroupCall::Remove { id: joined.id.clone(), member: joined.member.clone(), by }),
                Err(first) => first,
            };
        }
        // Those that are wanted stay unsure until the member was put in again.
        let unwanted = |name: &&String| !wanted.contains_key(&label::key(name));
        while let Some(name) = document.groups_unsure.iter().rev().find(unwanted).cloned() {
            let key = label::key(&name);
            let Some(found) = self.found.get(&key).cloned() else {
                match self.look_up(&key, &name, known) {
                    Some(call) => return call,
                    None => continue,
                }
            };
            let Some(id) = found else {
                document.groups_unsure.retain(|unsure| *unsure != name);
                continue;
            };
            return match self.carrier(&key, &id, false, known) {
                Ok(by) => Next::Send(GroupCall::Remove { id, member: known.member.to_owned(), by }),
                Err(first) => first,
            };
        }
        let is_in = |joined: &JoinedGroup, key: &str| label::key(&joined.name) == key && !joined.may_be_out;
        let is_joined = |key: &str| document.groups.iter().any(|joined| is_in(joined, key));
        let missing = wanted.iter().find(|(key, _)| !is_joined(key) && !self.refused.contains(*key));
        match missing {
            Some((key, name)) => self.put_in(key, name, known),
            None if self.refused.is_empty() => {
                document.groups_wait = None;
                Next::Done
            }
            None => match &self.forbidden {
                Some(detail) => Next::Refuse(detail.clone()),
                None if wait(document, now) => Next::Done,
                None => Next::Refuse(NEVER_JOINED.to_owned()),
            },
        }
    }

    fn put_in(&mut self, key: &str, name: &str, known: GroupContext<'_>) -> Next {
        self.names.insert(key.to_owned(), name.to_owned());
        match self.found.get(key).cloned() {
            None => match self.look_up(key, name, known) {
                Some(call) => call,
                None => self.put_in(key, name, known),
            },
            // Another process may have created it before our claim, so look it up once more under the claim.
            Some(None) if !known.claims.contains(&claim(key)) => {
                self.found.remove(key);
                self.listed.clear();
                (self.next_page, self.is_listed, self.pages) = (None, false, 0);
                Next::Own(claim(key))
            }
            Some(None) if self.made.contains(key) => {
                Next::Refuse("the group was created, but no reply shows it".to_owned())
            }
            Some(None) => Next::Send(GroupCall::Create { name: name.to_owned() }),
            Some(Some(id)) => match self.carrier(key, &id, true, known) {
                Ok(by) => Next::Send(GroupCall::Add { id, member: known.member.to_owned(), by }),
                Err(first) => first,
            },
        }
    }

    /// The next call of a look-up; none: it is known now.
    fn look_up(&mut self, key: &str, name: &str, known: GroupContext<'_>) -> Option<Next> {
        if known.capabilities.filter && !self.no_filter && !self.unfiltered.contains(key) {
            return Some(Next::Send(GroupCall::Find { name: name.to_owned() }));
        }
        if !self.is_listed && self.pages < PAGES_MAX {
            return Some(Next::Send(GroupCall::Page { start_index: self.next_page.unwrap_or(1) }));
        }
        let rows = std::mem::take(&mut self.listed);
        self.note_found(key, &rows);
        self.listed = rows;
        self.problem.clone().map(Next::Refuse)
    }

    fn note_found(&mut self, key: &str, rows: &[GroupRow]) {
        let ids: BTreeSet<&String> =
            rows.iter().filter(|row| label::key(&row.name) == key).map(|row| &row.id).collect();
        if ids.len() > 1 {
            self.problem = Some("several groups have the name".to_owned());
        }
        self.found.insert(key.to_owned(), ids.first().map(|id| (*id).clone()));
    }

    /// How a change goes out: by PATCH, or by PUT of what was read under the claim; or else the step that must come
    /// first.
    fn carrier(&self, key: &str, id: &str, is_in: bool, known: GroupContext<'_>) -> Result<Carrier, Next> {
        if known.capabilities.patch && !self.no_patch {
            return Ok(Carrier::Patch);
        }
        let claim = claim(key);
        if !known.claims.contains(&claim) {
            return Err(Next::Own(claim));
        }
        match self.shown.as_ref().filter(|shown| shown.id == id) {
            // A group that was just created is empty, whatever the reply shows.
            Some(shown) => match shown.with_member(known.member, is_in, self.made_here.contains(key)) {
                Some(body) => {
                    Ok(Carrier::Put { body, if_match: shown.version.clone().filter(|_| known.capabilities.etag) })
                }
                None => Err(Next::Refuse("the group does not show its members: a PUT would remove them".to_owned())),
            },
            None => Err(Next::Send(GroupCall::Get { id: id.to_owned() })),
        }
    }

    fn key_of(&self, id: &str) -> Option<String> {
        self.found.iter().find(|(_, found)| found.as_deref() == Some(id)).map(|(key, _)| key.clone())
    }

    /// A call may have put the member into a group, or taken them out of it, but no reply said so. Notes the group, so that
    /// they are put into it or removed from it once more, as HR says by then.
    pub(super) fn note_in_doubt(&self, document: &mut Document, call: &GroupCall) {
        match call {
            GroupCall::Add { id, .. } => {
                if let Some(key) = self.key_of(id) {
                    let name = self.names.get(&key).cloned().unwrap_or(key);
                    document.note_unsure(name);
                }
            }
            GroupCall::Remove { id, .. } => {
                let removed = document.groups.iter_mut().filter(|joined| joined.id == *id);
                removed.for_each(|joined| joined.may_be_out = true);
            }
            GroupCall::Find { .. } | GroupCall::Page { .. } | GroupCall::Create { .. } | GroupCall::Get { .. } => {}
        }
    }

    /// Takes in what the group shows of a change whose own reply did not show it. One that is not made after a few tries
    /// waits like that of somebody who has not joined.
    fn learn_change(&mut self, document: &mut Document, change: UnshownChange, shown: &ShownGroup, as_http: &str) {
        let UnshownChange { id, member, is_in } = change;
        if shown.has(&member, is_in) {
            let (id, by) = (id, Carrier::Patch);
            let made = if is_in { GroupCall::Add { id, member, by } } else { GroupCall::Remove { id, member, by } };
            return self.learn(document, &made, GroupOutcome::Applied, as_http);
        }
        self.not_made += 1;
        if self.not_made > NOT_MADE_MAX {
            match self.key_of(&id).filter(|_| is_in) {
                Some(key) => drop(self.refused.insert(key)),
                None => self.problem = Some("the removal from a group is answered, and not made".to_owned()),
            }
        }
    }

    /// What the answers so far show of the target.
    pub(super) fn answered(&self) -> Answered {
        self.answered
    }

    /// Takes in the outcome of a call. `as_http` names the call for people.
    pub(super) fn learn(&mut self, document: &mut Document, call: &GroupCall, outcome: GroupOutcome, as_http: &str) {
        let is_write = matches!(call, GroupCall::Create { .. } | GroupCall::Add { .. } | GroupCall::Remove { .. });
        self.answered.served |= is_write && matches!(outcome, GroupOutcome::Applied | GroupOutcome::Shown(_));
        // Only an added member can be the reason: they may not have joined.
        let is_about_them = matches!(call, GroupCall::Add { .. });
        self.answered.forbidden |= match outcome {
            GroupOutcome::Refused { status: 403 } => document.is_shown() || !is_about_them,
            GroupOutcome::Refused { .. } => !is_about_them,
            _ => false,
        };
        match (call, outcome) {
            (GroupCall::Find { name }, GroupOutcome::Rows { rows, .. }) => {
                let key = label::key(name);
                if rows.iter().any(|row| label::key(&row.name) == key) {
                    self.note_found(&key, &rows);
                } else {
                    self.unfiltered.insert(key);
                }
            }
            (GroupCall::Page { start_index }, GroupOutcome::Rows { rows, listed, total }) => {
                let next = start_index.saturating_add(listed);
                self.pages += 1;
                // A target that ignores `startIndex` shows the same page again and again.
                let known: BTreeSet<&GroupRow> = self.listed.iter().collect();
                let is_repeated = !rows.is_empty() && rows.iter().all(|row| known.contains(row));
                let is_last = total.is_some_and(|total| total > listed && next > total);
                self.is_listed = listed == 0 || is_repeated || is_last;
                self.next_page = Some(next);
                self.listed.extend(rows);
            }
            (_, GroupOutcome::NoFilter) => self.no_filter = true,
            (GroupCall::Create { name }, GroupOutcome::Shown(shown)) => {
                self.made_here.insert(label::key(name));
                self.found.insert(label::key(name), Some(shown.id.clone()));
                self.shown = Some(*shown);
            }
            // Created, but not shown: it is looked up.
            (GroupCall::Create { name }, GroupOutcome::Applied) => {
                self.found.remove(&label::key(name));
                self.made.insert(label::key(name));
            }
            (GroupCall::Get { .. }, GroupOutcome::Shown(shown)) => match self.unshown.take() {
                Some(change) => self.learn_change(document, change, &shown, as_http),
                None => self.shown = Some(*shown),
            },
            (GroupCall::Add { id, member, .. }, GroupOutcome::Applied | GroupOutcome::Shown(_)) => {
                self.shown = None;
                let key = self.key_of(id).unwrap_or_default();
                document.groups_unsure.retain(|name| label::key(name) != key);
                let name = self.names.get(&key).cloned().unwrap_or(key);
                let member = member.clone();
                document.groups.retain(|joined| joined.id != *id);
                document.groups.push(JoinedGroup { name, id: id.clone(), member, may_be_out: false });
            }
            (GroupCall::Remove { id, .. }, GroupOutcome::Applied | GroupOutcome::Shown(_) | GroupOutcome::Nobody) => {
                self.shown = None;
                document.groups.retain(|joined| joined.id != *id);
                let key = self.key_of(id);
                document.groups_unsure.retain(|name| Some(label::key(name)) != key);
            }
            (GroupCall::Add { id, .. } | GroupCall::Get { id }, GroupOutcome::Nobody) => {
                self.unshown = None;
                let is_gone_again = !self.gone.insert(id.clone());
                document.groups.retain(|joined| joined.id != *id);
                if let Some(key) = self.key_of(id) {
                    self.found.remove(&key);
                    // The group is listed, so the 404 is about the member.
                    self.refused.extend(is_gone_again.then_some(key));
                }
            }
            // Whoever has not joined is refused as well, but the target does not show them as a member yet.
            (GroupCall::Add { id, .. }, GroupOutcome::Refused { status: 403 }) if document.is_shown() => {
                self.refused.extend(self.key_of(id));
                self.forbidden = Some(format!("after {as_http}, status 403"));
            }
            (GroupCall::Add { id, .. }, GroupOutcome::Refused { .. }) => self.refused.extend(self.key_of(id)),
            (_, GroupOutcome::Changed) => {
                self.shown = None;
                self.changed += 1;
                if self.changed > CHANGED_MAX {
                    self.problem = Some(format!("after {as_http}: the group changed again and again"));
                }
            }
            (GroupCall::Add { id, member, .. } | GroupCall::Remove { id, member, .. }, GroupOutcome::Unshown) => {
                self.note_in_doubt(document, call);
                let is_in = matches!(call, GroupCall::Add { .. });
                self.unshown = Some(UnshownChange { id: id.clone(), member: member.clone(), is_in });
                self.shown = None;
            }
            (_, GroupOutcome::Refused { status }) => self.problem = Some(format!("after {as_http}, status {status}")),
            (
                _,
                GroupOutcome::Rows { .. }
                | GroupOutcome::Shown(_)
                | GroupOutcome::Applied
                | GroupOutcome::Unshown
                | GroupOutcome::Nobody,
            ) => {
                self.problem = Some(format!("after {as_http}"));
            }
        }
    }
}
