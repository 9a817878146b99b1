//! The document that a store keeps for a person: what HR says, what is known about the member, what
//! is open, and what blocks them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::aspect::{Aspect, UnshownWrite};
use super::email::{self, AddressHash, Email};
use super::employment::{EmploymentState, Timeline};
use super::event::{Event, EventKind};
use super::fact::{self, Stamp};
use super::identity::Person;
use super::job::JobId;
use super::label::{FurtherFacts, Label};
use super::letter::{Letter, OpenLetter};
use super::mark::Mark;
use super::record::{OwnerNow, Record};
use crate::core::code::Code;
use crate::core::fetch::verdict::OwedRead;
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;

/// A person is reported after this many failures in a row: temporary trouble is over by then.
const FAILURES_TOLD: u32 = 5;
/// The newest document format that this version reads: the one with early statements on employment. A version that
/// does not know them would switch people off before their day.
pub const FORMAT: u32 = 3;
/// The format with scope in the record. A version that does not know scope would switch people on who are out of it.
const FORMAT_WITH_SCOPE: u32 = 2;
/// The format of all other documents.
const FORMAT_WITHOUT_SCOPE: u32 = 1;
/// How many jobs are kept open. Beyond that, the oldest end as superseded: their facts are in the record.
pub const OPEN_JOBS_MAX: usize = 200;
/// If an owner is found idle this often, over this long, nobody waits for them any longer. An owner with an unreadable
/// document is checked once a minute, so this covers more than two checks.
const STANDSTILL_LOOKS: u32 = 5;
const STANDSTILL_MS: u64 = 150_000;
/// How many addresses are noted between two attempts. A claim on one that is not noted counts for nothing: the next
/// person to whom HR gives that address gets it.
const ADDRESSES_MAX: usize = 16;
/// How many former records are notified of what happens to their member's new owner: a rehire leaves one. A record that
/// is dropped is notified of that, too.
const FORMERS_MAX: usize = 8;
/// How many values of one further fact are noted until the member is up to date.
const LABELS_TOLD_MAX: usize = 200;

/// Everything that is kept about a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Document {
    /// The format; see [`FORMAT`].
    pub format: u32,
    /// The person.
    pub person: Person,
    /// What HR says.
    #[serde(default)]
    pub record: Record,
    /// The member at the target, as last read or written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<KnownMember>,
    /// Events that have not ended, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenJob>,
    /// A read at the HR system that a notice asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed_read: Option<OwedRead>,
    /// When they were last read at the HR system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<UnixMs>,
    /// The last read said nothing about their employment, and neither has anything else so far.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_without_employment: bool,
    /// The end of the employment, if the last read showed it beside a status that has not followed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_end: Option<UnixMs>,
    /// What blocks the person: a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// What the attempts so far have shown; cleared once the member is up to date.
    #[serde(default, skip_serializing_if = "Progress::is_new")]
    pub progress: Progress,
    /// HR's newest statement on employment that was applied: if somebody switches the member off at the target later,
    /// that is not undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employment_done: Option<Stamp>,
    /// They are out of scope, and that was applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_scope: bool,
    /// They were out of scope when the member was last up to date, or have been since: the member may be switched off
    /// because of that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_out_of_scope: bool,
    /// When all members were last paged through without finding them, and for which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paged: Option<(UnixMs, String)>,
    /// The members were paged through, but that did not settle which one is theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Looked>,
    /// Dead letters about fields of HR's records that could not be used; each ends with a later value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub letters: Vec<OpenLetter>,
    /// The facts that HR has not given yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Since when the person waits, for HR or for the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<UnixMs>,
    /// Somebody switched the member off at the target, although HR says employed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub switched_off_elsewhere: bool,
    /// Since when HR's statements are not applied, because an operator discarded what blocked the person; HR's next
    /// event ends this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_followed_since: Option<UnixMs>,
    /// When an operator discarded the dead letter that said that the HR system's API knows nobody with their id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at_hr: Option<UnixMs>,
    /// A row of an imported roster that is not applied yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<Box<Staged>>,
    /// The person's SCIM id in the list of members, if none was known before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_as: Option<String>,
    /// The people to whom the applied plan gave a member or an address before this person claims it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub yields_to: Vec<Person>,
    /// How many events came after the record was closed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub words_after_close: u32,
    /// Addresses that HR has named since the outcome of all writes was last known, ordered by key; each may be
    /// claimed. If no member is known by id, a create may have gone out under any of them; a known member may have
    /// any of them by now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Email>,
    /// The groups that the bridge put the member into, and that they are in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<JoinedGroup>,
    /// All values that further facts have had since the member was last up to date: a worker that died may have put
    /// the member into the groups of any.
    #[serde(default, skip_serializing_if = "FurtherFacts::is_empty")]
    pub labels_told: FurtherFacts<Vec<Label>>,
    /// Groups that a worker may have put the member into before it died. The member is removed from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups_unsure: Vec<String>,
    /// For each unsure group, the SCIM id of the member that the worker may have put into it; none: this person's
    /// present member.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups_unsure_of: BTreeMap<String, String>,
    /// The former owner of a member who was taken over together with their groups. Their record sends the groups once
    /// more, which then says nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_taken_from: Option<Person>,
    /// The member cannot be put into a group yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_wait: Option<GroupsWait>,
    /// Former owners of this person's member: they are notified of what happens to this person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formers: Vec<FormerRecord>,
    /// Later owners of this person's member whom HR has shown to be other people, even if they have the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apart_from: Vec<Person>,
}

