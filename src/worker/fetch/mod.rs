//! Reads people at HR systems after a notice about them: after the inbox is folded, and before the plan.
//!
//! One read answers every notice that was folded before it began. A person who has to wait (for a turn, for a record
//! to appear, for a hold to be lifted) is given back with a time and takes up no worker slot; what else HR said about
//! them is reconciled meanwhile.

mod ending;
mod served;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{debug, error, info, warn};

use self::ending::lacks_address;
pub(super) use self::ending::{Fetched, ReadWait};
use self::served::Served;
use super::Worker;
use super::lease::{Interrupted, LeaseGuard};
use crate::clock;
use crate::core::code::Code;
use crate::core::fetch::login::{AccessToken, NoToken};
use crate::core::fetch::pace::Pace;
use crate::core::fetch::verdict::{Circumstances, OwedRead, ReadRetry, ReadVerdict, judge};
use crate::core::fetch::{Asked, NextRead, ReadEnd, ReadState};
use crate::core::hold::HoldScope;
use crate::core::mapping::Record;
use crate::core::person::fold::fold_read;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::story::{DETAIL_CHARS_MAX, Note, StoryEntry};
use crate::core::person::{Document, EmploymentState, EmploymentWord, EventKind, Person, Scope, SourceName};
use crate::core::time::UnixMs;
use crate::hr::{self, HrSystem, Logins, TokenDesk};
use crate::store::{Accepted, DeadRow, NewDelivery, NewEntry, NewUnmapped, StoreError, documents};
use crate::telemetry::traces::Span;

/// Simultaneous reads of one source in one process: a slow HR system must not take all of a worker's slots.
const AT_ONCE: usize = 4;
/// How soon to try again if this many reads are in progress.
const CROWDED_MS: u64 = 200;
/// How long a turn stays valid: a read that is delayed for longer asks for another.
const TURN_MS: u64 = 600_000;
/// A refusal may concern one person alone if somebody else was served within this time before it. If it is not the
/// first one, somebody served since the first one counts, too.
const SERVED_LATELY_MS: u64 = 60_000;
/// How long an announced end that is due waits for a read.
const END_WAITS_MS: u64 = 3_600_000;
/// How many entries from a list are stored in one step.
const LISTED_AT_ONCE: usize = 1_000;
/// When to read a list again after the store was full.
const FULL_AGAIN_MS: u64 = 60_000;

/// The HR systems at which a worker reads.
#[derive(Default)]
pub(super) struct Readers(BTreeMap<SourceName, Reader>);

struct Reader {
    system: HrSystem,
    room: Semaphore,
    logins: Logins,
    served: Served,
    /// A person was found at the first path of a step that has a second one.
    first_path_serves: AtomicBool,
}

impl Readers {
    pub(super) fn new(systems: BTreeMap<SourceName, HrSystem>) -> Self {
        let reader = |system| Reader {
            system,
            room: Semaphore::new(AT_ONCE),
            logins: Logins::default(),
            served: Served::default(),
            first_path_serves: AtomicBool::new(false),
        };
        Self(systems.into_iter().map(|(name, system)| (name, reader(system))).collect())
    }

    /// The holds that refusals by these systems cause.
    pub(super) fn scopes(&self) -> impl Iterator<Item = HoldScope> {
        self.0.keys().cloned().map(HoldScope::Fetch)
    }
}

/// Whether a read may begin.
enum Gate<'r> {
    Open(SemaphorePermit<'r>),
    Shut(ReadWait),
}

impl Worker {
    /// Makes the read that a person's notices ask for, or an announced end that is due, if its time has come, and folds the
    /// result into the document; `seq` is the place of the last entry that was folded.
    pub(super) async fn complete(
        &self,
        document: &mut Document,
        seq: u64,
        guard: &mut LeaseGuard<'_>,
        trial_of: Option<&HoldScope>,
        traced: &Span,
    ) -> Result<Fetched, Interrupted> {
        let end_waits_until = self.owe_end(document);
        self.owe_address(document);
        let Some(mut owed) = document.owed_read.clone() else { return Ok(Fetched::default()) };
        let Some(reader) = self.readers.0.get(&document.person.source) else {
            let detail = "a notice came, and the source has no `[source.fetch]`".to_owned();
            return Ok(Fetched::waiting(document, ReadWait::Blocked { code: Code::FetchMissing, detail }));
        };
        let soon = !(owed.removed || leaves(document));
        let gate = self.gate(reader, &document.person.source, &mut owed, trial_of, soon).await?;
        let permit = match gate {
            Gate::Open(permit) => permit,
            Gate::Shut(wait) => {
                document.owed_read = Some(owed);
                return Ok(Fetched { end_waits_until, ..Fetched::waiting(document, wait) });
            }
        };
        let began = Instant::now();
        let began_at = self.clock.now();
        let is_trial = trial_of.is_some_and(|scope| *scope == HoldScope::Fetch(document.person.source.clone()));
        let (end, status) = self.read(reader, &document.person, began_at, guard, (is_trial, traced)).await?;
        drop(permit);
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let fetched = self.conclude_read(document, seq, owed, reader, Finished { end, status, began_at, ms }).await?;
        Ok(Fetched { end_waits_until: end_waits_until.filter(|_| fetched.waits()), ..fetched })
    }

