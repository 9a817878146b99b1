//! What an attempt begins with: the person's document, and what their inbox says.

use std::sync::PoisonError;

use tracing::{debug, error, info, warn};

use crate::core::code::Code;
use crate::core::outdated::{self, Outdated};
use crate::core::person::document::Unreadable;
use crate::core::person::fold::{Folding, fold};
use crate::core::person::{Document, Entry, SourceName};
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;
use crate::store::{Claimed, InboxEntry, StoreError, documents};
use crate::worker::Worker;

impl Worker {
    /// Folds what is in the inbox, and notes a read that is due without a notice.
    pub(super) async fn fold_inbox(
        &self,
        document: &mut Document,
        entries: Vec<(u64, Entry)>,
        now: UnixMs,
    ) -> Result<Folding, StoreError> {
        let folding = fold(document, entries, now);
        document.heed_scope(!self.options.plan.unscoped.contains(&document.person.source), now);
        self.owe_status(document, now);
        report(&folding);
        self.note_outdated(&document.person.source, &folding, now).await;
        // Before the commit: a worker that dies in between finds them answered once more.
        for letter in &folding.answered {
            if self.store.discard_unmapped(*letter).await? {
                info!(%letter, "a later event answers this dead letter");
            }
        }
        Ok(folding)
    }

    /// Counts outdated events, so that a source that sends nothing else is reported. A failure to count fails nothing.
    async fn note_outdated(&self, source: &SourceName, folding: &Folding, now: UnixMs) {
        let (news, outdated) = (folding.told_news, folding.outdated);
        if news == 0 && outdated == 0 {
            return;
        }
        let say = {
            let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
            streaks.entry(source.clone()).or_default().note(news, outdated, now)
        };
        let Some(say) = say else { return };
        let take_in = |all: &mut Outdated| all.take_in(source.as_str(), say).then_some(());
        if let Err(error) = documents::change(self.store.as_ref(), outdated::DOCUMENT, take_in).await {
            debug!(%error, %source, "what was counted of a source could not be written");
        }
    }
}

pub(in crate::worker) fn read_inbox(inbox: &[InboxEntry]) -> Vec<(u64, Entry)> {
    let read = |entry: &InboxEntry| {
        let read = Entry::from_bytes(&entry.bytes);
        if read.is_none() {
            error!(seq = entry.seq, bytes = entry.bytes.len(), "an inbox entry cannot be read");
        }
        Some((entry.seq, read?))
    };
    inbox.iter().filter_map(read).collect()
}

/// The document; an empty one for a new person.
pub(in crate::worker) fn read_document(claimed: &Claimed, entries: &[(u64, Entry)]) -> Result<Document, Unreadable> {
    match &claimed.document {
        Some(bytes) => Document::from_bytes(bytes),
        None => entries.iter().find_map(|(_, entry)| entry.person()).map(Document::new).ok_or(Unreadable::Damaged),
    }
}

/// The spans of the deliveries that an attempt handles: of its open jobs, and of its new entries.
pub(super) fn deliveries(document: &Document, entries: &[(u64, Entry)]) -> Vec<TraceContext> {
    let open = document.open.iter().filter_map(|job| job.trace);
    let mut traces: Vec<_> = open.chain(entries.iter().filter_map(|(_, entry)| entry.trace)).collect();
    // One delivery may hold several events of a person.
    traces.dedup();
    traces
}

fn report(folding: &Folding) {
    for (job, event) in &folding.strangers {
        error!(%job, person = %event.person, code = %Code::JobCollision, "an event of another person with the same number: refused");
    }
    if folding.ahead > 0 {
        warn!(events = folding.ahead, "event times are more than an hour in the future: the time of acceptance counts");
    }
}
