//! Giving out lanes.

use super::reply::{Reply, unexpected};
use super::rows::{job, word};
use super::{Redis, local, scripts, signed};
use crate::core::event::EventKind;
use crate::core::hold::HoldScope;
use crate::core::job::DirectoryEntry;
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;
use crate::store::{Claim, ClaimRequest, ClaimedJob, Lease, StoreError, WaitReason};

impl Redis {
    pub(super) async fn claim_lanes(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let args = vec![signed(request.jobs_max as u64).into(), signed(request.lease_ms).into()];
        let mut reply = Reply::of(self.run(&scripts::CLAIM, now, args).await?)?;
        let answer = reply.text()?;
        let server_now = reply.time()?;
        match answer.as_str() {
            "j" => {
                let jobs = reply.lists().map(|one| claimed(one?, server_now, now)).collect::<Result<_, _>>()?;
                Ok(Claim::Jobs(jobs))
            }
            "p" => Ok(Claim::Probe(scope(&reply.text()?)?)),
            "w" => {
                let until = reply.optional_time()?.map(|at| local(at, server_now, now));
                let reason = match reply.text()?.as_str() {
                    "write" => WaitReason::Token(CallKind::Write),
                    "read" => WaitReason::Token(CallKind::Read),
                    "hold" => WaitReason::Hold,
                    _ => WaitReason::NothingDue,
                };
                Ok(Claim::Wait { until, reason })
            }
            _ => Err(unexpected("the answer to a claim")),
        }
    }

    pub(super) async fn renew_lease(
        &self,
        now: UnixMs,
        lease: &Lease,
        lease_ms: u64,
    ) -> Result<Option<Lease>, StoreError> {
        let args = vec![
            lease.person.to_string().into(),
            signed(lease.fence).into(),
            signed(lease_ms).into(),
            lease.trial_of.map_or("", HoldScope::as_str).into(),
        ];
        let mut reply = Reply::of(self.run(&scripts::RENEW, now, args).await?)?;
        let until = reply.optional_time()?;
        let server_now = reply.time()?;
        Ok(until.map(|until| Lease { until: local(until, server_now, now), ..lease.clone() }))
    }
}

fn claimed(mut reply: Reply, server_now: UnixMs, now: UnixMs) -> Result<ClaimedJob, StoreError> {
    let id = reply.id()?;
    let job = job(id, &reply.text()?)?;
    let fence = reply.unsigned()?;
    let until = local(reply.time()?, server_now, now);
    let trial_of = Some(reply.text()?).filter(|word| !word.is_empty()).map(|word| scope(&word)).transpose()?;
    let directory = directory(&reply.text()?)?;
    let token = match job.event.kind() {
        EventKind::Hire => CallKind::Write,
        EventKind::Rename => CallKind::Read,
    };
    let lease = Lease { person: job.event.person.clone(), job: id, fence, until, trial_of };
    Ok(ClaimedJob { lease, job, directory, token })
}

/// Reads an entry of the directory; none where the text is empty.
pub(super) fn directory(text: &str) -> Result<Option<DirectoryEntry>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).map_err(|_| unexpected("a person's directory entry"))
}

pub(super) fn scope(text: &str) -> Result<HoldScope, StoreError> {
    word(text).ok_or_else(|| unexpected("a hold's scope"))
}
