//! Accepting deliveries: remembered and queued in one step.

use std::slice;
use std::time::{Duration, Instant};

use super::keys::{Of, bucket_of};
use super::layout::{body, dead_row};
use super::link::Arg;
use super::reply::{remembered_of, unexpected};
use super::{Calls, Redis, blob, scripts, signed};
use crate::core::code::Code;
use crate::core::time::UnixMs;
use crate::store::{Accepted, Dedupe, FullBound, NewDelivery, NewUnmapped, StoreError};

/// After this long without an answer, the HR system may have given up, and will send the delivery again.
const OFFERED_AGAIN_WITHIN: Duration = Duration::from_secs(2);

/// A delivery as the script's arguments.
pub(super) struct Packed {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) args: Vec<Arg<'static>>,
}

impl Redis {
    /// If the connection is lost before the answer, a delivery that is remembered is offered once more: that is safe,
    /// and spares the HR system a 503.
    pub(super) async fn accept_delivery(&self, now: UnixMs, delivery: &NewDelivery) -> Result<Accepted, StoreError> {
        let began = Instant::now();
        match self.accept_once(now, delivery).await {
            Err(error)
                if error.code() == Some(Code::StoreLost)
                    && delivery.dedupe.is_some()
                    && began.elapsed() < OFFERED_AGAIN_WITHIN =>
            {
                match self.accept_once(now, delivery).await? {
                    // It was stored the first time; only the answer was lost.
                    Accepted::Duplicate { ids } if delivery.ids().eq(ids.iter().copied()) => Ok(Accepted::Stored),
                    accepted => Ok(accepted),
                }
            }
            accepted => accepted,
        }
    }

    async fn accept_once(&self, now: UnixMs, delivery: &NewDelivery) -> Result<Accepted, StoreError> {
        let packed = self.calls.packed(delivery)?;
        let answer = if let Some(gather) = &self.gather {
            gather.accept(now, packed).await?
        } else {
            let (keys, args) = self.calls.accept_call(slice::from_ref(&packed));
            let answers = self.calls.run_durably(&scripts::ACCEPT, now, keys, args).await?.all_bytes()?;
            answers.into_iter().next().unwrap_or_default()
        };
        match answer.split_first() {
            Some((b's', [])) => Ok(Accepted::Stored),
            Some((b'e', [])) => Ok(Accepted::Full(FullBound::Entries)),
            Some((b'l', [])) => Ok(Accepted::Full(FullBound::DeadLetters)),
            Some((b'b', [])) => Ok(Accepted::Full(FullBound::DeadBytes)),
            Some((b'x', [])) => Err(unexpected("a lane")),
            Some((b'd', known)) => {
                let (ids, said) = remembered_of(known)?;
                let dedupe = delivery.dedupe.as_ref().ok_or_else(|| unexpected("the answer to a delivery"))?;
                Ok(Accepted::known(ids, said, dedupe))
            }
            _ => Err(unexpected("the answer to a delivery")),
        }
    }
}

impl Calls {
    /// The script's arguments for these deliveries.
    pub(super) fn accept_call<'a>(&self, deliveries: &'a [Packed]) -> (Vec<&'a [u8]>, Vec<Arg<'a>>) {
        let bounds = self.options.bounds;
        let mut args: Vec<Arg<'a>> = [bounds.entries_max, bounds.dead_letters_max, bounds.dead_bytes_max]
            .map(|bound| signed(bound).into())
            .into();
        args.push(signed(deliveries.len() as u64).into());
        args.extend(deliveries.iter().flat_map(|packed| &packed.args).map(Arg::borrowed));
        let keys = deliveries.iter().flat_map(|packed| &packed.keys).map(Vec::as_slice).collect();
        (keys, args)
    }

    /// A delivery for the script.
    fn packed(&self, delivery: &NewDelivery) -> Result<Packed, StoreError> {
        let mut keys = Vec::with_capacity(1 + delivery.entries.len() * 2);
        let count = 2 + delivery.entries.len() * 2 + delivery.unmapped.len() * 3;
        let mut args: Vec<Arg<'static>> = Vec::with_capacity(count);
        args.push(head(delivery)?.into());
        let says = delivery.dedupe.as_ref().and_then(Dedupe::remembered_says);
        args.push(
            delivery
                .ids()
                .flat_map(blob)
                .chain(says.into_iter().flat_map(u32::to_be_bytes))
                .collect::<Vec<u8>>()
                .into(),
        );
        keys.extend(delivery.dedupe.map(|dedupe| self.keys.delivery(dedupe.key)));
        for entry in &delivery.entries {
            let person = entry.person.id();
            let (bucket, number) = bucket_of(person);
            keys.extend([self.keys.of(Of::Lane, person), self.keys.bucket(bucket)]);
            args.extend([body(&entry.bytes)?.into(), signed(number).into()]);
        }
        for unmapped in &delivery.unmapped {
            args.extend(unmapped_args(unmapped)?);
        }
        Ok(Packed { keys, args })
    }
}

/// An unmapped record for a script: id, row, payload.
pub(super) fn unmapped_args(unmapped: &NewUnmapped) -> Result<[Arg<'static>; 3], StoreError> {
    let NewUnmapped { row, payload } = unmapped;
    Ok([blob(row.id).into(), dead_row(row, None)?.into(), payload.to_vec().into()])
}

/// The first argument about a delivery for the script.
fn head(delivery: &NewDelivery) -> Result<Vec<u8>, StoreError> {
    let count = |records: usize| {
        u32::try_from(records).map(u32::to_be_bytes).map_err(|_| StoreError::Damaged("too many records".to_owned()))
    };
    let (kind, remember_ms) = match &delivery.dedupe {
        None => (0, 0),
        Some(dedupe) => (if dedupe.only_while_newest { 2 } else { 1 }, dedupe.remember_ms.clamp(1, REMEMBER_MS_MAX)),
    };
    let mut head = Vec::with_capacity(48);
    head.push(kind);
    head.extend(&remember_ms.to_be_bytes()[2..]);
    head.extend(count(delivery.entries.len())?);
    head.extend(count(delivery.unmapped.len())?);
    head.extend(delivery.source.as_str().as_bytes());
    Ok(head)
}

/// Some thirty years: the server refuses an expiry beyond its own range.
const REMEMBER_MS_MAX: u64 = 1_000_000_000_000;
