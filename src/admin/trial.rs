//! "What would this payload do?": mapped, folded into the records as they stand, and planned, with nothing
//! written and no call that changes anything.

use bytes::Bytes;

use super::error::AdminError;
use super::live::{Has, LiveLook};
use super::people::PersonView;
use super::service::AdminState;
use crate::clock;
use crate::core::mapping::{Explanation, RecordResult, Show};
use crate::core::person::fold::fold;
use crate::core::person::story::Note;
use crate::core::person::{Document, Entry, Event, Person, SourceName, Word};
use crate::core::reconcile::owner::{Owner, address_key, id_key};
use crate::core::reconcile::preview::{Claims, Preview, as_listed, preview};
use crate::core::reconcile::request::Request;
use crate::scim::wire;

/// People of a payload for whom calls are planned.
const PEOPLE_MAX: usize = 20;
/// People of a payload for whom the target is asked: each costs some calls of the limit that workers share.
const LIVE_PEOPLE_MAX: usize = 3;

/// What to try.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The source whose mapping is used.
    pub source: SourceName,
    /// The payload.
    pub payload: Bytes,
    /// Whether values are shown.
    pub values: bool,
    /// Whether the target is asked for the first few members as they are.
    pub live: bool,
}

/// What a payload would do.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Record by record, field by field.
    pub mapping: Explanation,
    /// Person by person.
    pub people: Vec<PersonTried>,
    /// People beyond those, for whom nothing was planned.
    pub left_out: usize,
}

/// What it would do for one person.
#[derive(Debug, Clone)]
pub struct PersonTried {
    /// The person.
    pub person: Person,
    /// Whether the bridge has heard of them before.
    pub is_known: bool,
    /// Their record, as it would be.
    pub document: Document,
    /// The facts that would be news.
    pub news: Vec<String>,
    /// What the target has, if it was asked: for the first few people.
    pub live: Option<LiveLook>,
    /// What would be called if all goes well, in order.
    pub calls: Vec<CallTried>,
    /// What would be done.
    pub preview: Preview,
}

/// A call that would be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTried {
    /// Method and path.
    pub line: String,
    /// The body.
    pub body: Option<String>,
}

impl AdminState {
    /// Tries a payload.
    pub async fn try_payload(&self, trial: &Trial) -> Result<Tried, AdminError> {
        let show = Show { values: trial.values };
        let mapping = (self.explain)(&trial.source, &trial.payload, show)
            .ok_or_else(|| AdminError::BadRequest("source: not one that is configured".to_owned()))?;
        let mut events: Vec<(Person, Vec<Event>)> = Vec::new();
        for record in &mapping.records {
            let RecordResult::Event { event, end, again } = &record.result else { continue };
            let of_person = [Some(event), end.as_ref(), again.as_ref()].into_iter().flatten().cloned();
            match events.iter_mut().find(|(person, _)| *person == event.person) {
                Some((_, known)) => known.extend(of_person),
                None => events.push((event.person.clone(), of_person.collect())),
            }
        }
        let left_out = events.len().saturating_sub(PEOPLE_MAX);
        events.truncate(PEOPLE_MAX);
        let mut people = Vec::new();
        for (n, (person, events)) in events.into_iter().enumerate() {
            people.push(self.try_person(person, events, trial.live && n < LIVE_PEOPLE_MAX).await?);
        }
        Ok(Tried { mapping, people, left_out })
    }

    async fn try_person(&self, person: Person, events: Vec<Event>, is_live: bool) -> Result<PersonTried, AdminError> {
        let now = self.now();
        let row = self.store.person(person.id()).await?;
        let is_known = row.is_some();
        let (mut document, inbox) = match row.and_then(PersonView::of) {
            Some(PersonView { document, row, .. }) => (document, row.inbox),
            None => (None, Vec::new()),
        };
        let mut document = document.take().unwrap_or_else(|| Document::new(person.clone()));
        let waiting = inbox.iter().filter_map(|entry| Some((entry.seq, Entry::from_bytes(&entry.bytes)?)));
        fold(&mut document, waiting.collect(), now);
        let tried = events.into_iter().map(|event| {
            let word = Word::Event { job: clock::new_job_id(person.id()), event: Box::new(event), letter: None };
            // After all that came before.
            (u64::MAX >> 1, Entry { accepted_at: now, word, trace: None })
        });
        let folding = fold(&mut document, tried.collect(), now);
        let mut news = Vec::new();
        for entry in folding.story {
            if let Note::Received { news: of_event, .. } = entry.note {
                news.extend(of_event);
            }
        }
        news.sort_unstable();
        news.dedup();
        let live = if is_live { Some(self.look_live(&document).await?) } else { None };
        let listed = match live.as_ref().map(|look| &look.has) {
            Some(Has::Member(member)) => Some((**member).clone()),
            Some(Has::Nobody) => None,
            Some(Has::Several | Has::Unknown) | None => document.member.as_ref().map(as_listed),
        };
        let mut claims = self.claims(&document, listed.as_ref().map(|member| member.id.as_str())).await?;
        let preview = preview(document.clone(), listed.as_slice(), &mut claims, &self.live.rules, now);
        let calls = preview.requests.iter().map(|request| self.shown(request)).collect();
        Ok(PersonTried { person, is_known, document, news, live, calls, preview })
    }

    /// Who owns what this person would claim.
    async fn claims(&self, document: &Document, member: Option<&str>) -> Result<Claims, AdminError> {
        let address = document.record.email().map(|email| address_key(email.as_received()));
        let mut claims = Claims::new();
        for key in address.into_iter().chain(member.filter(|id| !id.is_empty()).map(id_key)) {
            let Some(owner) = self.store.owner(&key).await? else { continue };
            let theirs = self.store.person(owner).await?.and_then(PersonView::of).and_then(|view| view.document);
            if let Some(theirs) = theirs {
                claims.insert(key.clone(), Owner::of(&theirs, &key, self.now()));
            }
        }
        Ok(claims)
    }

    fn shown(&self, request: &Request) -> CallTried {
        let wire = wire::encode(request, &self.live.rules.locale);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let pretty = |text: String| match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(json) => serde_json::to_string_pretty(&json).unwrap_or(text),
            Err(_) => text,
        };
        CallTried { line: format!("{} {}", wire.method, wire.target), body: wire.body.map(text).map(pretty) }
    }
}
