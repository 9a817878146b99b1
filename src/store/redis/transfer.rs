//! The content in an engine-neutral form: read page by page, written page by page. Times are those of
//! the clocks that gave them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::keys::Of;
use super::layout::{FORMAT, HAS_DEAD, HAS_DOCUMENT, Head, body, dead_row, entries, read_dead_row, time};
use super::link::Arg;
use super::listings::Ask;
use super::reply::{id_of, parsed, remembered_of, text_of, unexpected};
use super::{Redis, blob, log_skipped, scripts, signed};
use crate::core::person::PersonId;
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;
use crate::store::tokens::Tats;
use crate::store::transfer::{Activity, Exported, Marks, PersonRecord, Record, Section, Transfer, Transferred};
use crate::store::{Lane, LaneState, PAGE_BYTES_MAX, Shared, StoreError, Story};

/// People read completely in one call.
const PEOPLE_AT_ONCE: usize = 32;
/// How many bytes of an inbox are read at first and, if it is longer, at a time.
const INBOX_BYTES: usize = 64 * 1024;
/// Unmapped records read in one call: each may be as large as a delivery.
const RECORDS_AT_ONCE: usize = 16;

#[async_trait]
impl Transfer for Redis {
    async fn activity(&self, now: UnixMs) -> Result<Activity, StoreError> {
        let mut reply = self.calls.run(&scripts::ACTIVITY, now, Vec::new(), Vec::new()).await?;
        Ok(Activity { leases: reply.count()?, listeners: reply.count()? })
    }

    async fn export(&self, now: UnixMs, section: Section, after: Option<&str>) -> Result<Exported, StoreError> {
        match section {
            Section::Marks => Ok(Exported { records: vec![Record::Marks(self.marks().await?)], next: None }),
            Section::Remembered => self.export_remembered(now, after.unwrap_or("0")).await,
            Section::People => self.export_people(after).await,
            Section::Inbox => self.export_inboxes(after).await,
            Section::Unmapped => self.export_unmapped(after).await,
            Section::Shared => {
                let all = Ask::of(&self.calls.keys, "HGETALL", "SHARED", Vec::new());
                let pairs = self.read(&[all]).await?.list()?.pairs()?;
                let mut records = Vec::with_capacity(pairs.len());
                for (name, text) in pairs {
                    let name = text_of(name)?;
                    let document = shared(&name, &text)?;
                    records.push(Record::Shared { name, document });
                }
                Ok(Exported { records, next: None })
            }
        }
    }

