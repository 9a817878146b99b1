//! Remembering and queueing: one step.

use super::link::Arg;
use super::reply::{Reply, id_of, unexpected};
use super::rows::{blob, event_row, kind_letter};
use super::{Redis, scripts, signed};
use crate::core::time::UnixMs;
use crate::store::{Accepted, NewDelivery, NewJob, StoreError};

impl Redis {
    pub(super) async fn accept_delivery(&self, now: UnixMs, delivery: &NewDelivery) -> Result<Accepted, StoreError> {
        let dedupe = &delivery.dedupe;
        let mut args: Vec<Arg<'_>> = vec![
            dedupe.key.as_slice().into(),
            dedupe.fingerprint.as_slice().into(),
            signed(dedupe.remember_ms).into(),
            signed(self.options.high_water_jobs).into(),
            delivery.source.as_str().into(),
            signed(delivery.jobs.len() as u64).into(),
        ];
        for job in &delivery.jobs {
            args.extend(job_args(job)?);
        }
        for record in &delivery.unmapped {
            args.push(blob(record.id).into());
            args.push(record.person.as_ref().map(ToString::to_string).unwrap_or_default().into());
            args.push(record.code.as_str().into());
            // A line in the record.
            args.push(record.detail.replace('\n', " ").into());
            args.push(record.payload.as_str().into());
        }
        let mut reply = Reply::of(self.run_durably(&scripts::ACCEPT, now, args).await?)?;
        match reply.text()?.as_str() {
            "s" => Ok(Accepted::Stored),
            "f" => Ok(Accepted::Full),
            "c" => Ok(Accepted::Conflict),
            "d" => {
                let ids = reply.bytes()?;
                let jobs = ids.chunks(16).map(id_of).collect::<Result<_, _>>()?;
                Ok(Accepted::Duplicate { jobs })
            }
            _ => Err(unexpected("the answer to a delivery")),
        }
    }
}

/// A new job for a script: id, kind, person, event.
pub(super) fn job_args(job: &NewJob) -> Result<[Arg<'static>; 4], StoreError> {
    Ok([
        blob(job.id).into(),
        kind_letter(job.event.kind()).into(),
        job.event.person.to_string().into(),
        event_row(&job.event)?.into(),
    ])
}
