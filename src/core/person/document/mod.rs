//! The document that a store keeps for a person: what HR says, what is known about the member, what
//! is open, and what blocks them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::formers::FormerRecord;
pub use self::groups::{Forbidden, GROUPS_PAUSE_MS_MAX, Groups, GroupsWait, JoinedGroup};
pub use self::member::KnownMember;
pub use self::progress::{Looked, Progress, Standstill, UnknownCreate};
use self::stored::FORMAT_WITHOUT_SCOPE;
pub use self::stored::{FORMAT, Unreadable};
pub use self::trouble::Trouble;
use super::email::Email;
use super::event::{Event, EventKind};
use super::fact::Stamp;
use super::identity::Person;
use super::job::JobId;
use super::label::{FurtherFacts, Label};
use super::letter::OpenLetter;
use super::record::Record;
use crate::core::fetch::verdict::OwedRead;
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;

mod formers;
mod groups;
mod letters;
mod marks;
mod member;
mod membership;
mod progress;
mod stored;
mod times;
mod trouble;
mod wanted;

/// How many jobs are kept open. Beyond that, the oldest end as superseded: their facts are in the record.
pub const OPEN_JOBS_MAX: usize = 200;

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
