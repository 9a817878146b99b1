//! From a delivery's body to records: events, records to ignore, and records to keep as dead
//! letters.

use std::borrow::Cow;
use std::cell::Cell;

use bytes::Bytes;

use super::condition::all_and_none;
use super::facts::{Announced, Reader, Stating};
use super::kept::Kept;
use super::lookup::Lookups;
use super::path::Place;
use super::record::{Ignored, IgnoredWhy, MapError, Record, unmapped};
use super::{BodyFormat, Mapping, Meaning, OutOfScope};
use crate::core::code::Code;
use crate::core::delivery::{Delivery, Verified};
use crate::core::json::{self, Charset, Json};
use crate::core::person::{EmploymentState, Event, EventKind, Facts, InvalidField, Person, Scope, SourceName};

/// The most records accepted from one delivery: they are stored in one atomic step, which must stay short.
pub const RECORDS_MAX: usize = 10_000;
/// Characters of a type that are shown: enough to distinguish it from others.
const TYPE_CHARS_MAX: usize = 80;

/// The result for one record, before it is known what must be kept.
#[expect(clippy::large_enum_variant, reason = "most are events, and none is kept")]
pub(super) enum Fate {
    Event { event: Event, dropped: Vec<InvalidField>, announced: AnnouncedEvents, is_zoneless: bool },
    Ignored(Ignored),
    Unmapped(MapError),
}

/// What one record announces beside the present employment: events of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnouncedEvents {
    /// Its end.
    pub end: Option<Event>,
    /// The next employment, after that end.
    pub again: Option<Event>,
}

/// Maps a delivery: its records in order, none for an empty batch.
///
/// A batch of more than [`RECORDS_MAX`] records is kept whole, as one unmapped record.
#[must_use]
pub fn map(mapping: &Mapping, source: &SourceName, delivery: &Verified<Delivery>) -> Vec<Record> {
    let delivery = delivery.get();
    // An unknown charset is refused before the signature is checked.
    let charset = Charset::of(delivery.content_type()).unwrap_or_else(|_| Charset::utf8());
    read(mapping, source, &delivery.body, charset, RECORDS_MAX)
}

/// Maps the kept payload of an unmapped record again. Takes any number of records: an operator has
/// looked at it and asked for it.
#[must_use]
pub fn remap(mapping: &Mapping, source: &SourceName, payload: &Bytes) -> Vec<Record> {
    read(mapping, source, payload, Charset::utf8(), usize::MAX)
}

/// Parses a body as JSON; if that fails, once more with its damaged strings repaired, and then with oversized
/// values bounded: neither may cost the other records. The texts must outlive the value, so it is passed to a closure,
/// with the text to keep.
pub(super) fn with_json<R>(
    mapping: &Mapping,
    text: &str,
    then: impl FnOnce(Result<(&Json<'_>, &str), MapError>) -> R,
) -> R {
    let begins_as_json = text.trim_start().starts_with(['{', '[', '"']);
    if mapping.body == BodyFormat::Form && !begins_as_json {
        return then(Ok((&json::form(text), text)));
    }
    let error = match Json::parse(text) {
        Ok(root) => return then(Ok((&root, text))),
        Err(error) => error,
    };
    let mended = json::mended(text);
    if let Some(mended) = &mended
        && let Ok(root) = Json::parse(mended)
    {
        return then(Ok((&root, mended)));
    }
    let readable = mended.as_deref().unwrap_or(text);
    if let Some(bounded) = json::bounded(readable)
        && let Ok(root) = Json::parse(&bounded)
    {
        return then(Ok((&root, readable)));
    }
    // These messages name a syntax error and its place, and contain no values.
    let detail = if text.trim().is_empty() { "the body is empty".to_owned() } else { error.to_string() };
    then(Err(MapError::of_whole(Code::MapNotJson, detail)))
}

/// The records of a body, each with its name there.
pub(super) fn records<'v>(
    mapping: &Mapping,
    root: &'v Json<'v>,
    records_max: usize,
) -> Result<Vec<Place<'v>>, MapError> {
    let path = mapping.records.as_str();
    let place = |record: &'v Json<'v>| Place { root, record, key: None };
    let error = |detail: String| Err(MapError::of_whole(Code::MapShape, detail));
    // A delivery that is not followed may have any shape: it is recognised by the body's own type.
    let shape = |detail: String| match not_followed(mapping, place(root)) {
        Some(_) => Ok(vec![place(root)]),
        None => error(detail),
    };
    let too_many = |count: usize| {
        (count > records_max)
            .then(|| format!("{count} records, at most {records_max} in a delivery; replay takes them all"))
    };
    match mapping.records.find(place(root)) {
        Some(Json::List(items)) => match too_many(items.len()) {
            Some(detail) => error(detail),
            None => Ok(items.iter().map(place).collect()),
        },
        Some(Json::Object(members)) if mapping.records_by_key => match too_many(members.len()) {
            Some(detail) => error(detail),
            None => Ok(members.iter().map(|(_, record)| place(record)).collect()),
        },
        Some(single @ Json::Object(_)) => Ok(vec![place(single)]),
        Some(other) => shape(format!("records `{path}`: expected an object or an array, found {}", other.type_word())),
        None => shape(format!("records `{path}`: nothing is there; the body is an {}", root.type_word())),
    }
}

