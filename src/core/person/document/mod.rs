//! The document that a store keeps for a person: what HR says, what is known about the member, what
//! is open, and what blocks them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::formers::FormerRecord;
pub use self::groups::{GROUPS_PAUSE_MS_MAX, Groups, GroupsWait, JoinedGroup};
pub use self::member::KnownMember;
pub use self::progress::{Looked, Progress, Standstill, Unconfirmed, UnknownCreate};
pub use self::trouble::Trouble;
use super::email::Email;
use super::employment::Timeline;
use super::event::{Event, EventKind};
use super::fact::Stamp;
use super::identity::Person;
use super::job::JobId;
use super::label::{FurtherFacts, Label};
use super::letter::OpenLetter;
use super::mark::Mark;
use super::record::Record;
use crate::core::fetch::verdict::OwedRead;
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;

mod formers;
mod groups;
mod letters;
mod marks;
mod member;
mod progress;
mod trouble;

/// The newest document format that this version reads: the one with early statements on employment. A version that
/// does not know them would switch people off before their day.
pub const FORMAT: u32 = 3;
/// The format with scope in the record. A version that does not know scope would switch people on who are out of it.
const FORMAT_WITH_SCOPE: u32 = 2;
/// The format of all other documents.
const FORMAT_WITHOUT_SCOPE: u32 = 1;
/// How many jobs are kept open. Beyond that, the oldest end as superseded: their facts are in the record.
pub const OPEN_JOBS_MAX: usize = 200;
/// How many addresses are noted between two attempts. A claim on one that is not noted counts for nothing: the next
/// person to whom HR gives that address gets it.
const ADDRESSES_MAX: usize = 16;

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

/// A longer pause between two tries is an effect of a clock that was set back.
const PAUSE_MS_MAX: u64 = 3_600_000;

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
            progress.unconfirmed.as_mut().map(|unconfirmed| &mut unconfirmed.at),
            progress.standstill.as_mut().map(|standstill| &mut standstill.since),
            progress.failing_since.as_mut(),
            progress.refused_at.as_mut(),
            self.paged.as_mut().map(|(at, _)| at),
            self.looked.as_mut().map(|looked| &mut looked.at),
            self.waiting_since.as_mut(),
            self.groups_wait.as_mut().map(|wait| &mut wait.since),
            self.trouble.as_mut().and_then(|trouble| trouble.tried_at.as_mut()),
        ];
        for at in member.chain(done.into_iter().flatten()) {
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

    /// The terms by which the person can be found: addresses, the folded words of their names, and their marks.
    #[must_use]
    pub fn search_terms(&self) -> Vec<String> {
        let mut terms = Vec::new();
        let record = &self.record;
        let addresses = [
            record.email().map(|email| email.lower().to_owned()),
            self.member.as_ref().map(|m| m.user_name.to_lowercase()),
        ];
        terms.extend(addresses.into_iter().flatten());
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
        document.groups_wait = Some(GroupsWait { since: ahead, due: UnixMs(i64::MAX) });
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
}
