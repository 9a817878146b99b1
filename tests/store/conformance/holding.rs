//! Holds: what they gate, their trials and probes, how they end.

use scim_bridge::core::code::Code;
use scim_bridge::core::event::EventKind;
use scim_bridge::core::hold::{Hold, HoldScope};
use scim_bridge::core::job::{JobState, Progress};
use scim_bridge::core::limiter::{CallKind, Rate};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{Claim, ClaimedJob, Settled, Token, TrialResult, Verdict, WaitReason};

use crate::harness::{Bench, LEASE_MS, at, done, give_back, hire, rename};

async fn set(b: &mut Bench, now: UnixMs, scope: HoldScope, code: Code) -> Hold {
    b.s().await.set_hold(now, scope, code).await.unwrap()
}

/// The trial job that must be to be had.
async fn trial(b: &mut Bench, now: UnixMs, scope: HoldScope) -> ClaimedJob {
    let mut jobs = b.claim_up_to(now, 8).await;
    jobs.retain(|claimed| claimed.lease.trial_of == Some(scope));
    assert_eq!(jobs.len(), 1, "one trial");
    jobs.remove(0)
}

fn held(scope: HoldScope, code: Code) -> Verdict {
    Verdict::Hold { scope, code, progress: Progress::default() }
}

async fn fail(b: &mut Bench, now: UnixMs, claimed: &ClaimedJob, code: Code) {
    let scope = claimed.lease.trial_of.unwrap();
    let settled = b.settle_trial(now, &claimed.lease, held(scope, code), Some(TrialResult::Failed)).await;
    assert_eq!(settled, Settled::Settled);
}

pub(crate) async fn a_hold_of_all_keeps_everything_waiting(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), rename("2")]).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    assert_eq!(b.claim_none(at(29_999)).await, (Some(at(30_000)), WaitReason::Hold));
    assert_eq!(b.count(JobState::Waiting).await, 2);
}

pub(crate) async fn a_hold_of_creates_lets_renames_go_on(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1"), rename("2")]).await;
    set(b, at(0), HoldScope::Creates, Code::HoldSeats).await;
    let claimed = b.claim_up_to(at(1), 8).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].job.id, claimed[0].lease.trial_of), (ids[2], None));
    b.settle(at(1), &claimed[0].lease, done()).await;
    assert_eq!(b.claim_none(at(2)).await, (Some(at(30_000)), WaitReason::Hold));
}

pub(crate) async fn an_expired_lease_is_not_taken_over_while_it_is_held(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    let claimed = b.claim_one(at(0)).await;
    set(b, at(1), HoldScope::All, Code::HoldOperator).await;
    assert_eq!(b.claim_none(at(2 * LEASE_MS)).await, (None, WaitReason::Hold));
    assert_eq!(b.settle(at(2 * LEASE_MS), &claimed.lease, done()).await, Settled::Settled);
}

pub(crate) async fn one_trial_at_a_time_shows_whether_the_target_serves(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), rename("2"), hire("3")]).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    let claimed = trial(b, at(30_000), HoldScope::All).await;
    assert_eq!(claimed.token, CallKind::Write);
    assert_eq!(b.claim_none(at(30_001)).await.1, WaitReason::Hold);
    let hold = b.s().await.holds().await.unwrap().remove(0);
    assert_eq!((hold.probes, hold.next_probe_at), (1, Some(at(90_000))));
    let settled = b.settle_trial(at(30_002), &claimed.lease, done(), Some(TrialResult::Passed)).await;
    assert_eq!(settled, Settled::Settled);
    assert!(b.s().await.holds().await.unwrap().is_empty());
    let rest = b.claim_up_to(at(30_003), 8).await;
    assert_eq!(rest.len(), 2);
    assert!(rest.iter().all(|claimed| claimed.lease.trial_of.is_none()));
}

pub(crate) async fn the_pauses_between_failed_trials_grow_up_to_their_cap(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    let mut now = at(0);
    for (n, pause_s) in [30, 60, 120, 240, 300, 300].into_iter().enumerate() {
        let due = now.plus_ms(pause_s * 1_000);
        assert_eq!(b.claim_none(due.minus_ms(1)).await.0, Some(due));
        let claimed = trial(b, due, HoldScope::All).await;
        assert_eq!((claimed.job.attempts, claimed.job.take_overs), (0, 0));
        fail(b, due, &claimed, Code::HoldKey).await;
        let hold = b.s().await.holds().await.unwrap().remove(0);
        assert_eq!((hold.since, hold.probes as usize), (at(0), n + 1));
        now = due;
    }
}