/// How many letters are remembered: HR rarely sends so many unusable values before a usable one.
const LETTERS_MAX: usize = 8;

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

/// A group that the member was put into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedGroup {
    /// `displayName`, as it is configured.
    pub name: String,
    /// SCIM `id` of the group.
    pub id: String,
    /// SCIM `id` of the member.
    pub member: String,
}

impl fmt::Debug for FormerRecord {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormerRecord").field("person", &self.person).field("told", &self.told).finish_non_exhaustive()
    }
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
    pub(super) fn taken_from(document: &mut Document) -> Self {
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

/// The longest pause before another try to put a member into their groups.
pub const GROUPS_PAUSE_MS_MAX: u64 = 86_400_000;
/// News ends a pause at most this often, and half as often after each failed try, up to five.
const WOKEN_FLOOR_MS: u64 = 1_000;
const WOKEN_DOUBLINGS_MAX: u32 = 5;
/// A longer pause between two tries is an effect of a clock that was set back.
const PAUSE_MS_MAX: u64 = 3_600_000;
/// From the first try with their groups to the next one, after a day of tries in vain.
const GROUPLESS_MS: u64 = 2 * 86_400_000;

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

impl GroupsWait {
    fn is_everybodys(&self) -> bool {
        self.forbidden.is_some_and(|forbidden| forbidden.is_everybodys)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Document {
    /// A person about whom nothing is known yet.
    #[must_use]
    pub fn new(person: Person) -> Self {
        Self {
            format: FORMAT_WITHOUT_SCOPE,
            person,
            record: Record::default(),
            member: None,
            open: Vec::new(),
            owed_read: None,
            read_at: None,
            read_without_employment: false,
            late_end: None,
            trouble: None,
            progress: Progress::default(),
            employment_done: None,
            left_scope: false,
            was_out_of_scope: false,
            paged: None,
            looked: None,
            letters: Vec::new(),
            missing: Vec::new(),
            waiting_since: None,
            switched_off_elsewhere: false,
            not_followed_since: None,
            gone_at_hr: None,
            staged: None,
            listed_as: None,
            yields_to: Vec::new(),
            words_after_close: 0,
            addresses: Vec::new(),
            groups: Vec::new(),
            labels_told: FurtherFacts::new(),
            groups_unsure: Vec::new(),
            groups_unsure_of: BTreeMap::new(),
            groups_taken_from: None,
            groups_wait: None,
            formers: Vec::new(),
            apart_from: Vec::new(),
        }
    }

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

    /// The end that was announced for the present employment, in effect or not, as long as no answer has shown another status.
    #[must_use]
    pub fn announced_end(&self) -> Option<UnixMs> {
        let newest = self.record.employment.words().iter().max_by_key(|word| word.stamp)?;
        let is_left = newest.state == EmploymentState::Left;
        if newest.is_announced() { Some(newest.from) } else { self.late_end }.filter(|_| is_left)
    }

    /// Notes a dead letter about fields of a record that was stated then.
    pub(super) fn note_letter(&mut self, letter: Letter, stamp: Stamp) {
        self.letters.retain(|known| known.letter.id != letter.id);
        self.letters.push(OpenLetter { letter, stamp });
        let surplus = self.letters.len().saturating_sub(LETTERS_MAX);
        self.letters.drain(..surplus);
    }

    /// Takes out the letters that are answered: HR has stated a usable value of each field since.
    pub(super) fn take_answered(&mut self) -> Vec<JobId> {
        let record = &self.record;
        let is_answered = |open: &OpenLetter| {
            let is_later = |field: &String| record.stated_at(field).is_some_and(|stamp| stamp > open.stamp);
            open.letter.fields.iter().all(is_later)
        };
        let (answered, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.letters).into_iter().partition(is_answered);
        self.letters = left;
        answered.into_iter().map(|open| open.letter.id).collect()
    }

    /// Opens a closed record again.
    pub(super) fn reopen(&mut self) {
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
    pub(super) fn hand_on_formers(&mut self, to: &Person, now: UnixMs) {
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

    /// Whether HR has said something about the membership that was not applied yet; none if HR has said nothing.
    #[must_use]
    pub fn has_new_word(&self, now: UnixMs) -> Option<bool> {
        if self.record.is_out_of_scope(now) {
            return Some(!self.left_scope);
        }
        if self.is_back_in_scope(now) {
            return Some(true);
        }
        let word = self.record.employment.at(now)?;
        Some(self.employment_done.is_none_or(|done| word.stamp > done))
    }

    /// Whether they came back into scope since the member was last up to date, which counts like a new statement on
    /// employment.
    #[must_use]
    pub fn is_back_in_scope(&self, now: UnixMs) -> bool {
        self.was_out_of_scope && !self.record.is_out_of_scope(now)
    }

    /// Drops scope if the source has no rules for it (any more): then everybody is in scope.
    pub fn heed_scope(&mut self, has_rules: bool, now: UnixMs) {
        self.was_out_of_scope |= self.record.is_out_of_scope(now);
        if !has_rules {
            self.record.scope = Timeline::default();
        }
        self.left_scope &= self.record.is_out_of_scope(now);
        self.note_format();
    }

    fn note_format(&mut self) {
        let has_early = self.record.employment.words().iter().any(|word| word.is_early);
        self.format = match (has_early, self.record.scope.is_empty()) {
            (true, _) => FORMAT,
            (false, false) => FORMAT_WITH_SCOPE,
            (false, true) => FORMAT_WITHOUT_SCOPE,
        };
    }

    /// If an operator discarded what blocked them, an announced change that takes effect later counts as HR's next
    /// statement.
    pub fn follow_next(&mut self, now: UnixMs) {
        let Some(since) = self.not_followed_since else { return };
        let employment = self.record.employment.at(now).map(|word| (word.is_announced(), word.from));
        let scope = self.record.scope.at(now).map(|word| (word.is_announced(), word.from));
        if employment.into_iter().chain(scope).any(|(is_announced, from)| is_announced && from > since) {
            self.not_followed_since = None;
        }
    }

    /// Notes that the membership is as HR wants it: if somebody switches the member off at the target from now on,
    /// that is not undone.
    pub fn note_in_line(&mut self, now: UnixMs) {
        if let Some(word) = self.record.employment.at(now) {
            self.employment_done = Some(word.stamp);
        }
        self.left_scope = self.record.is_out_of_scope(now);
        self.was_out_of_scope = self.left_scope;
    }

    /// When there is something to do without another event: an announced change of employment, or another try with
    /// the groups.
    #[must_use]
    pub fn next_change(&self, now: UnixMs) -> Option<UnixMs> {
        let groups = self.groups_wait.map(|wait| wait.due);
        self.record.next_change(now).into_iter().chain(groups).min()
    }

    /// Folds something that states this address. Notes this address and the previous one, since a create may go out,
    /// or have gone out, under either; and whether the person is, or was until now, out of scope.
    pub fn folding<T>(&mut self, told: Option<&Email>, now: UnixMs, fold: impl FnOnce(&mut Record) -> T) -> T {
        let before = self.record.email().filter(|_| told.is_some()).cloned();
        for email in before.iter().chain(told) {
            self.note_address(email);
        }
        self.was_out_of_scope |= self.record.is_out_of_scope(now);
        let folded = fold(&mut self.record);
        self.was_out_of_scope |= self.record.is_out_of_scope(now);
        self.left_scope &= self.record.is_out_of_scope(now);
        self.note_format();
        folded
    }

    fn note_address(&mut self, email: &Email) {
        let place = self.addresses.binary_search_by(|known| known.key().cmp(email.key()));
        if let (Err(place), false) = (place, self.addresses.len() >= ADDRESSES_MAX) {
            self.addresses.insert(place, email.clone());
        }
    }

    /// Corrects times that the bridge noted while its clock was wrong: later than `now`, or before there was a bridge.
    /// They become `now`; otherwise a pause would last until the clock has caught up, or trouble would seem to have
    /// gone on for decades. Times that HR gave are left as they are.
    pub fn set_right(&mut self, now: UnixMs) {
        let member = self.member.iter_mut().flat_map(|member| {
            let written = [
                &mut member.created_at,
                &mut member.user_name_written_at,
                &mut member.names_written_at,
                &mut member.active_written_at,
            ];
            written.into_iter().flatten().chain([&mut member.seen_at])
        });
        let progress = &mut self.progress;
        let done = [
            progress.create_unknown.as_mut().map(|unknown| &mut unknown.at),
            progress.standstill.as_mut().map(|standstill| &mut standstill.since),
            progress.failing_since.as_mut(),
            progress.woken_at.as_mut(),
            progress.refused_at.as_mut(),
            self.paged.as_mut().map(|(at, _)| at),
            self.looked.as_mut().map(|looked| &mut looked.at),
            self.waiting_since.as_mut(),
            self.groups_wait.as_mut().map(|wait| &mut wait.since),
            self.trouble.as_mut().and_then(|trouble| trouble.tried_at.as_mut()),
        ];
        let unshown = progress.unshown.iter_mut().map(|write| &mut write.at);
        for at in member.chain(done.into_iter().flatten()).chain(unshown) {
            *at = at.set_right(now);
        }
        let again_at = &mut self.progress.again_at;
        *again_at = again_at.map(|at| at.min(now.plus_ms(PAUSE_MS_MAX)));
        if let Some(wait) = &mut self.groups_wait {
            wait.due = wait.due.min(now.plus_ms(GROUPS_PAUSE_MS_MAX));
        }
        if let Some(owed) = &mut self.owed_read {
            owed.set_right(now);
        }
    }

    /// The form in which it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of strings and numbers always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// Why it cannot be read: damaged, or of a newer format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        match serde_json::from_slice::<Format>(bytes) {
            Ok(Format { format }) if format > FORMAT => Err(Unreadable::Newer { format }),
            Ok(_) => serde_json::from_slice(bytes).map_err(|_| Unreadable::Damaged),
            Err(_) => Err(Unreadable::Damaged),
        }
    }

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

/// Why a document cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is damaged.
    #[error("the person's document is damaged")]
    Damaged,
    /// A newer version wrote it.
    #[error("the person's document has format {format}, this version knows up to {FORMAT}")]
    Newer {
        /// Its format.
        format: u32,
    },
}

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

/// An event that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenJob {
    /// Its id.
    pub id: JobId,
    /// Its kind.
    pub kind: EventKind,
    /// When it was accepted.
    pub accepted_at: UnixMs,
    /// When its statement on employment takes effect, if that was announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<UnixMs>,
    /// The span of its delivery, if traces are on.
    #[serde(default, deserialize_with = "TraceContext::stored", skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// A row of an imported roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The import.
    pub import: String,
    /// The job that it will become.
    pub job: JobId,
    /// When it was imported: its facts count from then on.
    pub accepted_at: UnixMs,
    /// Its place in the order of acceptance.
    pub seq: u64,
    /// What it says.
    pub event: Event,
    /// When they will leave, if it announces that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_at: Option<UnixMs>,
}

/// What blocks a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The dead letter's id: that of the newest job that it stopped.
    pub id: JobId,
    /// The reason.
    pub code: Code,
    /// Fields and shapes, ids of employees; never names or addresses.
    pub detail: String,
    /// When it began.
    pub since: UnixMs,
    /// When it was last tried, if it stood like this since: none while another try waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<UnixMs>,
}

/// How soon what blocks a person is tried again for an event that says nothing new, and how late at the latest. HR systems
/// resend an event that they take for lost some hundred times a minute.
const REPEATED_MS_MIN: u64 = 60_000;
const REPEATED_MS_MAX: u64 = 3_600_000;

impl Trouble {
    /// When an event that says nothing new has it tried again: at once the first time, and then after as long as it has
    /// stood. A claim that somebody else has is looked at again at any time, as that makes no call.
    #[must_use]
    pub fn again_at(&self) -> Option<UnixMs> {
        let tried_at = self.tried_at.filter(|_| self.code != Code::ScimOwned)?;
        Some(tried_at.plus_ms(tried_at.ms_since(self.since).clamp(REPEATED_MS_MIN, REPEATED_MS_MAX)))
    }
}

/// What the attempts so far have shown, while the member is not up to date.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Attempts that failed because of the target or the network.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<UnixMs>,
    /// When the pause before the next attempt ends, if news from HR may end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_at: Option<UnixMs>,
    /// How many of the attempts news asked for: they make the next pause no longer.
    #[serde(skip_serializing_if = "is_zero")]
    pub woken: u32,
    /// When news last ended a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub woken_at: Option<UnixMs>,
    /// How often the lane was taken over from a worker that died during an attempt.
    pub take_overs: u32,
    /// A `POST /Users` of ours went out, and its outcome is unknown: look before posting again.
    pub create_unknown: Option<UnknownCreate>,
    /// A `POST /Users` of ours was answered 201 without the member, and no reply has shown them since: it is never
    /// posted again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub made_unshown: bool,
    /// Undocumented refusals in a row.
    pub suspicions: u32,
    /// Of these, how many came while others' calls of that kind were served in between.
    pub suspicions_alone: u32,
    /// When the last of them was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<UnixMs>,
    /// How often only this person was answered 429.
    pub limited_alone: u32,
    /// How often the target said that it could not update the username.
    pub username_refused: u32,
    /// Attempts in which writes were refused because the member had changed.
    #[serde(skip_serializing_if = "is_zero")]
    pub conflicts: u32,
    /// Look-ups for a leaver in which the target did not show all members.
    #[serde(skip_serializing_if = "is_zero")]
    pub looks_in_part: u32,
    /// Writes that were answered with a success but are not shown yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unshown: Vec<UnshownWrite>,
    /// They wait for somebody to give something up, but that person is not due for any work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standstill: Option<Standstill>,
}