    /// An announced end that comes due is read first: the employment may go on under another contract, or the word that
    /// withdrew it was lost. Returns until when it waits for that, from when it was first owed; then HR's last word counts.
    fn owe_end(&self, document: &mut Document) -> Option<UnixMs> {
        let now = self.clock.now();
        let word = document.record.employment.at(now)?;
        let is_due = word.state == EmploymentState::Left && word.is_announced();
        let is_read = document.read_at.is_some_and(|read| read >= word.from);
        let is_open = document.record.closed.is_none() && document.not_followed_since.is_none();
        if !is_due || is_read || !is_open || document.has_new_word(now) != Some(true) {
            return None;
        }
        self.readers.0.get(&document.person.source).filter(|reader| !reader.system.api().is_list())?;
        if document.owed_read.as_ref().is_none_or(|owed| owed.last_at < word.from) {
            // Somebody who is not there any more has left as announced.
            OwedRead::note(&mut document.owed_read, now, true);
        }
        let since = document.owed_read.as_mut()?.end_waits(word.from, now);
        Some(since.plus_ms(END_WAITS_MS)).filter(|until| now < *until)
    }

    /// Where an end stands although the status said that they work there, the status is read again once it is believed:
    /// they may have been hired again.
    pub(in crate::worker) fn owe_status(&self, document: &mut Document, now: UnixMs) {
        let Some(until) = document.record.end_stands_until().filter(|until| *until <= now) else { return };
        let is_read = document.read_at.is_some_and(|read| read >= until);
        let is_open = document.record.closed.is_none() && document.not_followed_since.is_none();
        let is_owed = document.owed_read.as_ref().is_some_and(|owed| owed.last_at >= until);
        let reads_people = |reader: &Reader| !reader.system.api().is_list();
        if !is_read && !is_owed && is_open && self.readers.0.get(&document.person.source).is_some_and(reads_people) {
            OwedRead::note(&mut document.owed_read, now, false);
        }
    }

    /// A person who leaves, and whose address is not known yet (they were hired before there was a bridge, say), is
    /// read, so that they can be found at the target.
    fn owe_address(&self, document: &mut Document) {
        let reads_people = |reader: &Reader| !reader.system.api().is_list();
        // An announced leave is not read before its time: if the HR system has deleted the record already, they would
        // leave now.
        let now = self.clock.now();
        let asks = |word: &EmploymentWord| word.state == EmploymentState::Left && !word.is_of_row;
        let has_left = document.record.membership(now) == Some(EmploymentState::Left)
            && document.record.employment.at(now).is_none_or(|word| asks(&word));
        if document.owed_read.is_some()
            || !has_left
            || self.options.plan.target.finds_by_external_id
            || !lacks_address(document)
            || !self.readers.0.get(&document.person.source).is_some_and(reads_people)
        {
            return;
        }
        let leave = document.open.iter().filter(|job| job.kind == EventKind::Leave).map(|job| job.accepted_at).max();
        if let Some(accepted_at) = leave {
            OwedRead::note(&mut document.owed_read, accepted_at, false);
        }
    }

