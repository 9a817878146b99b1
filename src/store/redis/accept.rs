//! Remembering and queueing: one step.

use std::slice;

use deadpool_redis::redis::Value;

use super::link::Arg;
use super::reply::{Reply, id_of, unexpected};
use super::rows::{blob, event_row, kind_letter};
use super::{Calls, Redis, scripts, signed};
use crate::core::time::UnixMs;
use crate::store::{Accepted, NewDelivery, NewJob, StoreError};

impl Redis {
    pub(super) async fn accept_delivery(&self, now: UnixMs, delivery: &NewDelivery) -> Result<Accepted, StoreError> {
        let own = delivery_args(delivery)?;
        let answer = if let Some(gather) = &self.gather {
            gather.accept(now, own).await?
        } else {
            let args = self.calls.accept_args(slice::from_ref(&own));
            let answers = answers_of(self.calls.run_durably(&scripts::ACCEPT, now, args).await?)?;
            answers.into_iter().next().unwrap_or_default()
        };
        match answer.split_first() {
            Some((b's', [])) => Ok(Accepted::Stored),
            Some((b'f', [])) => Ok(Accepted::Full),
            Some((b'c', [])) => Ok(Accepted::Conflict),
            Some((b'x', [])) => Err(unexpected("a lane")),
            Some((b'd', ids)) => {
                let jobs = ids.chunks(16).map(id_of).collect::<Result<_, _>>()?;
                Ok(Accepted::Duplicate { jobs })
            }
            _ => Err(unexpected("the answer to a delivery")),
        }
    }
}

impl Calls {
    /// What the script is given for these deliveries.
    pub(super) fn accept_args<'a>(&self, deliveries: &'a [Vec<Arg<'_>>]) -> Vec<Arg<'a>> {
        let mut args = vec![signed(self.options.high_water_jobs).into(), signed(deliveries.len() as u64).into()];
        args.extend(deliveries.iter().flatten().map(Arg::borrowed));
        args
    }
}

/// What the script answers, a text for each delivery.
pub(super) fn answers_of(value: Value) -> Result<Vec<Vec<u8>>, StoreError> {
    Reply::of(value)?.all_bytes()
}

/// A delivery for the script.
fn delivery_args(delivery: &NewDelivery) -> Result<Vec<Arg<'static>>, StoreError> {
    let mut args: Vec<Arg<'static>> = Vec::with_capacity(1 + delivery.jobs.len() + delivery.unmapped.len() * 5);
    args.push(head(delivery)?.into());
    for job in &delivery.jobs {
        args.push(job_arg(job)?);
    }
    for record in &delivery.unmapped {
        args.push(blob(record.id).into());
        args.push(record.person.as_ref().map(ToString::to_string).unwrap_or_default().into());
        args.push(record.code.as_str().into());
        // A line in the record.
        args.push(record.detail.replace('\n', " ").into());
        args.push(record.payload.clone().into());
    }
    Ok(args)
}

/// What the script is told first of a delivery.
fn head(delivery: &NewDelivery) -> Result<Vec<u8>, StoreError> {
    let count = |records: usize| {
        u32::try_from(records).map(u32::to_be_bytes).map_err(|_| StoreError::Damaged("too many records".to_owned()))
    };
    let dedupe = &delivery.dedupe;
    let mut head = Vec::with_capacity(80);
    head.extend(dedupe.key);
    head.extend(dedupe.fingerprint);
    head.extend(signed(dedupe.remember_ms).to_be_bytes());
    head.extend(count(delivery.jobs.len())?);
    head.extend(count(delivery.unmapped.len())?);
    head.extend(delivery.source.as_str().as_bytes());
    Ok(head)
}

/// A new job for a script: see `lua/enqueue.lua`.
pub(super) fn job_arg(job: &NewJob) -> Result<Arg<'static>, StoreError> {
    let event = event_row(&job.event)?;
    let mut arg = Vec::with_capacity(64 + event.len());
    arg.extend(kind_letter(job.event.kind()).as_bytes());
    arg.extend(job.id.0.to_be_bytes());
    arg.extend(job.event.person.to_string().as_bytes());
    arg.push(b'\n');
    arg.extend(event.as_bytes());
    Ok(arg.into())
}
