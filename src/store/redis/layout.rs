//! The records that scripts read by position (`lua/lane.lua`, `lua/dead_rows.lua`), as values. Scripts write them;
//! the parts that scripts receive ready-made are encoded here.

use std::num::TryFromIntError;

use bytes::Bytes;

use super::reply::unexpected;
use crate::core::person::job::JobId;
use crate::core::person::{Person, PersonId, SourceName};
use crate::core::time::UnixMs;
use crate::store::{DeadRow, InboxEntry, Lane, LaneState, StoreError};

/// The format that lanes, dead letters and remembered deliveries of this version begin with.
pub(super) const FORMAT: u8 = 1;
/// The flags of a lane.
pub(super) const WAKES: u8 = 1;
pub(super) const HAS_NEWEST: u8 = 4;
pub(super) const HAS_DEAD: u8 = 8;
pub(super) const HAS_DOCUMENT: u8 = 16;
/// A lane's header, up to and including the lengths of the variable parts.
const HEAD_BYTES: usize = 21;
/// The header before an entry's bytes.
const ENTRY_HEAD_BYTES: usize = 11;

/// Reads a record piece by piece.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.bytes(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn time(&mut self) -> Option<UnixMs> {
        self.number(6).and_then(|ms| i64::try_from(ms).ok()).map(UnixMs)
    }

    /// Bytes after a length byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let count = self.number(1)?;
        self.bytes(usize::try_from(count).ok()?)
    }
}

/// A lane without its inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) lane: Lane,
    pub(super) since: UnixMs,
    pub(super) entries: u64,
    pub(super) source: SourceName,
    pub(super) newest: Option<[u8; 16]>,
    pub(super) flags: u8,
}

/// The letter that a state has in a lane.
pub(super) fn letter(state: LaneState) -> &'static str {
    match state {
        LaneState::Idle => "i",
        LaneState::Waiting => "w",
        LaneState::Running => "r",
        LaneState::Held => "h",
        LaneState::Scheduled => "s",
        LaneState::Incomplete => "n",
        LaneState::Blocked => "b",
    }
}

/// The state of a letter.
pub(super) fn state_of(found: &[u8]) -> Option<LaneState> {
    LaneState::ALL.into_iter().find(|state| letter(*state).as_bytes() == found)
}

impl Head {
    /// Reads a lane, and where its inbox begins.
    pub(super) fn read(text: &[u8]) -> Option<(Self, usize)> {
        let mut reader = Reader(text);
        if reader.number(1)? != u64::from(FORMAT) {
            return None;
        }
        let state = state_of(reader.bytes(1)?)?;
        let flags = u8::try_from(reader.number(1)?).ok()?;
        let since = reader.time()?;
        let due = Some(reader.time()?).filter(|due| due.0 > 0);
        let entries = reader.number(4)?;
        let rest_bytes = usize::try_from(reader.number(2)?).ok()?;
        let mut rest = Reader(reader.bytes(rest_bytes)?);
        let source = SourceName::parse(std::str::from_utf8(rest.short()?).ok()?).ok()?;
        let newest = if flags & HAS_NEWEST == 0 { None } else { Some(rest.bytes(16)?.try_into().ok()?) };
        let tag = (!rest.0.is_empty()).then(|| String::from_utf8(rest.0.to_vec())).transpose().ok()?;
        let lane = Lane { state, due, wakes: flags & WAKES != 0, tag };
        Some((Self { lane, since, entries, source, newest, flags }, HEAD_BYTES + rest_bytes))
    }

    /// As it is stored.
    pub(super) fn write(&self) -> Result<Vec<u8>, StoreError> {
        let mut rest = short(self.source.as_str().as_bytes())?;
        rest.extend(self.newest.iter().flatten());
        rest.extend(self.lane.tag.as_deref().unwrap_or_default().as_bytes());
        let newest = if self.newest.is_some() { HAS_NEWEST } else { 0 };
        let wakes = if self.lane.wakes { WAKES } else { 0 };
        let mut text = vec![FORMAT];
        text.extend(letter(self.lane.state).as_bytes());
        text.push(self.flags & !(HAS_NEWEST | WAKES) | newest | wakes);
        text.extend(time(self.since));
        text.extend(time(self.lane.due.map_or(UnixMs(0), |due| due.max(UnixMs(1)))));
        text.extend(u32::try_from(self.entries).map_err(too_large)?.to_be_bytes());
        text.extend(u16::try_from(rest.len()).map_err(too_large)?.to_be_bytes());
        text.extend(rest);
        Ok(text)
    }
}

