//! What a payload means: turns an HR system's JSON into events, by lookups from the configuration.
//!
//! Lives here: reading facts where a [`Mapping`] says they are. Not here: signatures (what arrives
//! here is already authenticated), and what an event leads to.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::person::EventKind;

pub use self::condition::Condition;
pub use self::edit::corrected;
pub use self::explain::{BodyProblem, Explanation, FieldExplanation, RecordExplanation, RecordResult, Show, explain};
pub use self::listed::{Listed, Says, listed, named};
pub use self::lookup::{Lookup, Lookups};
pub use self::moment::{TimeOfDay, TimeUnit, Zone};
pub use self::path::{Path, Place};
pub use self::read::{RECORDS_MAX, map, remap};
pub use self::record::{Ignored, IgnoredWhy, Record};
pub use self::row::{RowRules, RowWord};

mod bounds;
mod condition;
mod edit;
mod explain;
mod facts;
mod jq;
mod kept;
mod listed;
mod lookup;
mod moment;
mod path;
mod read;
mod record;
mod row;

/// How a source's payload is read: `[source.mapping]`.
///
/// The defaults read the default payload (the README shows it), in an envelope (`/data/email`) or as a flat record
/// (`/email`). Of several lookups, the first that finds something counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Mapping {
    /// The format of a body.
    pub body: BodyFormat,
    /// The path to the records: one object, or an array of them. Empty: the body itself.
    pub records: Path,
    /// Whether the records are an object's members, by name.
    pub records_by_key: bool,
    /// Which records count: all of these must hold.
    pub only_if: Vec<Condition>,
    /// Which records do not count: none of these may hold.
    pub except_if: Vec<Condition>,
    /// The paths to the event's type. It is compared as text, exactly; a whole number as its digits.
    #[serde(rename = "type")]
    pub kind: Lookups,
    /// Which kind a record is, before its type is looked at: the first rule that holds.
    pub kinds: Vec<KindRule>,
    /// The types that mean hire.
    pub hire: Types,
    /// The types that mean that something about a person changed.
    pub update: Types,
    /// An alias of `update`. If both are set, both count; if only one is, the other's default does not.
    pub rename: Types,
    /// The types that mean that a person leaves, or has left.
    pub leave: Types,
    /// The types that mean that a person changed and must be read; `person.*` stands for all types that begin with
    /// `person.` and are named nowhere else.
    pub notice: Types,
    /// The types that mean that a person's record was removed: the person is read, and has left if the id no longer
    /// exists.
    pub deleted: Types,
    /// The types that are of no interest; `invoice.*` stands for all that begin with `invoice.`. Of two matching
    /// prefixes, the longer counts.
    pub ignore: Types,
    /// What a record without a type counts as; if not set, it is unmapped.
    pub assume: Option<EventKind>,
    /// The paths to the employee id: text or a whole number.
    pub employee_id: Lookups,
    /// Which people are in scope: all of these must hold, as far as they can be judged.
    pub in_scope_if: Vec<Condition>,
    /// What happens to the others.
    pub out_of_scope: OutOfScope,
    /// The paths to the e-mail address.
    pub email: Lookups,
    /// The domains that an address may have; none: any.
    pub address_domains: Vec<String>,
    /// The paths to the given name.
    pub given_name: Lookups,
    /// The paths to the preferred given name.
    pub preferred_given_name: Lookups,
    /// Which of the two given names counts.
    pub names: Names,
    /// The paths to the family name.
    pub family_name: Lookups,
    /// Whether null means that there is no such name.
    pub null_clears: bool,
    /// The paths to the locale, such as `en-US`.
    pub locale: Lookups,
    /// The paths to further facts, by name, such as `department`: groups are derived from them. Each is a text, or a list
    /// of texts.
    pub facts: BTreeMap<String, Lookups>,
    /// The paths to the status that says whether a person is employed.
    pub status: Lookups,
    /// The values of the status that mean employed. Case does not matter.
    pub active_values: Vec<String>,
    /// The values of the status that mean left.
    pub left_values: Vec<String>,
    /// The values of the status that say neither.
    pub other_values: Vec<String>,
    /// The paths to the time of the change; an empty list if the payload has no useful one.
    pub occurred_at: Lookups,
    /// How that time is written.
    pub occurred_at_unit: TimeUnit,
    /// The zone of times and dates without one.
    pub zone: Zone,
    /// The paths to the time at which a leave takes effect: an instant, or a date.
    pub effective_at: Lookups,
    /// The paths to the time at which a person who works here will leave, in records that are not a leave.
    pub ends_at: Lookups,
    /// What a past end means if the status says employed.
    pub past_end: PastEnd,
    /// The time of day at which a leave with only a date takes effect; none: at the end of the day.
    pub leave_at: Option<TimeOfDay>,
    /// The paths to the first day of work.
    pub starts_at: Lookups,
    /// When somebody who is hired is invited.
    pub invite: Invite,
    /// How many days before the first day of work, with `invite = "at_start"`.
    pub lead_days: u32,
    /// Whether a record is also kept as a dead letter for a status that the mapping does not name: in a list, nothing
    /// else would report it.
    #[serde(skip)]
    pub keeps_status: bool,
    /// Whether the person is read for a hire or an update that gives no time: the API says what is so now, and such a
    /// delivery may be late or sent again.
    #[serde(skip)]
    pub reads_untimed: bool,
}