/// A `POST /Users` of unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownCreate {
    /// The latest time at which it can have gone out.
    pub at: UnixMs,
    /// Whether the target answered with an error: then it most likely had no effect.
    pub answered: bool,
    /// It is only assumed: a worker stopped during an attempt, and may have sent it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_guess: bool,
}

impl UnknownCreate {
    /// A create that went out.
    #[must_use]
    pub fn made(at: UnixMs, answered: bool) -> Self {
        Self { at, answered, is_guess: false }
    }

    /// A create that may have gone out.
    #[must_use]
    pub fn guessed(at: UnixMs, answered: bool) -> Self {
        Self { at, answered, is_guess: true }
    }
}

/// A look through the members that found nobody, and is no proof that there is nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// When it happened.
    pub at: UnixMs,
    /// The address searched for.
    pub key: String,
    /// How many members it would have covered at most.
    pub rows_max: u32,
    /// If not all were covered: how many were, in words for the operator. None: all were, but the target says that
    /// the person is a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_part: Option<String>,
}

/// A wait for a person who is not due for any work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standstill {
    /// The claim that they wait for.
    pub key: String,
    /// When that was first seen.
    pub since: UnixMs,
    /// How often it was seen.
    pub looks: u32,
}

impl Standstill {
    /// It was seen again.
    #[must_use]
    pub fn again(before: Option<Self>, key: &str, now: UnixMs) -> Self {
        let before = before.filter(|before| before.key == key);
        let Self { key, since, looks } = before.unwrap_or_else(|| Self { key: key.to_owned(), since: now, looks: 0 });
        Self { key, since, looks: looks.saturating_add(1) }
    }

