//! Listings and figures: found by an index, and read by `lua/read.lua`.

use data_encoding::HEXLOWER;

use super::keys::{BUCKETS, Keys, Of, bucket_of, in_bucket};
use super::layout::{Head, entries, letter};
use super::link::Arg;
use super::reply::{Pair, ScriptReply, parsed, person_of, text_of, unexpected};
use super::{Redis, log_skipped, scripts, signed};
use crate::core::person::PersonId;
use crate::core::time::UnixMs;
use crate::store::listing::{INBOX_SHOWN_MAX, Row, cursor, page, read_cursor};
use crate::store::{LaneState, Listed, PAGE_BYTES_MAX, Page, PersonRow, Stats, StoreError, Story};

/// How much of a lane is read to show it, including the inbox's first entries.
const LANE_BYTES: i64 = 128 * 1024;
/// People read in one call.
const ROWS_AT_ONCE: usize = 32;
/// How many of the [`BUCKETS`] sets of people the first call reads, and a later one at most. With a million people, a
/// set holds some 250; with few, most sets are empty, so each call reads twice as many as the one before.
const BUCKETS_AT_ONCE: (u64, u64) = (1, 1_024);
/// Terms read in one call, and calls for one page.
const WORDS_AT_ONCE: i64 = 200;
const LOOKS_MAX: usize = 10;

/// A reading command.
pub(super) struct Ask<'a> {
    command: &'static str,
    key: Vec<u8>,
    args: Vec<Arg<'a>>,
}

impl<'a> Ask<'a> {
    pub(super) fn new(command: &'static str, key: Vec<u8>, args: Vec<Arg<'a>>) -> Self {
        Self { command, key, args }
    }

    /// For a fixed key, by its name in Lua.
    pub(super) fn of(keys: &Keys, command: &'static str, name: &str, args: Vec<Arg<'a>>) -> Self {
        Self::new(command, keys.named(name), args)
    }
}

/// People found for a listing, each with the cursor after them, and the cursor after all of them.
#[derive(Default)]
struct ListedPeople {
    people: Vec<(String, PersonId)>,
    more: Option<String>,
}

