//! What a process that is alone on its store does at start with the previous process's unfinished work.

use bytes::Bytes;

use crate::clock;
use crate::core::person::{Document, Entry, Person, Word};
use crate::core::time::UnixMs;
use crate::store::{LaneState, NewEntry, Page, PersonRow, Store, StoreError};

/// People looked at in one step.
const ROWS: usize = 100;

/// Ends the leases of the previous process, which counts against nobody. The people it was working on get an entry
/// that says so: an unrecorded create may have gone out.
///
/// # Errors
/// Those of the store.
pub async fn end_leases(store: &dyn Store, now: UnixMs) -> Result<u64, StoreError> {
    let mut page = Page { rows_max: ROWS, after: None };
    loop {
        let listed = store.lanes(LaneState::Running, &page).await?;
        for person in listed.rows.iter().filter_map(whose) {
            let entry = Entry { accepted_at: now, word: Word::CutOff, trace: None };
            let job = clock::new_job_id(person.id());
            store.put(now, NewEntry { job, person, bytes: Bytes::from(entry.to_bytes()) }).await?;
        }
        match listed.next {
            Some(next) => page.after = Some(next),
            None => return store.end_leases(now).await,
        }
    }
}

/// The person of the row; none if the document cannot be parsed.
fn whose(row: &PersonRow) -> Option<Person> {
    let of_document = row.document.as_deref().and_then(|bytes| Document::from_bytes(bytes).ok());
    let of_inbox = || row.inbox.iter().find_map(|entry| Entry::from_bytes(&entry.bytes)?.person());
    of_document.map(|document| document.person).or_else(of_inbox)
}