/// The format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// JSON.
    #[default]
    Json,
    /// JSON, or a form if it does not begin as JSON does.
    Form,
}

/// What happens to records about people out of scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutOfScope {
    /// Their records are ignored; only a leave counts.
    #[default]
    Ignore,
    /// They are switched off until a record shows them in scope: a person who was in scope moved out of it.
    Leave,
}

/// What a past end means if the status says employed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PastEnd {
    /// It is the end of a former employment.
    #[default]
    Former,
    /// They have left: in this system, the status means something else, or changes late.
    Left,
}

/// Which given name counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// The preferred one, if there is one.
    #[default]
    Preferred,
    /// Always the legal one.
    Legal,
}

/// When somebody who is hired is invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invite {
    /// As soon as HR records the hire.
    #[default]
    AtRecord,
    /// On their first day of work, or `lead_days` before it.
    AtStart,
}

/// What a type or a rule can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// A person is hired.
    Hire,
    /// Something about a person changed.
    #[serde(alias = "rename")]
    Update,
    /// A person leaves, or has left.
    Leave,
    /// A person changed and must be read.
    Notice,
    /// A person's record was removed; the person must be read.
    Deleted,
    /// Of no interest.
    Ignore,
}

impl Meaning {
    fn kind(self) -> Option<EventKind> {
        match self {
            Self::Hire => Some(EventKind::Hire),
            Self::Update => Some(EventKind::Update),
            Self::Leave => Some(EventKind::Leave),
            Self::Notice | Self::Deleted => Some(EventKind::Notice),
            Self::Ignore => None,
        }
    }
}

/// A kind that depends on conditions: `{ is = "leave", only_if = […] }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KindRule {
    /// What a record means if the conditions hold.
    pub is: Meaning,
    /// All of these must hold.
    #[serde(default)]
    pub only_if: Vec<Condition>,
    /// None of these may hold.
    #[serde(default)]
    pub except_if: Vec<Condition>,
}

/// Type values. Configured ones replace the defaults, and come before the defaults of other lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Types {
    values: Vec<String>,
    is_set: bool,
}

impl Types {
    fn by_default(values: &[&str]) -> Self {
        Self { values: values.iter().map(|&value| value.to_owned()).collect(), is_set: false }
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    fn has(&self, value: &str) -> bool {
        self.values.iter().any(|known| known == value)
    }

    /// The length of the longest prefix (an entry that ends with `*`) that matches a value.
    fn longest_prefix_of(&self, value: &str) -> Option<usize> {
        let starts = self.values.iter().filter_map(|known| known.strip_suffix('*'));
        starts.filter(|start| value.starts_with(start)).map(str::len).max()
    }
}

impl<'de> Deserialize<'de> for Types {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|values| Self { values, is_set: true })
    }
}

