//! The result for a record of a delivery.

use std::fmt;

use bytes::Bytes;

use crate::core::code::Code;
use crate::core::person::{Event, EventKind, InvalidField, Person};

/// The result for one record of a delivery.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most are events")]
pub enum Record {
    /// It states something about a person. A record that also announces an end of the employment is two events.
    Event {
        /// What it states.
        event: Event,
        /// Fields that are there but cannot be used: the event is accepted without them.
        dropped: Vec<InvalidField>,
        /// Its time gives no zone, and is read in the source's.
        is_zoneless: bool,
    },
    /// To be ignored.
    Ignored(Ignored),
    /// To be kept as a dead letter, and mapped again ([`super::remap`]) with a corrected mapping.
    Unmapped {
        /// Whose it is, if the record says at least that.
        person: Option<Person>,
        /// One of the `MAP-` codes.
        code: Code,
        /// Fields and shapes, never values.
        detail: String,
        /// The fields that cannot be used; none if it is the record as a whole.
        fields: Vec<&'static str>,
        /// The kind of event that it would be, if the record says at least that.
        kind: Option<EventKind>,
        /// Whether the rest of the record is in effect: the event just before says it.
        is_beside_event: bool,
        /// The body as received; of a batch, the body with this record alone in its place.
        payload: Bytes,
    },
}

/// A record that is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The reason.
    pub why: IgnoredWhy,
    /// Its type, if it has one: cut short, without control characters.
    pub type_value: Option<String>,
    /// Fields that are there and cannot be used.
    pub dropped: Vec<InvalidField>,
}

/// Why a record is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoredWhy {
    /// Its type is named under `ignore`.
    Listed,
    /// Its type is named nowhere.
    NotNamed,
    /// A condition says that it does not count.
    Condition,
    /// It is about a person out of scope.
    OutOfScope,
    /// It says nothing that the bridge follows.
    StatesNothing,
}

impl IgnoredWhy {
    /// The word for it in answers and tallies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::NotNamed => "not_named",
            Self::Condition => "condition",
            Self::OutOfScope => "out_of_scope",
            Self::StatesNothing => "states_nothing",
        }
    }
}

/// Why a body or a record could not be mapped.
pub(super) struct MapError {
    pub(super) person: Option<Person>,
    pub(super) code: Code,
    pub(super) detail: String,
    pub(super) fields: Vec<&'static str>,
    pub(super) kind: Option<EventKind>,
    /// The rest of the record is in effect: the event just before says it.
    pub(super) is_beside_event: bool,
}

impl MapError {
    /// About a body or record as a whole: nobody is named, and no field.
    pub(super) fn of_whole(code: Code, detail: String) -> Self {
        Self { person: None, code, detail, fields: Vec::new(), kind: None, is_beside_event: false }
    }
}

impl fmt::Debug for Record {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { event, dropped, .. } => f.debug_tuple("Event").field(event).field(dropped).finish(),
            Self::Ignored(ignored) => ignored.fmt(f),
            Self::Unmapped { person, code, detail, .. } => f
                .debug_struct("Unmapped")
                .field("person", person)
                .field("code", code)
                .field("detail", detail)
                .finish_non_exhaustive(),
        }
    }
}

pub(super) fn unmapped(error: MapError, payload: Bytes) -> Record {
    let MapError { person, code, detail, fields, kind, is_beside_event } = error;
    Record::Unmapped { person, code, detail, fields, kind, is_beside_event, payload }
}