    /// Whether there is no use in waiting any longer.
    #[must_use]
    pub fn is_over(&self, now: UnixMs) -> bool {
        self.looks >= STANDSTILL_LOOKS && now.ms_since(self.since) >= STANDSTILL_MS
    }
}

impl Progress {
    /// Notes that a read does not show what was written.
    pub fn note_unshown(&mut self, aspect: Aspect, now: UnixMs) {
        let before = self.unshown.iter().find(|write| write.aspect == aspect).map_or(0, |write| write.writes);
        self.note_shown(aspect);
        self.unshown.push(UnshownWrite { aspect, at: now, writes: before + 1 });
    }

    /// Notes that what was written is in effect.
    pub fn note_shown(&mut self, aspect: Aspect) {
        self.unshown.retain(|write| write.aspect != aspect);
    }

    /// HR has said something else: it may have removed what blocked them, and a write that no read has shown may not be
    /// wanted any more.
    pub fn heed_news(&mut self) {
        (self.suspicions, self.suspicions_alone, self.refused_at) = (0, 0, None);
        self.username_refused = 0;
        self.unshown.clear();
    }

    /// Until when news does not end another pause: a target in trouble is not called at every word of a talkative HR
    /// system.
    #[must_use]
    pub fn rests_until(&self) -> Option<UnixMs> {
        self.woken_at.map(|at| at.plus_ms(WOKEN_FLOOR_MS << self.failures.min(WOKEN_DOUBLINGS_MAX)))
    }

