//! What workers do: claim, renew, commit, own; and what makes people due.

use super::keys::Of;
use super::layout::{body, dead_row, entries, letter};
use super::link::Arg;
use super::reply::{ScriptReply, person_of, unexpected};
use super::{Redis, blob, from_now, local, scripts, signed};
use crate::core::time::UnixMs;
use crate::store::{
    Claim, ClaimRequest, Claimed, Commit, Committed, DeadChange, Lease, NewEntry, Own, Owned, RELEASED_MAX, StoreError,
};

/// People made due by one call: everybody waits while the script runs.
const RELEASED_AT_ONCE: u64 = 500;

impl Redis {
    pub(super) async fn claim_people(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let count = |most: usize| signed(most as u64).min(COUNT_MAX);
        let lost_from = request.lost_from.map(|number| number.to_string()).unwrap_or_default();
        let args: Vec<Arg<'_>> = vec![
            (&*request.worker).into(),
            signed(request.number).into(),
            lost_from.into(),
            count(request.people_max).into(),
            signed(request.lease_ms).into(),
            count(request.entries_max).into(),
            request.parked.clone().unwrap_or_default().into(),
        ];
        let mut reply = self.calls.run(&scripts::CLAIM, now, Vec::new(), args).await?;
        let server_now = reply.time()?;
        let until = reply.optional_number()?.map(UnixMs);
        let claimed = |mut one: ScriptReply| {
            let person = one.person()?;
            let fence = one.count()?;
            let until = local(one.time()?, server_now, now);
            let taken_over = one.number()? == 1;
            let inbox = entries(&one.bytes()?);
            let document = one.optional()?.map(Into::into);
            Ok(Claimed { lease: Lease { person, fence, until }, document, inbox, taken_over })
        };
        let people: Vec<Claimed> = reply.lists().map(|one| claimed(one?)).collect::<Result<_, StoreError>>()?;
        if people.is_empty() {
            return Ok(Claim::Nobody { until: until.map(|until| local(until, server_now, now)) });
        }
        Ok(Claim::People(people))
    }

    pub(super) async fn renew_lease(&self, now: UnixMs, lease: &Lease, ms: u64) -> Result<Option<Lease>, StoreError> {
        let key = self.calls.keys.of(Of::Lane, lease.person);
        let args = vec![signed(lease.fence).into(), signed(ms).into()];
        let mut reply = self.calls.run(&scripts::RENEW, now, vec![&key], args).await?;
        if reply.is_empty() {
            return Ok(None);
        }
        let server_now = reply.time()?;
        Ok(Some(Lease { until: local(reply.time()?, server_now, now), ..lease.clone() }))
    }

    pub(super) async fn commit_attempt(
        &self,
        now: UnixMs,
        lease: &Lease,
        commit: Commit,
    ) -> Result<Committed, StoreError> {
        let lane = &commit.lane;
        let (dead_id, row) = match &commit.dead {
            DeadChange::None => (Vec::new(), Vec::new()),
            DeadChange::Is(row) => (blob(row.id), dead_row(row, Some(lease.person))?),
        };
        let mut args: Vec<Arg<'_>> = vec![
            signed(lease.fence).into(),
            commit.consumed_to.map(|seq| signed(seq).to_string()).unwrap_or_default().into(),
            letter(lane.state).into(),
            lane.due.map(|due| from_now(due, now).to_string()).unwrap_or_default().into(),
            i64::from(lane.wakes).into(),
            lane.tag.as_deref().unwrap_or_default().into(),
            i64::from(commit.document.is_some()).into(),
            commit.document.as_deref().unwrap_or_default().into(),
            dead_id.into(),
            row.into(),
            i64::from(self.calls.options.bounds.story_entries_max).into(),
        ];
        let words: [&[String]; 4] = [&commit.terms_removed, &commit.terms_added, &commit.disowned, &commit.released];
        args.push(signed(RELEASED_MAX).into());
        args.push(signed(commit.story.len() as u64).into());
        args.extend(words.iter().map(|words| signed(words.len() as u64).into()));
        args.push(signed(commit.outgoing.len() as u64).into());
        args.extend(commit.story.iter().map(|entry| Arg::from(&entry[..])));
        args.extend(words.iter().flat_map(|words| words.iter()).map(|word| Arg::from(word.as_str())));
        let keys = self.calls.keys.of_person(lease.person);
        let mut lanes = Vec::new();
        for entry in &commit.outgoing {
            args.push(body(&entry.bytes)?.into());
            lanes.push(self.calls.keys.of(Of::Lane, entry.person.id()));
        }
        let keys = keys.iter().chain(&lanes).map(Vec::as_slice).collect();
        match self.calls.run(&scripts::COMMIT, now, keys, args).await?.number()? {
            1 => Ok(Committed::Committed),
            0 => Ok(Committed::Stale),
            _ => Err(unexpected(&format!("the inbox of {}", lease.person))),
        }
    }

    pub(super) async fn own_keys(&self, now: UnixMs, lease: &Lease, own: &Own) -> Result<Owned, StoreError> {
        let former = own.from.as_ref().map_or(lease.person, |former| former.person);
        let mut args: Vec<Arg<'_>> = vec![signed(lease.fence).into()];
        match &own.from {
            None => args.extend([""; 5].map(Arg::from)),
            Some(former) => {
                args.push(former.person.0.to_be_bytes().to_vec().into());
                let entry = former.entry.as_ref();
                args.push(entry.map(|entry| body(&entry.bytes)).transpose()?.unwrap_or_default().into());
                args.push(entry.map_or("", |entry| entry.person.source.as_str()).into());
                args.push(letter(former.state).into());
                args.push(former.document[..].into());
            }
        }
        args.extend(own.keys.iter().map(|key| Arg::from(key.as_str())));
        let mine = [Of::Lane, Of::Words].map(|of| self.calls.keys.of(of, lease.person));
        let theirs = [Of::Lane, Of::Words, Of::Document].map(|of| self.calls.keys.of(of, former));
        let keys = mine.iter().chain(&theirs);
        let keys = keys.map(Vec::as_slice).collect();
        let answer = self.calls.run(&scripts::OWN, now, keys, args).await?.bytes()?;
        match answer.as_slice() {
            b"1" => Ok(Owned::Yes),
            b"0" => Ok(Owned::Stale),
            whose => person_of(whose).map(Owned::By),
        }
    }

    pub(super) async fn release_parked(&self, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError> {
        let key = self.calls.keys.tag(tag);
        let mut released = 0;
        loop {
            let wanted = (people_max - released).min(RELEASED_AT_ONCE);
            if wanted == 0 {
                return Ok(released);
            }
            let args = vec![signed(wanted).into()];
            let mut reply = self.calls.run(&scripts::RELEASE, now, vec![&key], args).await?;
            released += reply.count()?;
            if reply.count()? < wanted {
                return Ok(released);
            }
        }
    }

    pub(super) async fn put_entry(&self, now: UnixMs, entry: &NewEntry) -> Result<bool, StoreError> {
        let key = self.calls.keys.of(Of::Lane, entry.person.id());
        let args = vec![body(&entry.bytes)?.into()];
        match self.calls.run_durably(&scripts::PUT, now, vec![&key], args).await?.number()? {
            -1 => Err(unexpected(&format!("the lane of {}", entry.person.id()))),
            is_there => Ok(is_there == 1),
        }
    }
}

/// Far more than any worker can take, and well within Lua's numbers.
const COUNT_MAX: i64 = 1_000_000;
