//! Dead letters.

use bytes::Bytes;

use super::accept::unmapped_args;
use super::keys::Of;
use super::layout::{body, read_dead_row};
use super::link::Arg;
use super::listings::Ask;
use super::reply::{id_of, parsed, unexpected};
use super::{Redis, blob, log_skipped, scripts, signed};
use crate::core::person::Person;
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;
use crate::store::listing::{cursor, read_cursor};
use crate::store::{
    DeadFilter, DeadRow, Listed, NewEntry, NewUnmapped, PAGE_BYTES_MAX, Page, RELEASED_MAX, StoreError,
};

/// Rows read in one call, and calls for one page: bounds how many rows a filter may skip.
const LOOKED_AT_ONCE: usize = 500;
const LOOKS_MAX: usize = 20;

impl Redis {
    pub(super) async fn list_dead(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, StoreError> {
        let after = match &page.after {
            None => None,
            Some(after) => match read_cursor(after, JobId::parse) {
                None => return Err(StoreError::Cursor),
                after => after,
            },
        };
        let mut left = self.dead_before(after, filter.died_before).await?;
        let (mut rows, mut bytes): (Vec<DeadRow>, usize) = (Vec::new(), 0);
        let mut last = None;
        for _ in 0..LOOKS_MAX {
            let found = self.look_at_dead(left).await?;
            left = left.saturating_sub(LOOKED_AT_ONCE);
            for (at, row) in found {
                let at = after.is_none_or(|after| at < after).then_some(at);
                let Some((died_at, id)) = at else { continue };
                let row = row.filter(|row| filter.takes(row));
                bytes += row.as_ref().map_or(0, DeadRow::bytes);
                if row.is_some() && !rows.is_empty() && (rows.len() >= page.rows_max || bytes > PAGE_BYTES_MAX) {
                    return Ok(Listed { rows, next: last });
                }
                rows.extend(row);
                last = Some(cursor(died_at, id));
            }
            if left == 0 {
                return Ok(Listed { rows, next: None });
            }
        }
        Ok(Listed { rows, next: last })
    }

    /// About how many died before; some of the same instant may be included.
    async fn dead_before(
        &self,
        after: Option<(UnixMs, JobId)>,
        died_before: Option<UnixMs>,
    ) -> Result<usize, StoreError> {
        let count = |until: UnixMs| Ask::of(&self.calls.keys, "ZCOUNT", "DEAD_AT", vec!["-inf".into(), until.0.into()]);
        let asks = match (after, died_before) {
            (None, None) => vec![Ask::of(&self.calls.keys, "ZCARD", "DEAD_AT", Vec::new())],
            (None, Some(before)) => vec![count(before)],
            (Some((at, id)), _) => {
                vec![Ask::of(&self.calls.keys, "ZRANK", "DEAD_AT", vec![blob(id).into()]), count(at)]
            }
        };
        let mut reply = self.read(&asks).await?;
        let mut count = reply.optional_number()?;
        if after.is_some() {
            count = count.or(reply.optional_number()?);
        }
        Ok(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
    }

    /// Of the `oldest` first ones, the last, newest first; unreadable ones are logged and left out.
    async fn look_at_dead(&self, oldest: usize) -> Result<Vec<((UnixMs, JobId), Option<DeadRow>)>, StoreError> {
        if oldest == 0 {
            return Ok(Vec::new());
        }
        let rank = |rank: usize| Arg::from(signed(rank as u64));
        let range = vec![rank(oldest.saturating_sub(LOOKED_AT_ONCE)), rank(oldest - 1), "WITHSCORES".into()];
        let mut reply = self.read(&[Ask::of(&self.calls.keys, "ZRANGE", "DEAD_AT", range)]).await?;
        let mut places = reply.list()?.pairs()?;
        places.reverse();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let ids = places.iter().map(|(id, _)| id.clone().into()).collect();
        let mut texts = self.read(&[Ask::of(&self.calls.keys, "HMGET", "DEAD", ids)]).await?.list()?;
        let mut found = Vec::with_capacity(places.len());
        for (id, at) in places {
            let (at, id) = (UnixMs(parsed(&at)?), id_of(&id)?);
            let row =
                texts.optional()?.and_then(|text| read_dead_row(id, &text).map_err(|error| log_skipped(&error)).ok());
            found.push(((at, id), row));
        }
        Ok(found)
    }

    pub(super) async fn find_dead(&self, id: JobId) -> Result<Option<(DeadRow, Option<Bytes>)>, StoreError> {
        let ask = |name| Ask::of(&self.calls.keys, "HGET", name, vec![blob(id).into()]);
        let mut reply = self.read(&[ask("DEAD"), ask("PAYLOADS")]).await?;
        let Some(text) = reply.optional()? else { return Ok(None) };
        Ok(Some((read_dead_row(id, &text)?, reply.optional()?.map(Bytes::from))))
    }

    pub(super) async fn replay_record(
        &self,
        now: UnixMs,
        id: JobId,
        entries: &[NewEntry],
        unmapped: &[NewUnmapped],
    ) -> Result<bool, StoreError> {
        let mut args: Vec<Arg<'_>> = vec![blob(id).into(), signed(entries.len() as u64).into()];
        for entry in entries {
            args.extend([body(&entry.bytes)?.into(), entry.person.source.as_str().into()]);
        }
        for record in unmapped {
            args.extend(unmapped_args(record)?);
        }
        let keys: Vec<_> = entries.iter().map(|entry| self.calls.keys.of(Of::Lane, entry.person.id())).collect();
        let keys = keys.iter().map(Vec::as_slice).collect();
        match self.calls.run_durably(&scripts::REPLAY, now, keys, args).await?.number()? {
            -1 => Err(unexpected("a lane")),
            was_there => Ok(was_there == 1),
        }
    }

    pub(super) async fn discard_record(&self, id: JobId) -> Result<bool, StoreError> {
        let args = vec![blob(id).into()];
        Ok(self.calls.run_durably(&scripts::DISCARD, self.last_known_now(), Vec::new(), args).await?.number()? == 1)
    }

    pub(super) async fn erase_person(
        &self,
        now: UnixMs,
        person: &Person,
        released: &[String],
    ) -> Result<bool, StoreError> {
        let id = person.id();
        let keys = self.calls.keys.of_person(id);
        let keys = keys.iter().map(Vec::as_slice).collect();
        let mut args: Vec<Arg<'_>> = vec![id.0.to_be_bytes().to_vec().into(), signed(RELEASED_MAX).into()];
        args.extend(released.iter().map(|tag| Arg::from(tag.as_str())));
        Ok(self.calls.run_durably(&scripts::ERASE, now, keys, args).await?.number()? == 1)
    }
}
