//! A person for tests.

use super::{Document, Email, EmploymentState, Event, EventKind, Facts, Name, Person, SourceName, Stated};

/// HR's update about Ada, who is known by `id` and, if one is given, an address.
pub(crate) fn update_of_ada(id: &str, address: Option<&str>, family: &str, state: EmploymentState) -> Event {
    let person = Person::parse(SourceName::parse("hr").unwrap(), id).unwrap();
    let name = |raw: &str| Name::parse("name", raw).unwrap().map(Stated::Is);
    let facts = Facts {
        employment: Some((state, None)),
        email: address.map(|address| Email::parse(address).unwrap()),
        given_name: name("Ada"),
        family_name: name(family),
        ..Facts::default()
    };
    Event { person, kind: EventKind::Update, at: None, facts }
}

/// Ada's document after such an update.
pub(crate) fn ada(id: &str, address: Option<&str>, family: &str, state: EmploymentState) -> Document {
    let event = update_of_ada(id, address, family, state);
    let mut document = Document::new(event.person.clone());
    document.record.fold(&event, crate::core::time::UnixMs(1_000), 1);
    document
}