    /// Whether the read may begin now: no hold, the notice old enough, a turn, and room. A person who has left is not
    /// read `soon`: an outdated answer would bring them back.
    async fn gate<'r>(
        &self,
        reader: &'r Reader,
        source: &SourceName,
        owed: &mut OwedRead,
        trial_of: Option<&HoldScope>,
        soon: bool,
    ) -> Result<Gate<'r>, StoreError> {
        let scope = HoldScope::Fetch(source.clone());
        if trial_of != Some(&scope) && self.holds.current().get(&scope).is_some() {
            // Our copy may be out of date: the hold may have been lifted.
            self.holds.look().await?;
            if let Some(hold) = self.holds.current().get(&scope) {
                return Ok(Gate::Shut(ReadWait::Held { code: hold.code, not_before: None }));
            }
        }
        let now = self.clock.now();
        let api = reader.system.api();
        let due = owed.due(api.rules().lag_s.saturating_mul(1_000), soon);
        if due > now {
            let code = if owed.tries > 0 { Code::FetchNotFound } else { Code::FetchPaced };
            return Ok(Gate::Shut(ReadWait::Until { at: due, code }));
        }
        let name = Pace::name(source);
        let (pace, _): (Pace, u64) = documents::read(self.store.as_ref(), &name).await?;
        let is_good = |turn: UnixMs| turn >= pace.closed_until && now.ms_since(turn) < TURN_MS;
        let turn = if let Some(turn) = owed.turn.filter(|turn| is_good(*turn)) {
            turn
        } else {
            let (rate, calls) = (api.rules().rate.rate(), api.calls());
            let turn =
                documents::change(self.store.as_ref(), &name, |pace: &mut Pace| Some(pace.turn(rate, calls, now)));
            turn.await?.unwrap_or(now)
        };
        owed.turn = Some(turn);
        // A probe of a hold is one read, however many people wait for a turn.
        let is_trial = trial_of == Some(&scope) && pace.closed_until <= now;
        if turn > now && !is_trial {
            let code = if pace.closed_until > now { Code::FetchRateLimited } else { Code::FetchPaced };
            return Ok(Gate::Shut(ReadWait::Until { at: turn, code }));
        }
        Ok(if let Ok(permit) = reader.room.try_acquire() {
            Gate::Open(permit)
        } else {
            let pause_ms = CROWDED_MS + clock::jittered(CROWDED_MS);
            Gate::Shut(ReadWait::Until { at: now.plus_ms(pause_ms), code: Code::FetchPaced })
        })
    }

    /// Asks and learns until the read ends. Returns how it ended, and the last status.
    async fn read(
        &self,
        reader: &Reader,
        person: &Person,
        began_at: UnixMs,
        guard: &mut LeaseGuard<'_>,
        (is_trial, traced): (bool, &Span),
    ) -> Result<(ReadEnd, Option<u16>), Interrupted> {
        let (system, api) = (&reader.system, reader.system.api());
        let asked = if api.is_list() {
            let since =
                documents::read::<ListedUpTo>(self.store.as_ref(), &ListedUpTo::name(&person.source)).await?.0.at;
            Asked::List { since }
        } else {
            Asked::Person { person: person.clone() }
        };
        let mut state = ReadState::new(person.source.clone(), asked, began_at);
        let mut token = match self.token(reader, &person.source, None, guard).await? {
            Ok(token) => token,
            Err(end) => return Ok((end, None)),
        };
        let mut status = None;
        loop {
            match state.next(api) {
                NextRead::Done(end) => return Ok((end, status)),
                NextRead::Renew => {
                    let refused = token.as_ref().map(|token| token.token.as_str());
                    match self.token(reader, &person.source, refused, guard).await? {
                        Ok(renewed) => token = renewed,
                        Err(end) => return Ok((end, status)),
                    }
                    state.renewed();
                }
                NextRead::Send(request) => {
                    if api.is_list() && status.is_some() && !is_trial && self.is_held(&person.source).await? {
                        // The next attempt waits for the hold, or finds that it was lifted.
                        return Ok((ReadEnd::Later { at: self.clock.now() }, status));
                    }
                    guard.secure().await?;
                    let access = token.as_ref().map(|token| token.token.as_str());
                    let began = Instant::now();
                    let mut span = traced.call("HR", "read");
                    let reply = tokio::select! {
                        reply = guard.during(system.ask(&request, access)) => reply,
                        () = self.stop_now.cancelled() => return Err(Interrupted::Stopping),
                    };
                    status = reply.status();
                    span.answered(status, hr::status_word(&reply));
                    drop(span);
                    hr::count(&person.source, &reply, began.elapsed());
                    debug!(source = %person.source, status, "read at the HR system");
                    state.learn(api, &reply, self.clock.now());
                    reader.first_path_serves.fetch_or(state.found_first(), Ordering::Relaxed);
                }
            }
            if guard.is_lost() {
                return Err(Interrupted::LeaseLost);
            }
        }
    }

    /// Whether the source is held by now.
    async fn is_held(&self, source: &SourceName) -> Result<bool, StoreError> {
        self.holds.look().await?;
        Ok(self.holds.current().get(&HoldScope::Fetch(source.clone())).is_some())
    }

    /// A valid token, if the login needs one; or how the read ends without it.
    async fn token(
        &self,
        reader: &Reader,
        source: &SourceName,
        refused: Option<&str>,
        guard: &mut LeaseGuard<'_>,
    ) -> Result<Result<Option<AccessToken>, ReadEnd>, Interrupted> {
        let desk = TokenDesk { system: &reader.system, source, store: &self.store, clock: &self.clock };
        let token = guard.during(reader.logins.token(desk, refused)).await?;
        Ok(token.map_err(without_token))
    }

    /// Judges the read, and applies the result.
    async fn conclude_read(
        &self,
        document: &mut Document,
        seq: u64,
        mut owed: OwedRead,
        reader: &Reader,
        finished: Finished,
    ) -> Result<Fetched, Interrupted> {
        let Finished { end, status, began_at, ms } = finished;
        let now = self.clock.now();
        let person = document.person.clone();
        let end = end.knowing(reader.first_path_serves.load(Ordering::Relaxed));
        let meaning = end.meaning().to_owned();
        let was_served = end.is_served();
        let since = owed.failing_since.unwrap_or(now.minus_ms(SERVED_LATELY_MS));
        let seen = Circumstances {
            has_left: owed.removed || has_left(document, now) || document.record.closed.is_some(),
            others_were_served: reader.served.others_since(person.id(), since),
            now,
            jitter: clock::jitter(),
        };
        if was_served {
            reader.served.note(person.id(), now);
        }
        let verdict = judge(end, &person, &mut owed, self.read_retry(), seen);
        let lag_ms = reader.system.api().rules().lag_s.saturating_mul(1_000);
        let mut facts = Vec::new();
        let mut left_out = None;
        let (mut is_list, mut has_told) = (false, false);
        let wait = match verdict {
            ReadVerdict::Fold(told) => {
                facts = told.events.iter().flat_map(|event| event.facts.names()).map(str::to_owned).collect();
                left_out = told.outdone.map(|what| what.chars().take(DETAIL_CHARS_MAX).collect());
                if let Some(left_out) = &left_out {
                    info!(%person, left_out, "a record of the HR system's answer cannot be mapped: a later one takes its place");
                }
                fold_read(document, told.events, now, seq);
                document.read_without_employment = told.lacks_employment && document.record.employment.is_empty();
                has_told = true;
                let still_owed = owed.clone().after_read(began_at, lag_ms);
                // The unusable part is read again with the next notice, or on a replay.
                document.owed_read = still_owed.clone().or_else(|| told.lost.is_some().then_some(owed));
                match (still_owed, told.lost) {
                    (Some(owed), _) => Some(ReadWait::Until { at: owed.due(lag_ms, false), code: Code::FetchPaced }),
                    (None, lost) => lost.map(|(code, detail)| ReadWait::Blocked { code, detail }),
                }
            }
            ReadVerdict::HandOn(records) => {
                is_list = true;
                if self.hand_on(&person.source, records, now).await? {
                    let up_to = |listed: &mut ListedUpTo| {
                        let _: () = listed.at = listed.at.max(Some(began_at));
                        Some(())
                    };
                    documents::change(self.store.as_ref(), &ListedUpTo::name(&person.source), up_to).await?;
                    document.owed_read = None;
                    None
                } else {
                    Some(ReadWait::Until { at: now.plus_ms(FULL_AGAIN_MS), code: Code::FetchPaced })
                }
            }
            ReadVerdict::Again { at, code } => {
                document.owed_read = Some(owed);
                Some(ReadWait::Until { at, code })
            }
            ReadVerdict::BackOff { until } => {
                let back_off = |pace: &mut Pace| pace.back_off(now, until).then_some(());
                let name = Pace::name(&person.source);
                if documents::change(self.store.as_ref(), &name, back_off).await?.is_some() {
                    warn!(source = %person.source, code = %Code::FetchRateLimited, wait_ms = until.ms_since(now), "the HR system's rate limit is reached: its people wait");
                }
                document.owed_read = Some(owed);
                Some(ReadWait::Until { at: until, code: Code::FetchRateLimited })
            }
            ReadVerdict::Hold { detail, not_before } => {
                error!(source = %person.source, status, detail, "the HR system's API refuses to be read");
                document.owed_read = Some(owed);
                let scope = HoldScope::Fetch(person.source.clone());
                self.holds.set_saying(&scope, Code::HoldFetch, not_before, &detail).await?;
                Some(ReadWait::Held { code: Code::HoldFetch, not_before })
            }
            ReadVerdict::Block { code, detail } => {
                document.owed_read = Some(owed);
                Some(ReadWait::Blocked { code, detail })
            }
        };
        let note = Note::Read { status, meaning, ms, facts, left_out };
        let story = vec![StoryEntry { at: now, note }];
        let fetched = Fetched { story, was_served, has_told, ..Fetched::default() };
        Ok(match wait {
            Some(wait) => fetched.with_wait(document, wait),
            None => Fetched { is_list, ..fetched },
        })
    }

    fn read_retry(&self) -> ReadRetry {
        let retry = &self.options.retry;
        ReadRetry { first_ms: retry.first_ms, max_ms: retry.max_ms, give_up_after_ms: retry.give_up_after_ms }
    }

    /// Puts what a list says into the inboxes of the people it is about. Returns whether there was room; what was
    /// stored before a bound was reached is stored again later, which changes nothing.
    async fn hand_on(&self, source: &SourceName, records: Vec<Record>, now: UnixMs) -> Result<bool, StoreError> {
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let mut delivery =
                NewDelivery { source: source.clone(), dedupe: None, entries: Vec::new(), unmapped: Vec::new() };
            for record in records.by_ref().take(LISTED_AT_ONCE) {
                match record {
                    Record::Event { event, .. } => {
                        let (person, job) = (event.person.clone(), clock::new_job_id(event.person.id()));
                        let word = Word::Event { job, event: Box::new(event), letter: None };
                        let bytes = Bytes::from(Entry { accepted_at: now, word, trace: None }.to_bytes());
                        delivery.entries.push(NewEntry { job, person, bytes });
                    }
                    Record::Unmapped { person, kind, code, detail, payload, .. } => {
                        let row = DeadRow { event: kind, ..unmapped_row(source, person, code, detail, now) };
                        delivery.unmapped.push(NewUnmapped { row, payload });
                    }
                    Record::Ignored(_) => {}
                }
            }
            match self.store.accept(now, delivery).await? {
                Accepted::Stored | Accepted::Duplicate { .. } | Accepted::Conflict { .. } => {}
                Accepted::Full(bound) => {
                    warn!(%source, ?bound, "the store is full: what the HR system listed waits");
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// A read that has ended.
struct Finished {
    end: ReadEnd,
    status: Option<u16>,
    began_at: UnixMs,
    ms: u64,
}

/// The document with the time up to which a source's list was read.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct ListedUpTo {
    at: Option<UnixMs>,
}

impl ListedUpTo {
    fn name(source: &SourceName) -> String {
        format!("fetch-listed:{source}")
    }
}

/// Whether HR has said that the person left, or will leave.
fn leaves(document: &Document) -> bool {
    let newest = document.record.employment.newest().map(|word| word.state);
    newest == Some(EmploymentState::Left)
        || document.record.scope.newest().is_some_and(|word| word.state == Scope::Out)
        || document.open.iter().any(|job| job.kind == EventKind::Leave)
}

/// Whether HR's latest statement is that the person has left. A person who will leave is expected to be there until
/// then, and so is one who comes back.
fn has_left(document: &Document, now: UnixMs) -> bool {
    let newest = document.record.employment.newest();
    newest.is_some_and(|word| word.state == EmploymentState::Left && word.from <= now)
}

fn without_token(no_token: NoToken) -> ReadEnd {
    match no_token {
        NoToken::Refused { detail } => {
            ReadEnd::Hold { detail, not_before: None, may_be_own: false, at_other_path: false }
        }
        NoToken::TryAgain { code, not_before } => ReadEnd::TryAgain { code, not_before },
        NoToken::Later { at } => ReadEnd::Later { at },
    }
}

fn unmapped_row(source: &SourceName, person: Option<Person>, code: Code, detail: String, now: UnixMs) -> DeadRow {
    let about = person.as_ref().map_or(crate::core::person::PersonId(0), Person::id);
    DeadRow {
        id: clock::new_job_id(about),
        source: source.clone(),
        person,
        event: None,
        died_at: now,
        code: code.to_string(),
        detail,
        unmapped: true,
    }
}
