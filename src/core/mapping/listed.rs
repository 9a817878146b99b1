//! The records of a list, or of what was read about one person: each with what is wrong with it.

use super::Mapping;
use super::facts::Reader;
use super::path::Place;
use super::read::{AnnouncedEvents, Fate, fate, records, with_json};
use super::record::{IgnoredWhy, MapError};
use crate::core::json::Json;
use crate::core::person::{Email, Event, InvalidField, Person, PersonId, SourceName};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Who it is about, if it says.
    pub person: Option<Person>,
    /// What it says.
    pub says: Says,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// It states something about a person.
    Event {
        /// The event.
        event: Box<Event>,
        /// What is announced beside it.
        announced: Box<AnnouncedEvents>,
        /// Fields that cannot be used.
        dropped: Vec<InvalidField>,
    },
    /// The mapping excludes the person: by a condition, their scope or their type. Their address, if it can be used.
    LeftOut(Option<Email>),
    /// Nothing that the mapping follows.
    Nothing,
    /// It cannot be used: fields and shapes, never values.
    Bad(String),
}

/// Reads the records of a page. `is_list`: they must be in an array.
///
/// # Errors
/// What the page is instead; no values.
pub fn listed(mapping: &Mapping, source: &SourceName, page: &str, is_list: bool) -> Result<Vec<Listed>, String> {
    let detail = |error: MapError| error.detail;
    with_json(mapping, page, |read| {
        let (root, _) = read.map_err(detail)?;
        let found = mapping.records.find(Place { root, record: root, key: None });
        if is_list && !matches!(found, Some(Json::List(_))) {
            let found = found.map_or("nothing", Json::type_word);
            return Err(format!("people `{}`: expected an array, found {found}", mapping.records.as_str()));
        }
        let places = records(mapping, root, usize::MAX).map_err(detail)?;
        Ok(places.into_iter().map(|place| one(mapping, source, place)).collect())
    })
}

/// The person that each record of a page is about, if it says.
#[must_use]
pub fn named(mapping: &Mapping, source: &SourceName, page: &Json<'_>) -> Vec<Option<PersonId>> {
    let places = records(mapping, page, usize::MAX).unwrap_or_default();
    let person = |place| Reader::new(mapping, place).person(source).ok();
    places.into_iter().map(|place| person(place).map(|person| person.id())).collect()
}

fn one(mapping: &Mapping, source: &SourceName, place: Place<'_>) -> Listed {
    let person = Reader::new(mapping, place).person(source).ok();
    let says = match fate(mapping, source, place) {
        Fate::Event { event, dropped, announced, .. } => {
            Says::Event { event: Box::new(event), announced: Box::new(announced), dropped }
        }
        // For example a status that the mapping does not list, and nothing else.
        Fate::Ignored(ignored) => match ignored.dropped.first() {
            Some(problem) => Says::Bad(problem.to_string()),
            None if ignored.why == IgnoredWhy::StatesNothing => Says::Nothing,
            None => Says::LeftOut(Reader::new(mapping, place).email().ok().flatten()),
        },
        Fate::Unmapped(error) => Says::Bad(error.detail),
    };
    Listed { person, says }
}
