//! How attempts end.

use super::link::Arg;
use super::reply::number_of;
use super::rows::{blob, history_lines, to_json};
use super::{Redis, from_now, scripts};
use crate::core::hold::HoldScope;
use crate::core::job::Progress;
use crate::core::time::UnixMs;
use crate::store::{Lease, Settled, Settlement, StoreError, TrialResult, Verdict};

impl Redis {
    pub(super) async fn settle_lease(
        &self,
        now: UnixMs,
        lease: &Lease,
        settlement: &Settlement,
    ) -> Result<Settled, StoreError> {
        let mut args: Vec<Arg<'_>> = vec![
            lease.person.to_string().into(),
            lease.fence.to_string().into(),
            blob(lease.job).into(),
            lease.trial_of.map_or("", HoldScope::as_str).into(),
            settlement.trial.map_or("", trial_word).into(),
            settlement.directory.as_ref().map(to_json).transpose()?.unwrap_or_default().into(),
            history_lines(&settlement.history)?.into(),
        ];
        args.extend(verdict_args(&settlement.verdict, now));
        let settled = self.run(&scripts::SETTLE, now, args).await?;
        Ok(if number_of(&settled)? == 1 { Settled::Settled } else { Settled::Stale })
    }
}

fn verdict_args(verdict: &Verdict, now: UnixMs) -> Vec<Arg<'_>> {
    match verdict {
        Verdict::Done(outcome) => vec!["done".into(), outcome.as_str().into()],
        Verdict::Dead { code, detail, progress } => {
            with_progress("dead", progress, [code.as_str().into(), detail.as_str().into()])
        }
        Verdict::Retry { at, counted, progress } => {
            with_progress("retry", progress, [from_now(*at, now).into(), i64::from(*counted).into()])
        }
        Verdict::Hold { scope, code, progress } => {
            with_progress("hold", progress, [scope.as_str().into(), code.as_str().into()])
        }
        Verdict::GiveBack { progress } => with_progress("back", progress, []),
    }
}

fn with_progress<'a, const N: usize>(word: &'static str, progress: &Progress, rest: [Arg<'a>; N]) -> Vec<Arg<'a>> {
    let mut args: Vec<Arg<'a>> = vec![
        word.into(),
        i64::from(progress.create_unknown).into(),
        i64::from(progress.not_found).into(),
        i64::from(progress.username_refused).into(),
    ];
    args.extend(rest);
    args
}

pub(super) fn trial_word(result: TrialResult) -> &'static str {
    match result {
        TrialResult::Passed => "passed",
        TrialResult::Failed => "failed",
    }
}