/// The names of the records, if they are an object's members.
pub(super) fn keys<'v>(mapping: &Mapping, root: &'v Json<'v>) -> Vec<Json<'v>> {
    match mapping.records.find(Place { root, record: root, key: None }) {
        Some(Json::Object(members)) if mapping.records_by_key => {
            members.iter().map(|(name, _)| Json::Text(Cow::Borrowed(&**name))).collect()
        }
        Some(_) | None => Vec::new(),
    }
}

/// Reads one record.
pub(super) fn fate(mapping: &Mapping, source: &SourceName, place: Place<'_>) -> Fate {
    if !matches!(place.record, Json::Object(_)) {
        let detail = format!("expected an object, found {}", place.record.type_word());
        let error = MapError::of_whole(Code::MapShape, detail);
        return not_followed(mapping, place).map_or(Fate::Unmapped(error), Fate::Ignored);
    }
    let reader = Reader::new(mapping, place);
    let ignored = |why| Fate::Ignored(Ignored { why, type_value: type_of(&reader), dropped: Vec::new() });
    // A failing filter might have excluded the record, so it is not let in: it waits until the filter is corrected.
    match all_and_none(&mapping.only_if, &mapping.except_if, place) {
        Ok(true) => {}
        Ok(false) => return ignored(IgnoredWhy::Condition),
        Err(problem) => return bad(mapping, None, None, &[problem.of("only_if")]),
    }
    let meaning = match reader.meaning() {
        Ok(Some(meaning)) => meaning,
        Ok(None) => return ignored(IgnoredWhy::NotNamed),
        Err(problem) => return bad(mapping, None, None, &[problem]),
    };
    let Some(kind) = meaning.kind() else { return ignored(IgnoredWhy::Listed) };
    let kind = if reads_instead(mapping, kind, place) { EventKind::Notice } else { kind };
    let person = match reader.person(source) {
        Ok(person) => person,
        Err(problem) => return bad(mapping, Some(kind), None, &[problem]),
    };
    // Without the data there is no judgement: a record without a department moves nobody out of scope.
    let in_scope: Result<Vec<_>, _> = mapping.in_scope_if.iter().map(|condition| condition.judge(place)).collect();
    let scope = match in_scope {
        Ok(judged) if judged.contains(&Some(false)) => Some(Scope::Out),
        Ok(judged) if judged.is_empty() || judged.contains(&None) => None,
        Ok(_) => Some(Scope::In),
        Err(problem) => return bad(mapping, Some(kind), Some(person), &[problem.of("in_scope_if")]),
    };
    // People who were in scope stay until they leave: the other records of people out of scope are ignored.
    let is_left_out = mapping.out_of_scope == OutOfScope::Ignore && scope == Some(Scope::Out);
    let scope = scope.filter(|_| mapping.out_of_scope == OutOfScope::Leave);
    let Stating { mut facts, announced, at, is_zoneless, dropped } = match reader.state(kind, scope) {
        Ok(stating) => stating,
        Err(problem) => return bad(mapping, Some(kind), Some(person), &[problem]),
    };
    if meaning == Meaning::Deleted && kind == EventKind::Notice {
        facts.employment = Some((EmploymentState::Left, None));
    }
    if is_left_out {
        return match leave_alone(&facts) {
            Some(facts) => {
                let event = Event { person, kind, at, facts };
                Fate::Event { event, dropped: Vec::new(), announced: AnnouncedEvents::default(), is_zoneless }
            }
            None => Fate::Ignored(Ignored {
                why: IgnoredWhy::OutOfScope,
                type_value: type_of(&Reader::new(mapping, place)),
                dropped: Vec::new(),
            }),
        };
    }
    if facts.is_empty() && kind != EventKind::Notice {
        let lost: Vec<_> = dropped.iter().filter(|problem| is_kept(mapping, problem)).cloned().collect();
        if lost.is_empty() {
            let type_value = type_of(&Reader::new(mapping, place));
            return Fate::Ignored(Ignored { why: IgnoredWhy::StatesNothing, type_value, dropped });
        }
        return bad(mapping, Some(kind), Some(person), &lost);
    }
    let Announced { ends_at, again_from, if_ahead: beside_end } = announced;
    let beside = |kind, state, from| Event {
        person: person.clone(),
        kind,
        at,
        facts: Facts {
            day_ends: facts.day_ends,
            employment: Some((state, Some(from))),
            beside_end,
            ..Facts::default()
        },
    };
    let announced = AnnouncedEvents {
        end: ends_at.map(|end| beside(EventKind::Leave, EmploymentState::Left, end)),
        again: again_from.map(|from| beside(EventKind::Hire, EmploymentState::Employed, from)),
    };
    // A person out of scope leaves, whatever else the record says.
    let kind = if scope == Some(Scope::Out) { EventKind::Leave } else { kind };
    Fate::Event { event: Event { person, kind, at, facts }, dropped, announced, is_zoneless }
}