/// The complete entries, in order.
pub(super) fn entries(text: &[u8]) -> Vec<InboxEntry> {
    let mut reader = Reader(text);
    let mut one = || {
        let seq = reader.number(7)?;
        let bytes = usize::try_from(reader.number(4)?).ok()?;
        Some(InboxEntry { seq, bytes: Bytes::copy_from_slice(reader.bytes(bytes)?) })
    };
    std::iter::from_fn(&mut one).collect()
}

/// An entry as scripts receive it; they give it its place.
pub(super) fn body(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let length = u32::try_from(bytes.len()).map_err(too_large)?;
    let mut body = Vec::with_capacity(bytes.len() + ENTRY_HEAD_BYTES);
    body.extend(length.to_be_bytes());
    body.extend(bytes);
    Ok(body)
}

/// A dead letter as stored. `blocks`: the person whose lane it blocks; none for an unmapped record.
pub(super) fn dead_row(row: &DeadRow, blocks: Option<PersonId>) -> Result<Vec<u8>, StoreError> {
    let person = blocks.or_else(|| row.person.as_ref().map(Person::id)).unwrap_or(PersonId(0));
    let mut text = vec![FORMAT, u8::from(blocks.is_none())];
    text.extend(time(row.died_at));
    text.extend(person.0.to_be_bytes());
    text.extend(short(row.code.as_bytes())?);
    text.extend(short(row.source.as_str().as_bytes())?);
    // A struct of strings and numbers always serialises.
    text.extend(serde_json::to_vec(row).unwrap_or_default());
    Ok(text)
}

/// Reads a dead letter.
pub(super) fn read_dead_row(id: JobId, text: &[u8]) -> Result<DeadRow, StoreError> {
    let mut reader = Reader(text);
    let mut json = || {
        let format = reader.number(1)?;
        reader.bytes(1 + 6 + 8)?;
        reader.short()?;
        reader.short()?;
        (format == u64::from(FORMAT)).then_some(reader.0)
    };
    json().and_then(|json| serde_json::from_slice(json).ok()).ok_or_else(|| unexpected(&format!("dead letter {id}")))
}

fn short(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let length = u8::try_from(bytes.len()).map_err(too_large)?;
    Ok([&[length], bytes].concat())
}

/// 6 bytes: some 8,900 years.
pub(super) fn time(at: UnixMs) -> [u8; 6] {
    let ms = u64::try_from(at.0).unwrap_or(0).min((1 << 48) - 1).to_be_bytes();
    [ms[2], ms[3], ms[4], ms[5], ms[6], ms[7]]
}

fn too_large(_: TryFromIntError) -> StoreError {
    StoreError::Damaged("a record is too large to be stored".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let lane = Lane { state: LaneState::Held, due: Some(UnixMs(77)), wakes: false, tag: Some("all".to_owned()) };
        let source = SourceName::parse("hr").unwrap();
        Head { lane, since: UnixMs(5), entries: 3, source, newest: Some([7; 16]), flags: HAS_DOCUMENT | HAS_NEWEST }
    }

    /// An entry as stored in an inbox.
    fn entry(seq: u64, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok([&seq.to_be_bytes()[1..], &body(bytes)?].concat())
    }

    #[test]
    fn a_lane_reads_back_and_its_inbox_follows() {
        let mut text = head().write().unwrap();
        let inbox_at = text.len();
        text.extend(entry(9, b"hello").unwrap());
        assert_eq!(Head::read(&text), Some((head(), inbox_at)));
        assert_eq!(entries(&text[inbox_at..]), [InboxEntry { seq: 9, bytes: Bytes::from_static(b"hello") }]);
    }

    #[test]
    fn a_truncated_or_newer_value_does_not_read() {
        let text = head().write().unwrap();
        for cut in 0..text.len() - 3 {
            assert_eq!(Head::read(&text[..cut]), None, "{cut}");
        }
        assert_eq!(Head::read(&[&[FORMAT + 1], &text[1..]].concat()), None);
        assert!(entries(&entry(9, b"hello").unwrap()[..12]).is_empty());
    }

    #[test]
    fn a_dead_letter_reads_back() {
        let row = DeadRow {
            id: JobId(5),
            source: SourceName::parse("hr").unwrap(),
            person: None,
            event: None,
            died_at: UnixMs(7),
            code: "MAP-FIELD".to_owned(),
            detail: "email".to_owned(),
            unmapped: true,
        };
        let text = dead_row(&row, None).unwrap();
        assert_eq!(read_dead_row(row.id, &text).unwrap(), row);
        assert!(read_dead_row(row.id, &text[..9]).is_err());
    }
}