pub(crate) async fn a_trial_that_nobody_settles_ends_with_its_lease(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    let lost = trial(b, at(30_000), HoldScope::All).await;
    let lost = b.s().await.renew(at(80_000), &lost.lease, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(b.claim_none(at(139_999)).await.0, Some(at(140_000)));
    let next = trial(b, at(140_000), HoldScope::All).await;
    assert_eq!(next.job.take_overs, 1);
    // The late one says nothing any more.
    let late = b.settle_trial(at(140_001), &lost, done(), Some(TrialResult::Passed)).await;
    assert_eq!(late, Settled::Stale);
    assert_eq!(b.s().await.holds().await.unwrap().len(), 1);
    b.settle_trial(at(140_002), &next.lease, done(), Some(TrialResult::Passed)).await;
    assert!(b.s().await.holds().await.unwrap().is_empty());
}

pub(crate) async fn a_trial_given_back_leaves_the_hold(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    let claimed = trial(b, at(30_000), HoldScope::All).await;
    b.settle(at(30_001), &claimed.lease, give_back()).await;
    assert_eq!(b.s().await.holds().await.unwrap().len(), 1);
    assert_eq!(b.claim_none(at(30_002)).await, (Some(at(90_000)), WaitReason::Hold));
    trial(b, at(90_000), HoldScope::All).await;
}

pub(crate) async fn without_a_job_for_it_the_probe_is_a_call_of_its_own(b: &mut Bench) {
    b.with(|options| options.reads = Rate { calls: 10, window_ms: 60_000 }).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    assert_eq!(b.claim_none(at(1)).await, (Some(at(30_000)), WaitReason::NothingDue));
    assert!(matches!(b.claim(at(30_000), 8).await, Claim::Probe(HoldScope::All)));
    assert!(matches!(
        b.s().await.take_token(at(30_000), CallKind::Read).await.unwrap(),
        scim_bridge::store::Token::NotBefore(_)
    ));
    // One at a time, until it is told or its lease is over.
    b.accept_one(at(30_001), rename("1")).await;
    assert_eq!(b.claim_none(at(89_999)).await.1, WaitReason::Hold);
    b.s().await.settle_probe(at(30_500), HoldScope::All, TrialResult::Failed).await.unwrap();
    let hold = b.s().await.holds().await.unwrap().remove(0);
    assert_eq!((hold.probes, hold.next_probe_at), (1, Some(at(90_000))));
    let claimed = trial(b, at(90_000), HoldScope::All).await;
    // What was told of another probe does not touch the trial that is out.
    b.s().await.settle_probe(at(90_001), HoldScope::All, TrialResult::Passed).await.unwrap();
    assert_eq!(b.s().await.holds().await.unwrap().len(), 1);
    fail(b, at(90_002), &claimed, Code::HoldKey).await;
}

pub(crate) async fn a_passed_probe_lifts_the_hold(b: &mut Bench) {
    set(b, at(0), HoldScope::All, Code::HoldRefused).await;
    assert!(matches!(b.claim(at(30_000), 8).await, Claim::Probe(HoldScope::All)));
    b.s().await.settle_probe(at(30_500), HoldScope::All, TrialResult::Passed).await.unwrap();
    assert!(b.s().await.holds().await.unwrap().is_empty());
}

pub(crate) async fn a_probe_that_nobody_settles_ends_with_its_lease(b: &mut Bench) {
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    assert!(matches!(b.claim(at(30_000), 8).await, Claim::Probe(_)));
    assert_eq!(b.claim_none(at(89_999)).await.0, Some(at(90_000)));
    assert!(matches!(b.claim(at(90_000), 8).await, Claim::Probe(_)));
}

pub(crate) async fn a_hold_of_creates_is_tried_with_a_hire_only(b: &mut Bench) {
    set(b, at(0), HoldScope::Creates, Code::HoldSeats).await;
    b.accept_one(at(0), rename("1")).await;
    let claimed = b.claim_one(at(60_000)).await;
    assert_eq!(claimed.lease.trial_of, None);
    b.settle(at(60_000), &claimed.lease, done()).await;
    assert_eq!(b.claim_none(at(60_001)).await, (None, WaitReason::NothingDue));
    let ids = b.accept(at(60_002), &[hire("2"), hire("3"), rename("4")]).await;
    let claimed = b.claim_up_to(at(60_003), 8).await;
    let given: Vec<_> = claimed.iter().map(|claimed| (claimed.job.id, claimed.lease.trial_of)).collect();
    assert_eq!(given, [(ids[0], Some(HoldScope::Creates)), (ids[2], None)]);
    b.settle_trial(at(60_004), &claimed[0].lease, done(), Some(TrialResult::Passed)).await;
    assert_eq!(b.claim_one(at(60_005)).await.job.id, ids[1]);
}

pub(crate) async fn what_is_documented_for_creates_is_tried_with_a_hire_first(b: &mut Bench) {
    b.accept(at(0), &[rename("1"), hire("2")]).await;
    set(b, at(1), HoldScope::All, Code::HoldPlan).await;
    let claimed = trial(b, at(31_000), HoldScope::All).await;
    assert_eq!(claimed.job.event.kind(), EventKind::Hire);
    fail(b, at(31_001), &claimed, Code::HoldPlan).await;
    b.s().await.lift_hold(at(31_002), None).await.unwrap();
    set(b, at(31_003), HoldScope::All, Code::HoldKey).await;
    assert_eq!(trial(b, at(70_000), HoldScope::All).await.job.event.kind(), EventKind::Rename);
}

pub(crate) async fn a_hire_that_is_short_of_a_token_is_waited_for_to_be_the_trial(b: &mut Bench) {
    b.with(|options| options.writes = Rate { calls: 1, window_ms: 60_000 }).await;
    b.accept(at(0), &[rename("1"), hire("2")]).await;
    set(b, at(0), HoldScope::All, Code::HoldPlan).await;
    assert_eq!(b.s().await.take_token(at(29_999), CallKind::Write).await.unwrap(), Token::Granted);
    let (until, reason) = b.claim_none(at(30_000)).await;
    assert_eq!(reason, WaitReason::Token(CallKind::Write));
    let claimed = trial(b, until.unwrap(), HoldScope::All).await;
    assert_eq!(claimed.job.event.kind(), EventKind::Hire);
}

pub(crate) async fn with_both_holds_that_of_all_gates_first(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), rename("2")]).await;
    set(b, at(0), HoldScope::Creates, Code::HoldSeats).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    let claimed = trial(b, at(30_000), HoldScope::All).await;
    assert_eq!(claimed.job.event.kind(), EventKind::Rename);
    b.settle_trial(at(30_001), &claimed.lease, done(), Some(TrialResult::Passed)).await;
    let left = b.s().await.holds().await.unwrap();
    assert_eq!(left.iter().map(|hold| hold.scope).collect::<Vec<_>>(), [HoldScope::Creates]);
    trial(b, at(30_002), HoldScope::Creates).await;
}

