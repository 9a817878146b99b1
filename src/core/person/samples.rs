//! A person for tests.

use super::{Document, Email, EmploymentState, Event, EventKind, Facts, KnownMember, Name, Person, SourceName, Stated};
use crate::core::time::UnixMs;

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

/// Ada's document after that update.
pub(crate) fn ada(id: &str, address: Option<&str>, family: &str, state: EmploymentState) -> Document {
    let event = update_of_ada(id, address, family, state);
    let mut document = Document::new(event.person.clone());
    document.record.fold(&event, UnixMs(1_000), 1);
    document
}

/// A member under Ada's address, as a look-up has shown them.
pub(crate) fn member(id: &str, active: Option<bool>) -> KnownMember {
    KnownMember {
        id: Some(id.to_owned()),
        user_name: "ada@example.com".to_owned(),
        given_name: None,
        family_name: None,
        active,
        seen_at: UnixMs(1),
        created_at: None,
        is_unshown: false,
        user_name_written_at: None,
        address_hashes_before: Vec::new(),
        names_written_at: None,
        name_hashes_before: Vec::new(),
        active_written_at: None,
        open_writes: Vec::new(),
    }
}