    async fn import(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Transferred>, StoreError> {
        let fates = self.compare(now, records.clone()).await?;
        let mut args: Vec<Arg<'static>> = Vec::new();
        for (record, fate) in records.into_iter().zip(&fates) {
            if *fate == Transferred::Taken {
                self.import_args(now, record, &mut args)?;
            }
        }
        self.calls.run_durably(&scripts::IMPORT, now, Vec::new(), args).await?;
        Ok(fates)
    }

    async fn compare(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Transferred>, StoreError> {
        let mut fates = Vec::with_capacity(records.len());
        let mut inboxes = BTreeMap::new();
        for record in &records {
            let is_known = self.knows(now, record, &mut inboxes).await?;
            fates.push(if is_known { Transferred::AlreadyThere } else { Transferred::Taken });
        }
        Ok(fates)
    }
}

/// The entries in people's inboxes.
type Inboxes = BTreeMap<PersonId, BTreeMap<u64, Bytes>>;

impl Redis {
    async fn marks(&self) -> Result<Marks, StoreError> {
        let fields = ["seq", "fence", "write_tat_us", "read_tat_us"].map(Arg::from).into();
        let mut reply = self.read(&[Ask::of(&self.calls.keys, "HMGET", "CTL", fields)]).await?.list()?;
        let (last_seq, last_fence) = (reply.count()?, reply.count()?);
        let (writes_us, reads_us) = (reply.optional_number()?, reply.optional_number()?);
        let tats = Tats { writes_us: writes_us.unwrap_or(0), reads_us: reads_us.unwrap_or(0) };
        Ok(Marks { last_seq, last_fence, tats })
    }

    async fn export_remembered(&self, now: UnixMs, after: &str) -> Result<Exported, StoreError> {
        let args = vec![after.into(), self.calls.keys.deliveries().into()];
        let mut reply = self.calls.run(&scripts::SCAN, now, Vec::new(), args).await?;
        let next = Some(text_of(reply.bytes()?)?).filter(|next| next != "0");
        let mut records = Vec::new();
        for one in reply.lists() {
            let mut one = one?;
            let (key, text) = (one.bytes()?, one.bytes()?);
            let key: [u8; 16] = key.last_chunk().copied().ok_or_else(|| unexpected("a delivery's key"))?;
            match remembered(&text) {
                Some((until, ids)) if until > now => records.push(Record::Remembered { key, until, ids }),
                Some(_) => {}
                None => log_skipped(&unexpected("a remembered delivery")),
            }
        }
        Ok(Exported { records, next })
    }

    async fn export_people(&self, after: Option<&str>) -> Result<Exported, StoreError> {
        let after = after.map(|after| PersonId::parse(after).ok_or_else(|| unexpected("a cursor"))).transpose()?;
        let ids = self.people_after(after, PEOPLE_AT_ONCE).await?;
        let next = if ids.len() < PEOPLE_AT_ONCE { None } else { ids.last().map(ToString::to_string) };
        let people = self.people_whole(&ids).await?;
        Ok(Exported { records: people.into_iter().map(|person| Record::Person(Box::new(person))).collect(), next })
    }

    /// Everything kept about these people. Unreadable ones are logged and left out.
    async fn people_whole(&self, ids: &[PersonId]) -> Result<Vec<PersonRecord>, StoreError> {
        let keys = &self.calls.keys;
        let mut asks = Vec::with_capacity(ids.len() * 5);
        for id in ids {
            asks.push(Ask::new("GETRANGE", keys.of(Of::Lane, *id), vec![0.into(), HEAD_BYTES_MAX.into()]));
            asks.push(Ask::new("GET", keys.of(Of::Document, *id), Vec::new()));
            asks.push(Ask::new("LRANGE", keys.of(Of::Story, *id), vec![0.into(), (-1).into()]));
            asks.push(Ask::new("HGETALL", keys.of(Of::Words, *id), Vec::new()));
            asks.push(Ask::of(keys, "HGET", "DEAD_OF", vec![id.0.to_be_bytes().to_vec().into()]));
        }
        let mut reply = self.read(&asks).await?;
        let mut people = Vec::new();
        for id in ids {
            let (lane, document) = (reply.optional()?.unwrap_or_default(), reply.optional()?);
            let (story, words, dead) = (reply.list()?.all_bytes()?, reply.list()?.pairs()?, reply.optional()?);
            let Some((head, _)) = Head::read(&lane) else {
                if !lane.is_empty() {
                    log_skipped(&unexpected(&format!("the lane of {id}")));
                }
                continue;
            };
            let dead = match dead {
                Some(dead) => self.find_dead(id_of(&dead)?).await?.map(|(row, _)| row),
                None => None,
            };
            let mut person = PersonRecord {
                id: *id,
                source: head.source,
                document: document.map(Bytes::from),
                lane: if head.lane.state == LaneState::Running { Lane::due_at(head.since) } else { head.lane },
                since: head.since,
                newest: head.newest,
                story: Story { entries: story.into_iter().map(Bytes::from).collect(), dropped: 0 },
                terms: Vec::new(),
                owned: Vec::new(),
                dead,
            };
            for (field, value) in words {
                match field.split_first() {
                    Some((b't', term)) => person.terms.push(text_of(term.to_vec())?),
                    Some((b'o', key)) => person.owned.push(text_of(key.to_vec())?),
                    _ => person.story.dropped = u64::try_from(parsed(&value)?).unwrap_or(0),
                }
            }
            person.terms.sort();
            person.owned.sort();
            people.push(person);
        }
        Ok(people)
    }

    /// The position is a person, and how much of their inbox was read.
    async fn export_inboxes(&self, after: Option<&str>) -> Result<Exported, StoreError> {
        let (after, from) = match after.and_then(|after| after.split_once(':')) {
            None => (None, 0),
            Some((id, from)) => (PersonId::parse(id), from.parse().unwrap_or(0)),
        };
        let mut records = Vec::new();
        let mut bytes = 0;
        if let Some(id) = after
            && from > 0
        {
            let (found, next) = self.inbox_part(id, from).await?;
            records.extend(found.into_iter().map(|(seq, bytes)| Record::Entry { person: id, seq, bytes }));
            return Ok(Exported { records, next: Some(format!("{id}:{next}")) });
        }
        let ids = self.people_after(after, PEOPLE_AT_ONCE).await?;
        let range = || vec![0.into(), signed(INBOX_BYTES as u64).into()];
        let asks: Vec<_> =
            ids.iter().map(|id| Ask::new("GETRANGE", self.calls.keys.of(Of::Lane, *id), range())).collect();
        let mut reply = self.read(&asks).await?;
        for id in &ids {
            let lane = reply.optional()?.unwrap_or_default();
            bytes += lane.len();
            // Those that cannot be parsed are logged with the people.
            let Some((head, inbox_at)) = Head::read(&lane) else { continue };
            let found = entries(lane.get(inbox_at..).unwrap_or_default());
            let is_all = found.len() as u64 == head.entries;
            let taken: usize = found.iter().map(|entry| entry.bytes.len() + ENTRY_HEAD_BYTES).sum();
            let entry =
                |entry: crate::store::InboxEntry| Record::Entry { person: *id, seq: entry.seq, bytes: entry.bytes };
            records.extend(found.into_iter().map(entry));
            if !is_all {
                return Ok(Exported { records, next: Some(format!("{id}:{}", inbox_at + taken)) });
            }
            if bytes > PAGE_BYTES_MAX {
                return Ok(Exported { records, next: Some(format!("{id}:0")) });
            }
        }
        let next = if ids.len() < PEOPLE_AT_ONCE { None } else { ids.last().map(|id| format!("{id}:0")) };
        Ok(Exported { records, next })
    }

    /// The entries of an inbox from this byte of the lane on, and where the next ones begin; 0: there are no more.
    async fn inbox_part(&self, id: PersonId, from: usize) -> Result<(Vec<(u64, Bytes)>, usize), StoreError> {
        let mut size = PAGE_BYTES_MAX;
        loop {
            let range = vec![signed(from as u64).into(), signed((from + size - 1) as u64).into()];
            let ask = Ask::new("GETRANGE", self.calls.keys.of(Of::Lane, id), range);
            let text = self.read(&[ask]).await?.optional()?.unwrap_or_default();
            let found = entries(&text);
            if found.is_empty() && text.len() == size {
                size *= 2;
                continue;
            }
            let taken: usize = found.iter().map(|entry| entry.bytes.len() + ENTRY_HEAD_BYTES).sum();
            let next = if text.len() < size { 0 } else { from + taken };
            return Ok((found.into_iter().map(|entry| (entry.seq, entry.bytes)).collect(), next));
        }
    }

    /// The position is a rank among all dead letters.
    async fn export_unmapped(&self, after: Option<&str>) -> Result<Exported, StoreError> {
        let mut rank: usize = after.map_or(0, |after| after.parse().unwrap_or(usize::MAX / 2));
        let (mut records, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES_MAX {
            let range = vec![signed(rank as u64).into(), signed((rank + RECORDS_AT_ONCE - 1) as u64).into()];
            let ask = Ask::of(&self.calls.keys, "ZRANGE", "DEAD_AT", range);
            let ids = self.read(&[ask]).await?.list()?.all_bytes()?;
            if ids.is_empty() {
                return Ok(Exported { records, next: None });
            }
            rank += ids.len();
            let fields = || ids.iter().map(|id| Arg::from(id.clone())).collect();
            let ask = |name| Ask::of(&self.calls.keys, "HMGET", name, fields());
            let mut reply = self.read(&[ask("DEAD"), ask("PAYLOADS")]).await?;
            let (mut rows, mut payloads) = (reply.list()?, reply.list()?);
            for id in &ids {
                let (Some(row), Some(payload)) = (rows.optional()?, payloads.optional()?) else { continue };
                bytes += payload.len();
                match read_dead_row(id_of(id)?, &row) {
                    Ok(row) => records.push(Record::Unmapped { row, payload: payload.into() }),
                    Err(error) => log_skipped(&error),
                }
            }
        }
        Ok(Exported { records, next: Some(rank.to_string()) })
    }

    async fn knows(&self, now: UnixMs, record: &Record, inboxes: &mut Inboxes) -> Result<bool, StoreError> {
        Ok(match record {
            Record::Marks(marks) => {
                let there = self.marks().await?;
                there.max(*marks) == there
            }
            Record::Remembered { until, .. } if *until <= now => true,
            Record::Remembered { key, until, ids } => {
                let ask = Ask::new("GET", self.calls.keys.delivery(*key), Vec::new());
                let text = self.read(&[ask]).await?.optional()?;
                text.and_then(|text| remembered(&text)).is_some_and(|there| there == (*until, ids.clone()))
            }
            Record::Person(person) => self.people_whole(&[person.id]).await?.first() == Some(person),
            Record::Entry { person, seq, bytes } => {
                if !inboxes.contains_key(person) {
                    inboxes.insert(*person, self.inbox_whole(*person).await?);
                }
                inboxes.get(person).and_then(|inbox| inbox.get(seq)) == Some(bytes)
            }
            Record::Unmapped { row, payload } => {
                self.find_dead(row.id).await?.is_some_and(|(there, of)| there == *row && of.as_ref() == Some(payload))
            }
            Record::Shared { name, document } => {
                let ask = Ask::of(&self.calls.keys, "HGET", "SHARED", vec![name.as_str().into()]);
                match self.read(&[ask]).await?.optional()? {
                    Some(text) => shared(name, &text)? == *document,
                    None => false,
                }
            }
        })
    }

    async fn inbox_whole(&self, person: PersonId) -> Result<BTreeMap<u64, Bytes>, StoreError> {
        let range = vec![0.into(), HEAD_BYTES_MAX.into()];
        let ask = Ask::new("GETRANGE", self.calls.keys.of(Of::Lane, person), range);
        let lane = self.read(&[ask]).await?.optional()?.unwrap_or_default();
        let mut whole = BTreeMap::new();
        let mut from = Head::read(&lane).map_or(0, |(_, inbox_at)| inbox_at);
        while from > 0 {
            let (found, next) = self.inbox_part(person, from).await?;
            whole.extend(found);
            from = next;
        }
        Ok(whole)
    }

    /// A record for the script: see `lua/import.lua`.
    fn import_args(&self, now: UnixMs, record: Record, args: &mut Vec<Arg<'static>>) -> Result<(), StoreError> {
        match record {
            Record::Marks(marks) => args.extend([
                "m".into(),
                signed(marks.last_seq).into(),
                signed(marks.last_fence).into(),
                marks.tats.writes_us.into(),
                marks.tats.reads_us.into(),
            ]),
            Record::Remembered { key, until, ids } => {
                let text = [&[FORMAT], &time(until)[..], &ids.into_iter().flat_map(blob).collect::<Vec<_>>()].concat();
                let left_ms = until.ms_since(now).max(1);
                args.extend(["r".into(), self.calls.keys.delivery(key).into(), text.into(), signed(left_ms).into()]);
            }
            Record::Person(person) => person_args(*person, args)?,
            Record::Entry { person, seq, bytes } => args.extend([
                "e".into(),
                person.0.to_be_bytes().to_vec().into(),
                signed(seq).into(),
                body(&bytes)?.into(),
            ]),
            Record::Unmapped { row, payload } => {
                args.extend(["u".into(), blob(row.id).into(), dead_row(&row, None)?.into(), payload.to_vec().into()]);
            }
            Record::Shared { name, document } => {
                let text = [&document.version.to_be_bytes(), &document.bytes[..]].concat();
                args.extend(["s".into(), name.into(), text.into()]);
            }
        }
        Ok(())
    }
}

fn person_args(person: PersonRecord, args: &mut Vec<Arg<'static>>) -> Result<(), StoreError> {
    let document = if person.document.is_some() { HAS_DOCUMENT } else { 0 };
    let dead = if person.dead.is_some() { HAS_DEAD } else { 0 };
    let head = Head {
        lane: person.lane,
        since: person.since,
        entries: 0,
        source: person.source,
        newest: person.newest,
        flags: document | dead,
    };
    args.extend(["p".into(), person.id.0.to_be_bytes().to_vec().into(), head.write()?.into()]);
    args.push(person.document.unwrap_or_default().to_vec().into());
    args.push(signed(person.story.entries.len() as u64).into());
    args.extend(person.story.entries.iter().map(|entry| Arg::from(entry.to_vec())));
    args.push(signed(person.story.dropped).into());
    args.push(signed((person.terms.len() + person.owned.len()) as u64).into());
    args.extend(person.terms.iter().map(|term| Arg::from(format!("t{term}"))));
    args.extend(person.owned.iter().map(|key| Arg::from(format!("o{key}"))));
    match person.dead {
        None => args.extend(["".into(), "".into()]),
        Some(row) => args.extend([blob(row.id).into(), dead_row(&row, Some(person.id))?.into()]),
    }
    Ok(())
}

/// The header before an entry's bytes in an inbox.
const ENTRY_HEAD_BYTES: usize = 11;
/// More than any lane's header.
const HEAD_BYTES_MAX: i64 = 70_000;

/// A remembered delivery: until when, and the ids that it got.
fn remembered(text: &[u8]) -> Option<(UnixMs, Vec<JobId>)> {
    let (FORMAT, rest) = text.split_first().map(|(format, rest)| (*format, rest))? else { return None };
    let (until, ids) = rest.split_first_chunk::<6>()?;
    let until = until.iter().fold(0, |ms, byte| ms << 8 | i64::from(*byte));
    Some((UnixMs(until), remembered_of(ids).ok()?.0))
}

/// A shared document as it is stored.
pub(super) fn shared(name: &str, text: &[u8]) -> Result<Shared, StoreError> {
    let parts = text.split_first_chunk::<8>();
    let (version, bytes) = parts.ok_or_else(|| unexpected(&format!("the shared document {name}")))?;
    Ok(Shared { version: u64::from_be_bytes(*version), bytes: Bytes::copy_from_slice(bytes) })
}
