//! The content as no engine in particular has it: read page by page, taken in batch by batch.

use async_trait::async_trait;
use deadpool_redis::redis::Value;

use super::link::Arg;
use super::reply::{Reply, id_of, text_of, unexpected};
use super::rows::{self, View, blob, to_json};
use super::{Redis, claim, scripts, signed};
use crate::core::code::Code;
use crate::core::event::Person;
use crate::core::job::{DeadLetter, DeadOrigin, DirectoryEntry, HistoryEntry, JobState, Note, extend_history};
use crate::core::time::UnixMs;
use crate::store::transfer::MARK;
use crate::store::{
    Activity, Exported, Fate, Origin, Position, Record, Remembered, Room, Section, Store, StoreError, Transfer,
};

#[async_trait]
impl Transfer for Redis {
    async fn activity(&self, now: UnixMs) -> Result<Activity, StoreError> {
        let mut reply = Reply::of(self.run(&scripts::ACTIVITY, now, Vec::new()).await?)?;
        Ok(Activity { leases: reply.unsigned()?, listeners: reply.unsigned()?, steps: reply.unsigned()? })
    }

    async fn origin(&self, fresh: [u8; 16]) -> Result<Origin, StoreError> {
        let args = vec![fresh.as_slice().into()];
        let mut reply = Reply::of(self.run(&scripts::ORIGIN, UnixMs::default(), args).await?)?;
        let id = reply.bytes()?.try_into().map_err(|_| unexpected("the store's id"))?;
        Ok(Origin { id, next_seq: reply.unsigned()? })
    }

    async fn export(
        &self,
        now: UnixMs,
        section: Section,
        after: Option<&Position>,
        records_max: usize,
    ) -> Result<Exported, StoreError> {
        if section == Section::Holds {
            let holds = self.holds().await?.into_iter().filter(|hold| hold.code != Code::HoldCopied);
            return Ok(Exported { records: holds.map(Record::Hold).collect(), next: None });
        }
        let after = after.map(|position| position.0.as_slice()).unwrap_or_default();
        let args: Vec<Arg<'_>> = vec![section.as_str().into(), after.into(), signed(records_max as u64).into()];
        let mut reply = Reply::of(self.run(&scripts::EXPORT, now, args).await?)?;
        let next = Some(reply.bytes()?).filter(|next| !next.is_empty()).map(Position);
        let mut records = Vec::new();
        for one in reply.lists() {
            records.extend(record(section, one?, now)?);
        }
        Ok(Exported { records, next })
    }

    async fn make_room(&self, origin: &Origin) -> Result<Room, StoreError> {
        let args = vec![origin.id.as_slice().into(), signed(origin.next_seq).into()];
        let room = text_of(self.calls.run_durably(&scripts::MAKE_ROOM, UnixMs::default(), args).await?)?;
        match room.as_str() {
            "same" => Ok(Room::Same),
            "newer" => Ok(Room::Newer),
            base => base.parse().map(Room::Kept).map_err(|_| unexpected("a range of sequences")),
        }
    }

    async fn import(&self, now: UnixMs, base: u64, records: Vec<Record>) -> Result<Vec<Fate>, StoreError> {
        let args = import_args(base, &records, true)?;
        fates(self.calls.run_durably(&scripts::IMPORT, now, args).await?)
    }