    fn is_new(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::SourceName;
    use crate::core::time::EARLIEST;

    #[test]
    fn acts_dated_by_a_fast_clock_count_as_done_now() {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        let (now, ahead) = (UnixMs(1_000), UnixMs(3_600_000));
        let mut document = Document::new(person);
        document.waiting_since = Some(UnixMs(7));
        document.paged = Some((ahead, "a@example.com".to_owned()));
        document.progress.create_unknown = Some(UnknownCreate::made(ahead, true));
        document.progress.failing_since = Some(ahead);
        OwedRead::note(&mut document.owed_read, ahead, false);
        document.owed_read.as_mut().unwrap().not_before = Some(UnixMs(ahead.0 * 5));
        document.groups_wait = Some(GroupsWait { since: ahead, due: UnixMs(i64::MAX), forbidden: None });
        document.set_right(now);
        let wait = document.groups_wait.unwrap();
        assert_eq!((wait.since, wait.due), (now, now.plus_ms(GROUPS_PAUSE_MS_MAX)));
        assert_eq!((document.waiting_since, document.paged.map(|(at, _)| at)), (Some(UnixMs(7)), Some(now)));
        assert_eq!(document.progress.create_unknown.map(|unknown| unknown.at), Some(now));
        assert_eq!(document.progress.failing_since, Some(now));
        let owed = document.owed_read.unwrap();
        assert_eq!((owed.first_at, owed.last_at), (now, now));
        assert!(owed.due(0, false) <= now.plus_ms(3_600_000), "no longer than the longest pause");
    }

    #[test]
    fn acts_dated_before_the_bridge_existed_come_from_a_wrong_clock() {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        let (now, before) = (EARLIEST.plus_ms(1_000), UnixMs(60_000));
        let mut document = Document::new(person);
        document.progress.failing_since = Some(before);
        document.progress.create_unknown = Some(UnknownCreate::made(before, true));
        OwedRead::note(&mut document.owed_read, before, false);
        document.owed_read.as_mut().unwrap().failing_since = Some(before);
        document.set_right(now);
        assert_eq!(document.progress.failing_since, Some(now), "it is not given up");
        assert_eq!(document.progress.create_unknown.map(|unknown| unknown.at), Some(now));
        let owed = document.owed_read.unwrap();
        assert_eq!((owed.first_at, owed.last_at, owed.failing_since), (now, now, Some(now)));
    }

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