impl Mapping {
    /// A hash that differs if the mapping does.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        let mut cut = [0; 16];
        cut.copy_from_slice(&Sha256::digest(format!("{self:?}"))[..16]);
        cut
    }
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            body: BodyFormat::Json,
            records: Path::record(),
            records_by_key: false,
            only_if: Vec::new(),
            except_if: Vec::new(),
            kind: envelope_paths("type"),
            kinds: Vec::new(),
            hire: Types::by_default(&["employee.hired"]),
            update: Types::by_default(&["employee.updated", "employee.renamed"]),
            rename: Types::default(),
            leave: Types::by_default(&["employee.left"]),
            notice: Types::default(),
            deleted: Types::default(),
            ignore: Types::default(),
            assume: None,
            employee_id: field_paths(["employee_id"]),
            in_scope_if: Vec::new(),
            out_of_scope: OutOfScope::Ignore,
            email: field_paths(["email"]),
            address_domains: Vec::new(),
            given_name: field_paths(["first_name", "given_name"]),
            preferred_given_name: Lookups::default(),
            names: Names::Preferred,
            family_name: field_paths(["last_name", "family_name"]),
            null_clears: false,
            locale: field_paths(["locale"]),
            facts: BTreeMap::new(),
            status: Lookups::default(),
            active_values: Vec::new(),
            left_values: Vec::new(),
            other_values: Vec::new(),
            occurred_at: envelope_paths("timestamp"),
            occurred_at_unit: TimeUnit::Auto,
            zone: Zone::default(),
            effective_at: field_paths(["effective_at"]),
            ends_at: Lookups::default(),
            past_end: PastEnd::Former,
            leave_at: None,
            starts_at: field_paths(["starts_at"]),
            invite: Invite::AtRecord,
            lead_days: 0,
            keeps_status: false,
            reads_untimed: false,
        }
    }
}

impl Mapping {
    /// Whether records decide scope, and people out of scope are switched off.
    #[must_use]
    pub fn tells_scope(&self) -> bool {
        self.out_of_scope == OutOfScope::Leave && !self.in_scope_if.is_empty()
    }

    /// The lists of types, with the key of each and what it means, in order of preference.
    fn types(&self) -> [(&'static str, &Types, Meaning); 7] {
        [
            ("hire", &self.hire, Meaning::Hire),
            ("leave", &self.leave, Meaning::Leave),
            ("update", &self.update, Meaning::Update),
            ("rename", &self.rename, Meaning::Update),
            ("notice", &self.notice, Meaning::Notice),
            ("deleted", &self.deleted, Meaning::Deleted),
            ("ignore", &self.ignore, Meaning::Ignore),
        ]
    }

    /// Whether a list counts: configured updates replace the default ones.
    fn counts(&self, key: &str) -> bool {
        key != "update" || self.update.is_set || !self.rename.is_set
    }

    /// What a type value means; none if it is not named.
    #[must_use]
    pub fn meaning(&self, type_value: &str) -> Option<Meaning> {
        let named = |is_set: bool| {
            let lists =
                self.types().into_iter().filter(move |(key, types, _)| types.is_set == is_set && self.counts(key));
            lists.filter(|(_, types, _)| types.has(type_value)).map(|(_, _, meaning)| meaning).next()
        };
        let covered = || match (self.ignore.longest_prefix_of(type_value), self.notice.longest_prefix_of(type_value)) {
            (None, None) => None,
            (ignored, noticed) if ignored >= noticed => Some(Meaning::Ignore),
            _ => Some(Meaning::Notice),
        };
        named(true).or_else(covered).or_else(|| named(false))
    }

    /// Whether a record can have this meaning.
    #[must_use]
    pub fn can_mean(&self, meaning: Meaning) -> bool {
        let by_type = !self.kind.is_empty()
            && self
                .types()
                .into_iter()
                .any(|(key, types, means)| means == meaning && self.counts(key) && !types.values.is_empty());
        by_type
            || self.kinds.iter().any(|rule| rule.is == meaning)
            || self.assume.is_some_and(|kind| meaning.kind() == Some(kind))
    }

    /// If this mapping alone can never invite anybody: why. A roster or another source may supply the rest.
    #[must_use]
    pub fn lacks_for_hires(&self) -> Option<&'static str> {
        let reads = self.can_mean(Meaning::Notice) || self.can_mean(Meaning::Deleted);
        let hires = self.can_mean(Meaning::Hire) || !self.status.is_empty();
        if !hires && !reads {
            Some("its mapping hires nobody: no type, rule or status means a hire")
        } else if hires && self.email.is_empty() {
            Some("its mapping reads no e-mail address, so nobody whom it hires can be invited")
        } else {
            None
        }
    }