/// Whether the person is read instead of taking the record at its word.
fn reads_instead(mapping: &Mapping, kind: EventKind, place: Place<'_>) -> bool {
    let is_word = matches!(kind, EventKind::Hire | EventKind::Update);
    mapping.reads_untimed && is_word && Reader::new(mapping, place).occurred_at().is_none()
}

/// The leave in a record of somebody out of scope. None if it does not state one. No address is followed: under it,
/// somebody may have been invited by hand.
fn leave_alone(facts: &Facts) -> Option<Facts> {
    let employment = facts.employment.filter(|(state, _)| *state == EmploymentState::Left)?;
    let Facts { day_ends, is_status, .. } = *facts;
    Some(Facts { day_ends, employment: Some(employment), is_status, asks_nothing: true, ..Facts::default() })
}

/// Why a delivery without records, or with something else in their place, does no harm: its type is not followed, so
/// its shape does not matter.
pub(super) fn not_followed(mapping: &Mapping, place: Place<'_>) -> Option<Ignored> {
    let reader = Reader::new(mapping, place);
    let type_value = type_of(&reader)?;
    let why = match reader.meaning().ok()? {
        Some(Meaning::Ignore) => IgnoredWhy::Listed,
        None => IgnoredWhy::NotNamed,
        Some(Meaning::Hire | Meaning::Update | Meaning::Leave | Meaning::Notice | Meaning::Deleted) => return None,
    };
    Some(Ignored { why, type_value: Some(type_value), dropped: Vec::new() })
}

/// Whether a record is kept as a dead letter for a field that cannot be used: without that field, a member would stay
/// out of sync. A private address is left out on purpose, and what is wrong with all records of a source is reported
/// once.
fn is_kept(mapping: &Mapping, problem: &InvalidField) -> bool {
    if problem.field == "status" {
        return mapping.keeps_status;
    }
    matches!(problem.field, "email" | "given_name" | "family_name" | "effective_at" | "ends_at" | "starts_at")
        && problem.problem != crate::core::person::Problem::OtherDomain
}

fn bad(mapping: &Mapping, kind: Option<EventKind>, person: Option<Person>, problems: &[InvalidField]) -> Fate {
    Fate::Unmapped(MapError { kind, ..error_of(mapping, person, problems, "") })
}

fn error_of(mapping: &Mapping, person: Option<Person>, problems: &[InvalidField], note: &str) -> MapError {
    let details = problems.iter().map(|problem| with_paths(mapping, problem));
    let details: Vec<String> = details.chain((!note.is_empty()).then(|| note.to_owned())).collect();
    let fields = problems.iter().map(|problem| problem.field).collect();
    MapError { person, code: Code::MapField, detail: details.join("; "), fields, kind: None, is_beside_event: false }
}

/// The type, cut short and without control characters.
fn type_of(reader: &Reader<'_, '_>) -> Option<String> {
    let text = reader.type_value().ok().flatten()?;
    Some(text.chars().filter(|c| !c.is_control()).take(TYPE_CHARS_MAX).collect())
}

fn read(mapping: &Mapping, source: &SourceName, body: &Bytes, charset: Charset, records_max: usize) -> Vec<Record> {
    let Some(text) = charset.decode(body) else {
        return read_with_loss(mapping, source, body, &charset.decode_with_loss(body), records_max);
    };
    let whole = match &text {
        Cow::Borrowed(_) => body.clone(),
        Cow::Owned(text) => Bytes::copy_from_slice(text.as_bytes()),
    };
    with_json(mapping, &text, |read| match read {
        Ok((root, text)) => match records(mapping, root, records_max) {
            Ok(places) => read_records(mapping, source, root, &whole, text, places, |_| false),
            Err(error) => vec![unmapped(error, whole.clone())],
        },
        Err(error) => vec![unmapped(error, whole.clone())],
    })
}