impl Redis {
    /// The answers to the commands, in order; none for a key that cannot be read, which is logged.
    pub(super) async fn read(&self, asks: &[Ask<'_>]) -> Result<ScriptReply, StoreError> {
        let keys = asks.iter().map(|ask| ask.key.as_slice()).collect();
        let mut args: Vec<Arg<'_>> = Vec::new();
        for ask in asks {
            args.push(ask.command.into());
            args.push(signed(ask.args.len() as u64).into());
            args.extend(ask.args.iter().map(Arg::borrowed));
        }
        self.calls.run(&scripts::READ, self.last_known_now(), keys, args).await
    }

    pub(super) async fn find_person(&self, person: PersonId) -> Result<Option<PersonRow>, StoreError> {
        Ok(self.rows(&[(String::new(), person)]).await?.pop().map(|(_, row)| row))
    }

    pub(super) async fn tell_story(&self, person: PersonId) -> Result<Story, StoreError> {
        let all = vec![0.into(), (-1).into()];
        let story = Ask::new("LRANGE", self.calls.keys.of(Of::Story, person), all);
        let gone = Ask::new("HGET", self.calls.keys.of(Of::Words, person), vec!["#".into()]);
        let mut reply = self.read(&[story, gone]).await?;
        let entries = reply.list()?.all_bytes()?.into_iter().map(Into::into).collect();
        Ok(Story { entries, dropped: reply.count()? })
    }

    pub(super) async fn list_people(&self, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let after = match wanted.after.as_deref().map(PersonId::parse) {
            None => None,
            Some(Some(after)) => Some(after),
            Some(None) => return Err(StoreError::Cursor),
        };
        let ids = self.people_after(after, wanted.rows_max.max(1) + 1).await?;
        let more = (ids.len() > wanted.rows_max.max(1)).then(|| ids.last().map(ToString::to_string)).flatten();
        let people = ids.into_iter().map(|id| (id.to_string(), id)).collect();
        self.page_of(wanted, ListedPeople { people, more }).await
    }

    /// Up to this many people by number.
    pub(super) async fn people_after(&self, after: Option<PersonId>, most: usize) -> Result<Vec<PersonId>, StoreError> {
        let mut found = Vec::new();
        let mut bucket = after.map_or(0, |after| bucket_of(after).0);
        let (mut at_once, at_once_max) = BUCKETS_AT_ONCE;
        while bucket < BUCKETS && found.len() < most {
            let past = (bucket + at_once).min(BUCKETS);
            let asks: Vec<_> =
                (bucket..past).map(|n| Ask::new("SMEMBERS", self.calls.keys.bucket(n), Vec::new())).collect();
            let mut reply = self.read(&asks).await?;
            for bucket in bucket..past {
                for number in reply.list()?.all_bytes()? {
                    let number = u64::try_from(parsed(&number)?).unwrap_or(0);
                    found.push(in_bucket(bucket, number));
                }
            }
            found.retain(|id| after.is_none_or(|after| *id > after));
            bucket = past;
            at_once = (at_once * 2).min(at_once_max);
        }
        found.sort_unstable();
        found.truncate(most);
        Ok(found)
    }

    pub(super) async fn list_lanes(&self, state: LaneState, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let most = wanted.rows_max.max(1) + 1;
        let mut args: Vec<Arg<'_>> = vec![letter(state).into(), signed(most as u64).into()];
        match wanted.after.as_deref() {
            None => args.extend(["", ""].map(Arg::from)),
            Some(after) => {
                let Some((since, id)) = read_cursor(after, PersonId::parse) else { return Err(StoreError::Cursor) };
                args.extend([since.0.into(), id.0.to_be_bytes().to_vec().into()]);
            }
        }
        let reply = self.calls.run(&scripts::LANES, self.last_known_now(), Vec::new(), args).await?;
        let mut people = Vec::new();
        for row in reply.lists() {
            let mut row = row?;
            let id = row.person()?;
            people.push((cursor(row.time()?, id), id));
        }
        let more = if people.len() < most { None } else { people.last().map(|(cursor, _)| cursor.clone()) };
        self.page_of(wanted, ListedPeople { people, more }).await
    }

    /// People who have a term with this prefix, in the order of the terms.
    pub(super) async fn search_words(&self, prefix: &str, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let mut found = ListedPeople::default();
        let mut from = match wanted.after.as_deref() {
            None => [b"[", prefix.as_bytes()].concat(),
            Some(after) => match HEXLOWER.decode(after.as_bytes()) {
                Ok(after) => [b"(", after.as_slice()].concat(),
                Err(_) => return Err(StoreError::Cursor),
            },
        };
        // No text in UTF-8 has a byte of 255.
        let to = [b"(", prefix.as_bytes(), &[255]].concat();
        for _ in 0..LOOKS_MAX {
            let range: Vec<Arg<'_>> =
                vec![from.into(), to.as_slice().into(), "BYLEX".into(), "LIMIT".into(), 0.into(), WORDS_AT_ONCE.into()];
            let mut reply = self.read(&[Ask::of(&self.calls.keys, "ZRANGE", "TERMS", range)]).await?;
            let members = reply.list()?.all_bytes()?;
            let is_all = members.len() < usize::try_from(WORDS_AT_ONCE).unwrap_or(0);
            let last = members.last().cloned().unwrap_or_default();
            found.people.extend(self.first_words(prefix, members).await?);
            if is_all {
                found.more = None;
                break;
            }
            found.more = Some(HEXLOWER.encode(&last));
            if found.people.len() > wanted.rows_max {
                break;
            }
            from = [b"(", last.as_slice()].concat();
        }
        self.page_of(wanted, found).await
    }

    /// The people of these terms, except those who were listed already: an earlier term of theirs also begins with the
    /// prefix.
    async fn first_words(&self, prefix: &str, members: Vec<Vec<u8>>) -> Result<Vec<(String, PersonId)>, StoreError> {
        let mut words = Vec::with_capacity(members.len());
        for member in members {
            let (word, id) = member.split_at_checked(member.len().saturating_sub(8)).unwrap_or_default();
            words.push((person_of(id)?, word.strip_suffix(&[0]).unwrap_or(word).to_vec(), HEXLOWER.encode(&member)));
        }
        let all = |(id, _, _): &(PersonId, _, _)| Ask::new("HKEYS", self.calls.keys.of(Of::Words, *id), Vec::new());
        let mut reply = self.read(&words.iter().map(all).collect::<Vec<_>>()).await?;
        let mut first = Vec::new();
        for (id, word, cursor) in words {
            let fields = reply.list()?.all_bytes()?;
            let mut theirs = fields.iter().filter_map(|field| field.strip_prefix(b"t"));
            if !theirs.any(|other| other.starts_with(prefix.as_bytes()) && other < word.as_slice()) {
                first.push((cursor, id));
            }
        }
        Ok(first)
    }

    /// The rows of the people found, as many as fit on the page.
    async fn page_of(&self, wanted: &Page, found: ListedPeople) -> Result<Listed<PersonRow>, StoreError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for some in found.people.chunks(ROWS_AT_ONCE) {
            for (cursor, row) in self.rows(some).await? {
                bytes += row.bytes();
                rows.push(Ok(Row { cursor, bytes: row.bytes(), shown: row }));
            }
            if rows.len() > wanted.rows_max.max(1) || rows.len() > 1 && bytes > PAGE_BYTES_MAX {
                break;
            }
        }
        let mut listed = page(wanted, rows)?;
        listed.next = listed.next.or(found.more);
        Ok(listed)
    }

