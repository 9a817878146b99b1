//! How attempts end, verdict by verdict.

use scim_bridge::core::code::Code;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::job::{Finished, HISTORY_ENTRIES_MAX, HistoryEntry, JobState, Note, Progress};
use scim_bridge::core::scim::Operation;
use scim_bridge::store::{Settled, Settlement, Verdict, WaitReason};

use crate::harness::{Bench, LEASE_MS, at, done, entry, give_back, hire, person, rename, retry};

const LEARNT: Progress = Progress { create_unknown: true, not_found: 2, username_refused: 1 };

pub(crate) async fn a_finished_job_leaves_its_lane_and_is_kept(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1")]).await;
    b.work_off(at(7), Verdict::Done(Finished::Adopted)).await;
    let view = b.s().await.job(ids[0]).await.unwrap().unwrap();
    assert_eq!((view.state, view.finished), (JobState::Done, Some((at(7), Finished::Adopted))));
    assert_eq!(view.job.event, hire("1"));
    let next = b.s().await.job(ids[1]).await.unwrap().unwrap();
    assert_eq!((next.state, next.due_at), (JobState::Waiting, Some(at(7))));
}

pub(crate) async fn a_retry_waits_at_the_head_of_its_lane(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1")]).await;
    let claimed = b.claim_one(at(0)).await;
    let verdict = Verdict::Retry { at: at(9_000), counted: true, progress: LEARNT };
    assert_eq!(b.settle(at(1), &claimed.lease, verdict).await, Settled::Settled);
    assert_eq!(b.claim_none(at(8_999)).await, (Some(at(9_000)), WaitReason::NothingDue));
    let view = b.s().await.job(ids[0]).await.unwrap().unwrap();
    assert_eq!((view.state, view.due_at), (JobState::Waiting, Some(at(9_000))));
    let again = b.claim_one(at(9_000)).await;
    assert_eq!((again.job.id, again.job.attempts, again.job.progress), (ids[0], 1, LEARNT));
    assert_eq!((again.job.first_attempt_at, again.job.take_overs), (Some(at(0)), 0));
}

pub(crate) async fn an_uncounted_retry_counts_nothing(b: &mut Bench) {
    b.accept_one(at(0), rename("1")).await;
    b.work_off(at(0), Verdict::Retry { at: at(10), counted: false, progress: LEARNT }).await;
    let again = b.claim_one(at(10)).await;
    assert_eq!((again.job.attempts, again.job.progress), (0, LEARNT));
}

pub(crate) async fn a_job_given_back_is_due_at_once_and_uncounted(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1")]).await;
    b.work_off(at(0), Verdict::GiveBack { progress: LEARNT }).await;
    let again = b.claim_one(at(1)).await;
    assert_eq!((again.job.id, again.job.attempts, again.job.take_overs), (ids[0], 0, 0));
    assert_eq!(again.job.progress, LEARNT);
    // The time to give up is not counted from an attempt that was none.
    assert_eq!(again.job.first_attempt_at, Some(at(1)));
}

pub(crate) async fn a_held_job_stays_at_the_head_uncounted_and_sets_the_hold(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1"), hire("2")]).await;
    let verdict = Verdict::Hold { scope: HoldScope::All, code: Code::HoldKey, progress: LEARNT };
    b.work_off(at(5), verdict).await;
    let holds = b.s().await.holds().await.unwrap();
    assert_eq!((holds.len(), holds[0].code, holds[0].since), (1, Code::HoldKey, at(5)));
    assert_eq!(b.claim_none(at(6)).await.1, WaitReason::Hold);
    b.s().await.lift_hold(at(7), None).await.unwrap();
    let mut claimed = b.claim_up_to(at(8), 8).await;
    claimed.sort_by_key(|claimed| claimed.job.seq);
    assert_eq!((claimed[0].job.id, claimed[1].job.id), (ids[0], ids[2]));
    let held = &claimed[0].job;
    assert_eq!((held.attempts, held.take_overs, held.progress), (0, 0, LEARNT));
    assert_eq!(held.first_attempt_at, Some(at(8)));
}