/// Reads the records of a batch that are in its charset. The others are kept with the whole body as it came: a replay
/// finds nothing new in the rest.
fn read_with_loss(mapping: &Mapping, source: &SourceName, body: &Bytes, text: &str, records_max: usize) -> Vec<Record> {
    let kept = |what: String| {
        let detail = format!("{what} not in the declared charset of the body (UTF-8 if none is declared)");
        let error = MapError::of_whole(Code::MapNotJson, detail);
        unmapped(error, body.clone())
    };
    with_json(mapping, text, |read| {
        let found = read.ok().and_then(|(root, text)| Some((root, text, records(mapping, root, records_max).ok()?)));
        let Some((root, text, places)) = found else { return vec![kept("it is".to_owned())] };
        let (count, lost) = (places.len(), Cell::new(0));
        let is_left_out = |place: &Place<'_>| {
            let is_lossy = place.record.has_lost_characters() || place.key.is_some_and(Json::has_lost_characters);
            lost.set(lost.get() + usize::from(is_lossy));
            is_lossy
        };
        let mut read = read_records(mapping, source, root, body, text, places, is_left_out);
        match lost.get() {
            // The part that they share may be damaged.
            0 => vec![kept("it is".to_owned())],
            lost if lost == count => vec![kept("it is".to_owned())],
            lost => {
                read.push(kept(format!("{lost} of {count} records are")));
                read
            }
        }
    })
}

/// Reads records, except those that are left out.
fn read_records(
    mapping: &Mapping,
    source: &SourceName,
    root: &Json<'_>,
    whole: &Bytes,
    text: &str,
    places: Vec<Place<'_>>,
    is_left_out: impl Fn(&Place<'_>) -> bool,
) -> Vec<Record> {
    let keys = keys(mapping, root);
    let count = places.len();
    let mut kept: Option<Kept<'_>> = None;
    let mut read = Vec::with_capacity(count);
    for (n, place) in places.into_iter().enumerate() {
        let place = Place { key: keys.get(n), ..place };
        if is_left_out(&place) {
            continue;
        }
        match fate(mapping, source, place) {
            Fate::Event { event, dropped, announced, is_zoneless } => {
                let lost: Vec<_> = dropped.iter().filter(|problem| is_kept(mapping, problem)).cloned().collect();
                let (person, kind) = (event.person.clone(), Some(event.kind));
                read.push(Record::Event { event, dropped, is_zoneless });
                let announced = announced.end.into_iter().chain(announced.again);
                read.extend(announced.map(|event| Record::Event { event, dropped: Vec::new(), is_zoneless }));
                if !lost.is_empty() {
                    let kept = kept.get_or_insert_with(|| Kept::of(mapping, whole.clone(), text, count));
                    let error = error_of(mapping, Some(person), &lost, "the rest of it is in effect");
                    read.extend(kept.keep(n, count, MapError { kind, is_beside_event: true, ..error }));
                }
            }
            Fate::Ignored(ignored) => read.push(Record::Ignored(ignored)),
            Fate::Unmapped(error) => {
                let kept = kept.get_or_insert_with(|| Kept::of(mapping, whole.clone(), text, count));
                read.extend(kept.keep(n, count, error));
            }
        }
    }
    read.extend(kept.and_then(Kept::rest));
    read
}

/// A field's problem with the paths that were looked at.
fn with_paths(mapping: &Mapping, problem: &InvalidField) -> String {
    lookups_of(mapping, problem.field)
        .map_or_else(|| problem.to_string(), |lookups| format!("{problem} (looked at {lookups})"))
}

/// Where a field is looked for.
fn lookups_of<'m>(mapping: &'m Mapping, field: &str) -> Option<&'m Lookups> {
    let found = fields(mapping).into_iter().find(|(name, _)| *name == field);
    found.map(|(_, lookups)| lookups).filter(|lookups| !lookups.is_empty())
}

/// Every field with where it is looked for, in the order of the keys.
pub(super) fn fields(mapping: &Mapping) -> [(&'static str, &Lookups); 12] {
    [
        ("type", &mapping.kind),
        ("employee_id", &mapping.employee_id),
        ("email", &mapping.email),
        ("given_name", &mapping.given_name),
        ("preferred_given_name", &mapping.preferred_given_name),
        ("family_name", &mapping.family_name),
        ("locale", &mapping.locale),
        ("status", &mapping.status),
        ("occurred_at", &mapping.occurred_at),
        ("effective_at", &mapping.effective_at),
        ("ends_at", &mapping.ends_at),
        ("starts_at", &mapping.starts_at),
    ]
}