    /// The rows of these people. People who do not exist (any more) are left out, and so are unreadable ones, which
    /// are logged.
    async fn rows(&self, people: &[(String, PersonId)]) -> Result<Vec<(String, PersonRow)>, StoreError> {
        let keys = &self.calls.keys;
        let mut asks = Vec::with_capacity(people.len() * 2);
        for (_, id) in people {
            asks.push(Ask::new("GETRANGE", keys.of(Of::Lane, *id), vec![0.into(), (LANE_BYTES - 1).into()]));
            asks.push(Ask::new("GET", keys.of(Of::Document, *id), Vec::new()));
        }
        let mut reply = self.read(&asks).await?;
        let mut rows = Vec::new();
        for (cursor, id) in people {
            let (lane, document) = (reply.optional()?.unwrap_or_default(), reply.optional()?);
            if lane.is_empty() {
                continue;
            }
            let Some((head, inbox_at)) = Head::read(&lane) else {
                log_skipped(&unexpected(&format!("the lane of {id}")));
                continue;
            };
            let mut inbox = entries(lane.get(inbox_at..).unwrap_or_default());
            inbox.truncate(INBOX_SHOWN_MAX);
            let row = PersonRow {
                id: *id,
                document: document.map(Into::into),
                lane: head.lane,
                since: head.since,
                inbox_entries: head.entries,
                inbox,
            };
            rows.push((cursor.clone(), row));
        }
        Ok(rows)
    }

    pub(super) async fn count(&self) -> Result<Stats, StoreError> {
        const PLACES: [(&str, LaneState); 6] = [
            ("WAITING", LaneState::Waiting),
            ("HELD", LaneState::Held),
            ("SCHEDULED", LaneState::Scheduled),
            ("INCOMPLETE", LaneState::Incomplete),
            ("BLOCKED", LaneState::Blocked),
            ("LEASES", LaneState::Running),
        ];
        let ask = |command, name, args| Ask::of(&self.calls.keys, command, name, args);
        let mut asks = vec![
            ask("HGET", "CTL", vec!["people".into()]),
            ask("LLEN", "FRESH", Vec::new()),
            ask("LINDEX", "FRESH", vec![0.into()]),
            ask("ZRANGE", "DUE", vec![0.into(), 0.into(), "WITHSCORES".into()]),
            ask("HGETALL", "ENTRIES", Vec::new()),
            ask("HGETALL", "DEAD_COUNT", Vec::new()),
        ];
        asks.extend(PLACES.map(|(place, _)| ask("ZCARD", place, Vec::new())));
        let mut reply = self.read(&asks).await?;
        let mut stats = Stats { people: reply.count()?, ..Stats::default() };
        let fresh = reply.count()?;
        let fresh_since = reply.optional()?.and_then(|row| row.get(..6).map(since_of));
        let due = reply.list()?.pairs()?.pop().map(|(_, at)| parsed(&at)).transpose()?;
        stats.oldest_due_at = fresh_since.into_iter().chain(due).min().map(UnixMs);
        stats.entries = counts(reply.list()?.pairs()?, b"")?;
        let dead = reply.list()?.pairs()?;
        stats.dead = counts(dead.clone(), b"c")?;
        stats.dead_by_source = counts(dead.clone(), b"s")?;
        stats.dead_bytes = dead_bytes(&dead)?;
        for (_, state) in PLACES {
            *stats.lanes.entry(state.as_str().to_owned()).or_default() += reply.count()?;
        }
        *stats.lanes.entry(LaneState::Waiting.as_str().to_owned()).or_default() += fresh;
        Ok(stats)
    }
}

fn dead_bytes(counts: &[Pair]) -> Result<u64, StoreError> {
    let bytes = counts.iter().find(|(name, _)| name == b"#b").map(|(_, bytes)| parsed(bytes)).transpose()?;
    Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}

fn since_of(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |ms, byte| ms << 8 | i64::from(*byte))
}

/// The counts whose names begin with this prefix, except zeros.
fn counts<T: FromIterator<(String, u64)>>(pairs: Vec<Pair>, begin: &[u8]) -> Result<T, StoreError> {
    let mut counts = Vec::new();
    for (name, count) in pairs {
        let count = u64::try_from(parsed(&count)?).unwrap_or(0);
        if let Some(name) = name.strip_prefix(begin)
            && count > 0
        {
            counts.push((text_of(name.to_vec())?, count));
        }
    }
    Ok(counts.into_iter().collect())
}