pub(crate) async fn many_that_see_the_same_refusal_set_one_hold(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), hire("2"), hire("3")]).await;
    let claimed = b.claim_up_to(at(0), 8).await;
    for (n, claimed) in claimed.iter().enumerate() {
        b.settle(at(10 + n as u64), &claimed.lease, held(HoldScope::All, Code::HoldKey)).await;
    }
    let hold = b.s().await.holds().await.unwrap().remove(0);
    assert_eq!((hold.since, hold.probes, hold.next_probe_at), (at(10), 0, Some(at(30_010))));
    // Another reason is another hold.
    set(b, at(20), HoldScope::All, Code::HoldTeamGone).await;
    let hold = b.s().await.holds().await.unwrap().remove(0);
    assert_eq!((hold.code, hold.since, hold.next_probe_at), (Code::HoldTeamGone, at(20), Some(at(30_020))));
}

pub(crate) async fn a_hold_that_comes_back_at_once_goes_on_with_its_pauses(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), hire("2")]).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    let claimed = trial(b, at(30_000), HoldScope::All).await;
    b.settle_trial(at(30_001), &claimed.lease, done(), Some(TrialResult::Passed)).await;
    set(b, at(40_000), HoldScope::All, Code::HoldKey).await;
    let hold = b.s().await.holds().await.unwrap().remove(0);
    assert_eq!((hold.since, hold.probes, hold.next_probe_at), (at(40_000), 1, Some(at(100_000))));
    // Not where it was quiet for long, nor where an operator lifted it.
    let claimed = trial(b, at(100_000), HoldScope::All).await;
    b.settle_trial(at(100_001), &claimed.lease, done(), Some(TrialResult::Passed)).await;
    set(b, at(400_002), HoldScope::All, Code::HoldKey).await;
    assert_eq!(b.s().await.holds().await.unwrap()[0].probes, 0);
    b.s().await.lift_hold(at(400_003), None).await.unwrap();
    set(b, at(400_004), HoldScope::All, Code::HoldKey).await;
    assert_eq!(b.s().await.holds().await.unwrap()[0].probes, 0);
}

