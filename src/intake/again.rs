//! What is sent again and is news all the same: a delivery that could not be used the first time, or that an operator
//! discarded.

use crate::core::person::job::{Finished, JobId};
use crate::core::person::story::{Note, StoryEntry};
use crate::core::person::{Document, EmploymentState, Event, EventKind, InvalidField, PersonId};
use crate::core::time::UnixMs;
use crate::store::{Accepted, NewDelivery, Store, StoreError};

/// Fields without which a member stays out of sync.
const NEEDED: [&str; 7] = ["email", "given_name", "family_name", "status", "effective_at", "starts_at", "ends_at"];

/// Whether the mapping found all that is needed of an event. Somebody who is employed and has no address cannot be in the
/// team: the mapping may look for it in the wrong place.
pub(super) fn is_understood(event: &Event, dropped: &[InvalidField]) -> bool {
    let is_employed = event.kind == EventKind::Hire
        || matches!(event.facts.employment, Some((EmploymentState::Employed, _))) && event.kind != EventKind::Notice;
    (!is_employed || event.facts.email.is_some()) && !dropped.iter().any(|problem| NEEDED.contains(&problem.field))
}

/// Stores a delivery. If it is known, what an operator discarded of it is stored again: it is HR's next word about a
/// person whom nobody follows. Returns the ids of what is stored, too.
pub(super) async fn accept(
    store: &dyn Store,
    now: UnixMs,
    new: NewDelivery,
) -> Result<(Accepted, Vec<JobId>), StoreError> {
    let ids = |stored: &NewDelivery| stored.ids().collect();
    let all = ids(&new);
    let mut again = NewDelivery { dedupe: None, unmapped: Vec::new(), ..new.clone() };
    let accepted = store.accept(now, new).await?;
    let Accepted::Duplicate { ids: known } = &accepted else { return Ok((accepted, all)) };
    let mut discarded = Vec::new();
    for entry in &again.entries {
        let person = entry.person.id();
        if !discarded.contains(&person) && is_discarded(store, person, known).await? {
            discarded.push(person);
        }
    }
    again.entries.retain(|entry| discarded.contains(&entry.person.id()));
    if again.entries.is_empty() {
        return Ok((accepted, all));
    }
    let stored = ids(&again);
    Ok((store.accept(now, again).await?, stored))
}

/// Whether nobody follows what HR says of this person, since one of these jobs of theirs was discarded, and nothing has come
/// since.
async fn is_discarded(store: &dyn Store, person: PersonId, jobs: &[JobId]) -> Result<bool, StoreError> {
    let Some(row) = store.person(person).await? else { return Ok(false) };
    let document = row.document.and_then(|bytes| Document::from_bytes(&bytes).ok());
    let is_unfollowed = |document: &Document| document.not_followed_since.is_some() && document.record.closed.is_none();
    if !row.inbox.is_empty() || !document.is_some_and(|document| is_unfollowed(&document)) {
        return Ok(false);
    }
    let story = store.story(person).await?.entries;
    Ok(story
        .iter()
        .filter_map(|bytes| StoryEntry::from_bytes(bytes))
        .any(|entry| matches!(entry.note, Note::Ended { job, outcome: Finished::Discarded } if jobs.contains(&job))))
}

#[cfg(test)]
mod tests {
    use EmploymentState::{Employed, Left};
    use EventKind::{Hire, Leave, Update};

    use super::*;
    use crate::core::person::{Email, Facts, Person, SourceName};

    #[test]
    fn who_is_called_employed_without_an_address_was_not_understood() {
        let event = |kind, state: Option<EmploymentState>, email: Option<&str>| Event {
            person: Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap(),
            kind,
            at: None,
            facts: Facts {
                employment: state.map(|state| (state, None)),
                email: email.map(|email| Email::parse(email).unwrap()),
                ..Facts::default()
            },
        };
        for (kind, state) in [(Hire, None), (Hire, Some(Employed)), (Update, Some(Employed))] {
            assert!(!is_understood(&event(kind, state, None), &[]), "{kind:?} {state:?}");
            assert!(is_understood(&event(kind, state, Some("ada@example.com")), &[]), "{kind:?} {state:?}");
        }
        for (kind, state) in [(Update, None), (Update, Some(Left)), (Leave, Some(Left))] {
            assert!(is_understood(&event(kind, state, None), &[]), "{kind:?} {state:?}");
        }
    }
}