    async fn compare(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Fate>, StoreError> {
        let args = import_args(0, &records, false)?;
        fates(self.run(&scripts::IMPORT, now, args).await?)
    }
}

/// Reads a record; none where it is gone.
fn record(section: Section, mut reply: Reply, now: UnixMs) -> Result<Option<Record>, StoreError> {
    match section {
        Section::Holds => Ok(None),
        Section::People => {
            let person = Person::from_key(&reply.text()?).ok_or_else(|| unexpected("a person's key"))?;
            let entry = claim::directory(&reply.text()?)?;
            Ok(entry.map(|entry| Record::Person(person, entry)))
        }
        Section::Deliveries => {
            let mut half = || reply.bytes()?.try_into().map_err(|_| unexpected("a remembered delivery"));
            let (key, fingerprint) = (half()?, half()?);
            if fingerprint == MARK {
                return Ok(None);
            }
            let until = reply.time()?;
            let ids = reply.bytes()?.chunks(16).map(id_of).collect::<Result<_, _>>()?;
            Ok(Some(Record::Delivery(Remembered { key, fingerprint, until, ids })))
        }
        Section::Dead | Section::Waiting | Section::Finished => {
            let (_, view) = View::read(reply)?;
            let Some(view) = view else { return Ok(None) };
            if section == Section::Dead {
                return Ok(view.into_letter()?.map(|letter| Record::Dead(Box::new(letter))));
            }
            let own_due_at = view.own_due_at();
            let Some(view) = view.into_job()? else { return Ok(None) };
            let mut job = Box::new(view.job);
            Ok(match (section, view.finished) {
                (Section::Finished, Some((at, outcome))) => Some(Record::Finished { job, at, outcome }),
                (Section::Finished, None) => None,
                // Its lease has run out, or nobody serves any more: this is what the next claim would do.
                (_, _) if view.state == JobState::Running => {
                    job.take_overs = job.take_overs.saturating_add(1);
                    extend_history(&mut job.history, [HistoryEntry { at: now, note: Note::TakenOver }]);
                    Some(Record::Waiting { job, due_at: now })
                }
                (_, _) => {
                    let due_at = view.due_at.or(own_due_at).unwrap_or(job.accepted_at);
                    Some(Record::Waiting { job, due_at })
                }
            })
        }
    }
}

fn fates(reply: Value) -> Result<Vec<Fate>, StoreError> {
    let letters = text_of(reply)?;
    let fate = |letter| match letter {
        't' => Ok(Fate::Taken),
        'k' => Ok(Fate::Known),
        _ => Err(unexpected("what became of a record")),
    };
    letters.chars().map(fate).collect()
}

/// See `lua/import.lua`.
fn import_args(base: u64, records: &[Record], writes: bool) -> Result<Vec<Arg<'_>>, StoreError> {
    let mut remember_ms = 0;
    let mut args: Vec<Arg<'_>> = vec![i64::from(writes).into(), 0.into()];
    for record in records {
        let mark = record.mark().map_or(Arg::from(""), |mark| {
            remember_ms = mark.remember_ms;
            mark.key.to_vec().into()
        });
        match record {
            Record::Hold(hold) => {
                let next = hold.next_probe_at.map_or(Arg::from(""), |at| at.0.into());
                let fields = [hold.scope.as_str().into(), hold.code.as_str().into(), hold.since.0.into()];
                args.extend(["h".into(), mark]);
                args.extend(fields);
                args.extend([next, i64::from(hold.probes).into()]);
            }
            Record::Person(person, entry) => {
                let seq = if entry.seq == 0 { 0 } else { base + entry.seq };
                let row = to_json(&DirectoryEntry { seq, ..entry.clone() })?;
                args.extend(["p".into(), person.to_string().into(), row.into(), entry.in_line_at.0.into()]);
            }
            Record::Dead(letter) => dead_args(&mut args, base, mark, letter)?,
            Record::Waiting { job, due_at } => {
                let (person, seq) = (job.event.person.to_string(), signed(base + job.seq));
                args.extend(["w".into(), mark, blob(job.id).into(), due_at.0.into()]);
                args.extend([rows::kind_letter(job.event.kind()).into(), seq.into(), person.into()]);
                args.push(rows::job_record(job, base, *due_at)?.into());
            }
            Record::Finished { job, at, outcome } => {
                let (person, seq) = (job.event.person.to_string(), signed(base + job.seq));
                let ended = format!("d {at} {}", outcome.as_str(), at = at.0);
                args.extend(["d".into(), blob(job.id).into(), ended.into(), at.0.into(), seq.into(), person.into()]);
                args.push(rows::job_record(job, base, job.accepted_at)?.into());
            }
            Record::Delivery(delivery) => {
                let ids: Vec<u8> = delivery.ids.iter().flat_map(|id| blob(*id)).collect();
                args.extend(["s".into(), delivery.key.as_slice().into(), delivery.fingerprint.as_slice().into()]);
                args.extend([delivery.until.0.into(), ids.into()]);
            }
        }
    }
    args[1] = signed(remember_ms).into();
    Ok(args)
}

fn dead_args<'a>(args: &mut Vec<Arg<'a>>, base: u64, mark: Arg<'a>, letter: &'a DeadLetter) -> Result<(), StoreError> {
    // Each a line in the record.
    let detail = letter.detail.replace('\n', " ");
    let (at, code) = (letter.died_at.0, letter.code.as_str());
    match &letter.origin {
        DeadOrigin::Job(job) => {
            let (person, seq) = (job.event.person.to_string(), signed(base + job.seq));
            args.extend(["x".into(), mark, blob(letter.id).into(), format!("x {at} {code}\n{detail}").into()]);
            args.extend([rows::kind_letter(job.event.kind()).into(), seq.into(), person.into()]);
            args.push(rows::job_record(job, base, job.accepted_at)?.into());
        }
        DeadOrigin::Unmapped { person, payload } => {
            let person = person.as_ref().map(ToString::to_string).unwrap_or_default();
            let ended = format!("u {at} {code} {}\n{person}\n{detail}\n{payload}", letter.source.as_str());
            args.extend(["u".into(), mark, blob(letter.id).into(), ended.into(), person.into()]);
        }
    }
    Ok(())
}
