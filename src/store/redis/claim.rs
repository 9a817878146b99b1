//! Giving out lanes.

use tracing::error;

use super::reply::{Reply, unexpected};
use super::rows::{blob, job, word};
use super::{Redis, local, scripts, signed};
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::hold::HoldScope;
use crate::core::job::{DirectoryEntry, JobId};
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;
use crate::store::{Claim, ClaimRequest, ClaimedJob, Lease, StoreError, WaitReason};
use crate::telemetry::metrics as names;

impl Redis {
    pub(super) async fn claim_lanes(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let args = vec![
            signed(request.jobs_max as u64).into(),
            signed(request.lease_ms).into(),
            (*request.worker).into(),
            signed(request.number).into(),
            request.lost_from.map_or_else(String::new, |from| from.to_string()).into(),
        ];
        let mut reply = Reply::of(self.run(&scripts::CLAIM, now, args).await?)?;
        let answer = reply.text()?;
        let server_now = reply.time()?;
        tell_set_aside(reply.list()?)?;
        match answer.as_str() {
            "j" => {
                let mut jobs = Vec::new();
                for given in reply.lists() {
                    let given = Given::read(given?, server_now, now)?;
                    match given.claimed() {
                        Ok(claimed) => jobs.push(claimed),
                        Err(error) => self.set_aside(now, &given, &error).await,
                    }
                }
                if jobs.is_empty() {
                    return Ok(Claim::Wait { until: Some(now), reason: WaitReason::NothingDue });
                }
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
            lease.fence.to_string().into(),
            blob(lease.job).into(),
            signed(lease_ms).into(),
            lease.trial_of.map_or("", HoldScope::as_str).into(),
        ];
        let mut reply = Reply::of(self.run(&scripts::RENEW, now, args).await?)?;
        let until = reply.optional_time()?;
        let server_now = reply.time()?;
        Ok(until.map(|until| Lease { until: local(until, server_now, now), ..lease.clone() }))
    }

    /// What this version cannot read waits, uncounted: another version beside it may. The others of the
    /// same claim run.
    async fn set_aside(&self, now: UnixMs, given: &Given, error: &StoreError) {
        error!(job = %given.id, %error, "a job cannot be read by this version: it is set aside for a minute");
        count_damage();
        let args = vec![
            given.person.as_str().into(),
            given.fence.to_string().into(),
            blob(given.id).into(),
            given.trial_of.map_or("", HoldScope::as_str).into(),
            "failed".into(),
            "".into(),
            "".into(),
            "aside".into(),
            signed(UNREADABLE_AGAIN_MS).into(),
        ];
        if let Err(error) = self.run(&scripts::SETTLE, now, args).await {
            error!(job = %given.id, %error, "it could not be set aside, and keeps its lease until that runs out");
        }
    }
}

/// How long a job waits that this version cannot read: another version may be rolled out beside it.
const UNREADABLE_AGAIN_MS: u64 = 60_000;

/// What was not even there, or made no sense to the script.
fn tell_set_aside(jobs: Reply) -> Result<(), StoreError> {
    for job in jobs.all_bytes()? {
        let job = String::from_utf8_lossy(&job).into_owned();
        error!(
            job,
            "a lane points at a job, by its number, that is not there or does not read: it is set aside for an hour"
        );
        count_damage();
    }
    Ok(())
}

fn count_damage() {
    metrics::counter!(names::STORE_ERRORS_TOTAL, names::CODE => Code::StoreDamaged.as_str()).increment(1);
}

/// What a claim gives for a job, as it is stored.
struct Given {
    id: JobId,
    job: String,
    person: String,
    fence: u64,
    until: UnixMs,
    trial_of: Option<HoldScope>,
    directory: String,
    server_now: UnixMs,
    now: UnixMs,
}

impl Given {
    fn read(mut reply: Reply, server_now: UnixMs, now: UnixMs) -> Result<Self, StoreError> {
        Ok(Self {
            id: reply.id()?,
            job: reply.lossy_text()?,
            person: reply.lossy_text()?,
            fence: reply.unsigned()?,
            until: local(reply.time()?, server_now, now),
            trial_of: Some(reply.text()?).filter(|word| !word.is_empty()).map(|word| scope(&word)).transpose()?,
            directory: reply.lossy_text()?,
            server_now,
            now,
        })
    }

    fn claimed(&self) -> Result<ClaimedJob, StoreError> {
        let mut job = job(self.id, &self.job)?;
        // Whether it is given up goes by this.
        job.first_attempt_at = job.first_attempt_at.map(|at| local(at, self.server_now, self.now));
        let directory = directory(&self.directory)?;
        let token = match job.event.kind() {
            EventKind::Hire => CallKind::Write,
            EventKind::Rename => CallKind::Read,
        };
        let person = job.event.person.clone();
        let lease = Lease { person, job: job.id, fence: self.fence, until: self.until, trial_of: self.trial_of };
        Ok(ClaimedJob { lease, job, directory, token })
    }
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
