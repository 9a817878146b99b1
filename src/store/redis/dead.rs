//! What an operator does with dead letters.

use super::Redis;
use super::accept::job_arg;
use super::link::{Arg, Script};
use super::reply::{text_of, unexpected};
use super::rows::blob;
use crate::core::job::JobId;
use crate::core::time::UnixMs;
use crate::store::{DeadAction, NewJob, StoreError};

impl Redis {
    /// Runs one of the scripts for a dead letter. Durable before it is told: replayed jobs were accepted.
    pub(super) async fn act_on_dead(
        &self,
        script: &'static Script,
        now: UnixMs,
        id: JobId,
        jobs: &[NewJob],
    ) -> Result<DeadAction, StoreError> {
        let mut args: Vec<Arg<'_>> = vec![blob(id).into()];
        for job in jobs {
            args.push(job_arg(job)?);
        }
        match text_of(self.calls.run_durably(script, now, args).await?)?.as_str() {
            "done" => Ok(DeadAction::Done),
            "missing" => Ok(DeadAction::NotFound),
            "other" => Ok(DeadAction::WrongOrigin),
            _ => Err(unexpected("the answer to an operator")),
        }
    }
}