pub(crate) async fn a_dead_hire_parks_its_lane(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1"), hire("2")]).await;
    let verdict = Verdict::Dead {
        code: Code::ScimElsewhere,
        detail: "userName".to_owned(),
        progress: Progress { create_unknown: true, ..Progress::default() },
    };
    assert_eq!(b.work_off(at(3), verdict).await, ids[0]);
    let letter = b.s().await.dead_letter(ids[0]).await.unwrap().unwrap();
    assert_eq!((letter.died_at, letter.code, letter.parks_lane), (at(3), Code::ScimElsewhere, true));
    assert_eq!(letter.detail, "userName");
    assert_eq!(b.state(ids[0]).await, Some(JobState::Dead));
    assert_eq!(b.state(ids[1]).await, Some(JobState::Parked));
    let claimed = b.claim_up_to(at(3), 8).await;
    assert_eq!(claimed.len(), 1, "the other person does not wait");
    assert_eq!(claimed[0].job.id, ids[2]);
    // What arrives later waits, too.
    let later = b.accept_one(at(4), rename("1")).await;
    assert_eq!(b.state(later).await, Some(JobState::Parked));
    assert!(b.claim_up_to(at(10 * LEASE_MS), 8).await.iter().all(|claimed| claimed.job.id == ids[2]));
}

pub(crate) async fn a_lane_that_was_empty_when_its_hire_died_is_parked_too(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    b.work_off(at(0), crate::harness::dead()).await;
    assert_eq!(b.s().await.stats(at(0)).await.unwrap().lanes, 0);
    let later = b.accept_one(at(1), hire("1")).await;
    assert_eq!(b.state(later).await, Some(JobState::Parked));
    assert_eq!(b.claim_none(at(2)).await, (None, WaitReason::NothingDue));
    assert_eq!(b.s().await.stats(at(2)).await.unwrap().lanes, 1);
}

pub(crate) async fn a_dead_rename_lets_the_next_job_run(b: &mut Bench) {
    let ids = b.accept(at(0), &[rename("1"), rename("1")]).await;
    assert_eq!(b.work_off(at(1), crate::harness::dead()).await, ids[0]);
    assert!(!b.s().await.dead_letter(ids[0]).await.unwrap().unwrap().parks_lane);
    assert_eq!(b.claim_one(at(2)).await.job.id, ids[1]);
}

pub(crate) async fn what_was_learnt_about_the_person_is_kept(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), rename("1")]).await;
    let claimed = b.claim_one(at(0)).await;
    let settlement = Settlement { verdict: done(), history: Vec::new(), trial: None, directory: Some(entry()) };
    b.s().await.settle(at(1), &claimed.lease, settlement).await.unwrap();
    assert_eq!(b.s().await.stats(at(1)).await.unwrap().people, 1);
    // None leaves it as it is.
    b.work_off(at(2), retry(at(2))).await;
    assert_eq!(b.claim_one(at(3)).await.directory, Some(entry()));
    let view = b.s().await.person(&person("1")).await.unwrap().unwrap();
    assert_eq!(view.directory, Some(entry()));
    assert_eq!(b.s().await.stats(at(3)).await.unwrap().people, 1);
}

pub(crate) async fn history_is_appended_and_bounded(b: &mut Bench) {
    let id = b.accept_one(at(0), hire("1")).await;
    let call = |ms| {
        let note = Note::Called { operation: Operation::Create, status: Some(500), meaning: "SCIM-5XX".to_owned() };
        HistoryEntry { at: at(ms), note }
    };
    for ms in 0..30 {
        let claimed = b.claim_one(at(ms)).await;
        let history = vec![call(ms), HistoryEntry { at: at(ms), note: Note::GivenBack }];
        let settlement = Settlement { verdict: give_back(), history, trial: None, directory: None };
        b.s().await.settle(at(ms), &claimed.lease, settlement).await.unwrap();
        if ms == 1 {
            let told = b.s().await.job(id).await.unwrap().unwrap().job.history;
            assert_eq!(told.len(), 4);
            assert_eq!((&told[0], &told[2]), (&call(0), &call(1)));
        }
    }
    let told = b.s().await.job(id).await.unwrap().unwrap().job.history;
    assert_eq!((told.len(), &told[0]), (HISTORY_ENTRIES_MAX, &call(0)));
    assert!(matches!(told[1].note, Note::Omitted { entries: 11 }), "{:?}", told[1]);
}