    /// What is wrong with it as a whole: the key below `mapping`, and the problem.
    #[must_use]
    pub fn validate(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let listed: Vec<_> = self.types().into_iter().filter(|(_, types, _)| types.is_set).collect();
        for (n, (key, types, meaning)) in listed.iter().enumerate() {
            if types.values.iter().any(|value| value.trim().is_empty()) {
                problems.push((*key, "a type value is blank".to_owned()));
            }
            let allows_prefixes = matches!(meaning, Meaning::Notice | Meaning::Ignore);
            if let Some(value) = types.values.iter().find(|value| value.ends_with('*') && !allows_prefixes) {
                problems.push((*key, format!("`{value}`: only under `notice` and `ignore` may a type end with `*`")));
            }
            for (earlier, others, _) in listed.iter().take(n).filter(|(_, _, means)| means != meaning) {
                for both in types.values.iter().filter(|value| others.has(value)) {
                    problems.push((
                        *key,
                        format!("`{both}` is named under `{earlier}` already; a type can mean only one thing"),
                    ));
                }
            }
        }
        let speaks = [Meaning::Hire, Meaning::Update, Meaning::Leave, Meaning::Notice, Meaning::Deleted]
            .into_iter()
            .any(|meaning| self.can_mean(meaning));
        let mut when = |wrong: bool, key: &'static str, problem: &str| {
            if wrong {
                problems.push((key, problem.to_owned()));
            }
        };
        when(
            !speaks,
            "hire",
            "no type is assigned to a kind of event, so every delivery would be ignored: name some types, or set `assume`",
        );
        when(
            self.kind.is_empty() && self.assume.is_none() && self.kinds.is_empty(),
            "type",
            "without a path to the type, set `assume` to \"hire\", \"update\", \"leave\" or \"notice\"",
        );
        when(self.employee_id.is_empty(), "employee_id", "needs at least one path");
        // A record that is a plain id cannot mean a hire: it has no address.
        let is_of_ids = self.employee_id.has_whole_record();
        when(is_of_ids && self.can_mean(Meaning::Hire), "employee_id", WHOLE);
        when(!is_of_ids && self.kind.has_whole_record(), "type", WHOLE);
        when(!is_of_ids && self.email.has_whole_record(), "email", WHOLE);
        when(!is_of_ids && self.given_name.has_whole_record(), "given_name", WHOLE);
        when(!is_of_ids && self.family_name.has_whole_record(), "family_name", WHOLE);
        when(
            self.records.plain_names().is_none(),
            "records",
            "must be a plain path: the mapping's `only_if` chooses among the records",
        );
        when(
            !self.status.is_empty() && self.active_values.is_empty() && self.left_values.is_empty(),
            "status",
            "says nothing without `active_values` and `left_values`",
        );
        when(
            self.address_domains.iter().any(|domain| domain.is_empty() || domain.contains(['@', ' ', '/'])),
            "address_domains",
            "needs domains such as \"example.com\"",
        );
        when(
            self.facts.iter().any(|(name, lookups)| name.is_empty() || name.len() > 50 || lookups.is_empty()),
            "facts",
            "needs names of 1 to 50 characters, each with at least one path",
        );
        when(self.lead_days > 365, "lead_days", "must be at most 365");
        problems.extend(bounds::exceeded(self));
        problems
    }
}

/// Why the path `""` is refused.
const WHOLE: &str = "the path `\"\"` is the whole record, and a record with fields is not text: is an environment variable for this key set but empty?";

/// A field of the default payload: in the envelope's `data`, or in a flat record.
fn field_paths<const N: usize>(names: [&str; N]) -> Lookups {
    let enveloped = names.iter().map(|name| Path::names(&["data", name]));
    enveloped.chain(names.iter().map(|name| Path::names(&[name]))).collect()
}

/// A field next to the data: in the record, or in the envelope around many.
fn envelope_paths(name: &str) -> Lookups {
    [Path::names(&[name]), Path::names(&[name]).of_whole_body()].into_iter().collect()
}

#[cfg(test)]
mod address_tests;
#[cfg(test)]
mod any_tests;
#[cfg(test)]
mod body_tests;
#[cfg(test)]
mod kind_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod time_tests;