pub(crate) async fn an_operators_hold_is_lifted_by_an_operator_only(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), hire("2")]).await;
    let running = b.claim_one(at(0)).await;
    let hold = b.s().await.set_hold(at(1), HoldScope::All, Code::HoldOperator).await.unwrap();
    assert_eq!((hold.next_probe_at, hold.probes), (None, 0));
    b.settle(at(2), &running.lease, held(HoldScope::All, Code::HoldKey)).await;
    assert_eq!(b.s().await.holds().await.unwrap(), std::slice::from_ref(&hold));
    assert_eq!(b.claim_none(at(10 * 86_400_000)).await, (None, WaitReason::Hold));
    b.s().await.settle_probe(at(3), HoldScope::All, TrialResult::Passed).await.unwrap();
    assert_eq!(b.s().await.lift_hold(at(4), Some(HoldScope::Creates)).await.unwrap(), []);
    assert_eq!(b.s().await.lift_hold(at(4), Some(HoldScope::All)).await.unwrap(), [hold]);
    assert_eq!(b.claim_up_to(at(5), 8).await.len(), 2);
}

pub(crate) async fn a_hold_of_a_code_is_lifted_and_another_in_its_place_stays(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    let creates = set(b, at(0), HoldScope::Creates, Code::HoldSeats).await;
    let key = set(b, at(0), HoldScope::All, Code::HoldKey).await;
    // Between the look at the hold and its lifting, an operator sets one.
    let operators = set(b, at(1), HoldScope::All, Code::HoldOperator).await;
    assert_eq!(b.s().await.lift_hold_of(at(2), HoldScope::All, key.code).await.unwrap(), None);
    assert_eq!(b.s().await.holds().await.unwrap(), [operators.clone(), creates.clone()]);
    assert_eq!(b.s().await.lift_hold_of(at(3), HoldScope::All, operators.code).await.unwrap(), Some(operators));
    assert_eq!(b.s().await.holds().await.unwrap(), [creates]);
    assert_eq!(b.s().await.lift_hold_of(at(4), HoldScope::All, key.code).await.unwrap(), None);
}

pub(crate) async fn an_operator_takes_a_hold_over(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    let claimed = trial(b, at(30_000), HoldScope::All).await;
    let hold = b.s().await.set_hold(at(30_001), HoldScope::All, Code::HoldOperator).await.unwrap();
    assert_eq!((hold.code, hold.next_probe_at), (Code::HoldOperator, None));
    // The trial that was out does not lift it.
    b.settle_trial(at(30_002), &claimed.lease, done(), Some(TrialResult::Passed)).await;
    assert_eq!(b.s().await.holds().await.unwrap().len(), 1);
}

pub(crate) async fn a_trial_waits_for_its_token(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    set(b, at(0), HoldScope::All, Code::HoldKey).await;
    b.s().await.back_off(at(1), at(50_000)).await.unwrap();
    assert_eq!(b.claim_none(at(30_000)).await, (Some(at(50_000)), WaitReason::Token(CallKind::Write)));
    assert_eq!(b.s().await.holds().await.unwrap()[0].probes, 0);
    trial(b, at(50_000), HoldScope::All).await;
}

pub(crate) async fn the_time_to_give_up_begins_anew_after_a_hold(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), rename("2")]).await;
    let first: Vec<_> = b.claim_up_to(at(0), 8).await;
    for claimed in &first {
        b.settle(at(1), &claimed.lease, crate::harness::retry(at(2))).await;
    }
    set(b, at(2), HoldScope::Creates, Code::HoldSeats).await;
    let trial = trial(b, at(200_000), HoldScope::Creates).await;
    assert_eq!((trial.job.attempts, trial.job.first_attempt_at), (1, Some(at(200_000))));
    fail(b, at(200_001), &trial, Code::HoldSeats).await;
    b.s().await.lift_hold(at(300_000), None).await.unwrap();
    let mut claimed = b.claim_up_to(at(300_005), 8).await;
    claimed.sort_by_key(|claimed| claimed.job.seq);
    assert_eq!(claimed[0].job.first_attempt_at, Some(at(300_000)), "the hire was held");
    assert_eq!(claimed[1].job.first_attempt_at, Some(at(0)), "the rename was not");
}
