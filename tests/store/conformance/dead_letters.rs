//! What an operator does with dead letters, and that nothing else does.

use scim_bridge::core::job::{DeadOrigin, JobState, Note, Progress};
use scim_bridge::store::{DeadAction, NewJob, Settled, Verdict};

use crate::harness::{Bench, LEASE_MS, at, dead, dead_knowing, done, first, hire, person, rename, retry};

pub(crate) async fn a_replayed_hire_runs_before_what_waited_behind_it(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1"), rename("1")]).await;
    b.work_off(at(1), dead()).await;
    let later = b.accept_one(at(2), rename("1")).await;
    assert_eq!(b.s().await.replay(at(3), ids[0]).await.unwrap(), DeadAction::Done);
    assert_eq!(b.count(JobState::Parked).await, 0);
    for id in [ids[0], ids[1], ids[2], later] {
        assert_eq!(b.work_off(at(4), done()).await, id);
    }
    assert_eq!(b.count(JobState::Dead).await, 0);
}

pub(crate) async fn a_replayed_job_starts_anew_but_keeps_its_place_and_what_it_must_know(b: &mut Bench) {
    let id = b.accept_one(at(0), hire("1")).await;
    let progress = Progress { create_unknown: true, not_found: 3, username_refused: 2 };
    b.work_off(at(1), Verdict::Retry { at: at(2), counted: true, progress }).await;
    b.claim_one(at(2)).await;
    let taken_over = b.claim_one(at(2 + LEASE_MS)).await;
    let seq = taken_over.job.seq;
    assert_eq!(taken_over.job.progress, progress);
    b.settle(at(70_000), &taken_over.lease, dead_knowing(progress)).await;
    b.s().await.replay(at(80_000), id).await.unwrap();
    let job = b.claim_one(at(80_000)).await.job;
    assert_eq!((job.seq, job.attempts, job.take_overs), (seq, 0, 0));
    assert_eq!(job.first_attempt_at, Some(at(80_000)));
    assert_eq!(job.progress, Progress { create_unknown: true, ..Progress::default() });
    assert_eq!((job.accepted_at, job.event), (at(0), hire("1")));
    assert_eq!(job.history.last().map(|entry| &entry.note), Some(&Note::Replayed));
    assert!(job.history.iter().any(|entry| entry.note == Note::TakenOver), "the history goes on");
}

pub(crate) async fn a_replay_does_not_disturb_a_lease_of_its_lane(b: &mut Bench) {
    let ids = b.accept(at(0), &[rename("1"), rename("1"), rename("1")]).await;
    b.work_off(at(1), dead()).await;
    let running = b.claim_one(at(2)).await;
    assert_eq!(running.job.id, ids[1]);
    b.s().await.replay(at(3), ids[0]).await.unwrap();
    assert!(b.claim_up_to(at(3), 8).await.is_empty(), "one worker a lane");
    assert_eq!((b.state(ids[1]).await, b.state(ids[0]).await), (Some(JobState::Running), Some(JobState::Waiting)));
    let renewed = b.s().await.renew(at(4), &running.lease, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(b.settle(at(5), &renewed, retry(at(9))).await, Settled::Settled);
    // The replayed job comes first, and what was being tried keeps its own time.
    assert_eq!(b.work_off(at(5), done()).await, ids[0]);
    assert_eq!(b.claim_none(at(8)).await.0, Some(at(9)));
    let again = b.claim_one(at(9)).await;
    assert_eq!((again.job.id, again.job.attempts), (ids[1], 1));
}

pub(crate) async fn a_replay_overtakes_a_retry_that_is_not_due(b: &mut Bench) {
    let ids = b.accept(at(0), &[rename("1"), rename("1")]).await;
    b.work_off(at(1), dead()).await;
    b.work_off(at(1), retry(at(50_000))).await;
    b.s().await.replay(at(2), ids[0]).await.unwrap();
    assert_eq!(b.work_off(at(2), done()).await, ids[0]);
    assert_eq!(b.claim_none(at(3)).await.0, Some(at(50_000)));
}

pub(crate) async fn a_replayed_rename_waits_with_a_parked_lane(b: &mut Bench) {
    let ids = b.accept(at(0), &[rename("1"), hire("1"), rename("1")]).await;
    b.work_off(at(1), dead()).await;
    b.work_off(at(1), dead()).await;
    b.s().await.replay(at(2), ids[0]).await.unwrap();
    assert_eq!(b.state(ids[0]).await, Some(JobState::Parked));
    b.s().await.discard(at(3), ids[1]).await.unwrap();
    assert_eq!(b.work_off(at(4), done()).await, ids[0]);
    assert_eq!(b.work_off(at(4), done()).await, ids[2]);
}

pub(crate) async fn a_discarded_hire_lets_its_lane_go_on(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1")]).await;
    b.work_off(at(1), dead()).await;
    assert_eq!(b.s().await.discard(at(2), ids[0]).await.unwrap(), DeadAction::Done);
    assert_eq!(b.state(ids[0]).await, None);
    assert!(b.s().await.dead_letter(ids[0]).await.unwrap().is_none());
    assert_eq!(b.claim_one(at(2)).await.job.id, ids[1]);
    assert_eq!(b.s().await.discard(at(3), ids[0]).await.unwrap(), DeadAction::NotFound);
}

pub(crate) async fn a_discard_with_nothing_behind_it_frees_the_lane(b: &mut Bench) {
    let id = b.accept_one(at(0), hire("1")).await;
    b.work_off(at(1), dead()).await;
    b.s().await.discard(at(2), id).await.unwrap();
    let next = b.accept_one(at(3), hire("1")).await;
    assert_eq!(b.claim_one(at(3)).await.job.id, next);
}

pub(crate) async fn an_unmapped_record_is_replaced_by_the_jobs_made_of_it(b: &mut Bench) {
    let waiting = b.accept_one(at(0), hire("1")).await;
    let record = b.accept_unmapped(at(1), Some(person("1"))).await;
    let jobs = vec![NewJob { id: b.id(), event: rename("1") }, NewJob { id: b.id(), event: hire("2") }];
    let ids = [jobs[0].id, jobs[1].id];
    assert_eq!(b.s().await.replay(at(2), record).await.unwrap(), DeadAction::WrongOrigin);
    assert_eq!(b.s().await.replay_as(at(2), record, jobs.clone()).await.unwrap(), DeadAction::Done);
    assert_eq!(b.s().await.replay_as(at(3), record, jobs).await.unwrap(), DeadAction::NotFound);
    assert!(b.s().await.dead_letter(record).await.unwrap().is_none());
    for id in [waiting, ids[1], ids[0]] {
        assert_eq!(b.work_off(at(4), done()).await, id);
    }
}

pub(crate) async fn a_dead_job_is_not_replayed_as_something_else(b: &mut Bench) {
    let id = b.accept_one(at(0), hire("1")).await;
    assert_eq!(b.s().await.replay(at(0), id).await.unwrap(), DeadAction::NotFound, "it lives");
    assert_eq!(b.s().await.discard(at(0), id).await.unwrap(), DeadAction::NotFound, "it lives");
    b.work_off(at(1), dead()).await;
    assert_eq!(b.s().await.replay_as(at(2), id, Vec::new()).await.unwrap(), DeadAction::WrongOrigin);
    let unknown = b.id();
    assert_eq!(b.s().await.replay(at(2), unknown).await.unwrap(), DeadAction::NotFound);
    assert_eq!(b.count(JobState::Dead).await, 1);
}

pub(crate) async fn dead_letters_are_listed_newest_first_page_by_page(b: &mut Bench) {
    let job = b.accept_one(at(0), hire("1")).await;
    let record = b.accept_unmapped(at(1), None).await;
    let other = b.accept_one(at(2), rename("2")).await;
    b.work_off(at(3), dead()).await;
    b.work_off(at(3), dead()).await;
    let page = b.s().await.dead_letters(&first(2)).await.unwrap();
    assert_eq!(page.iter().map(|line| line.id).collect::<Vec<_>>(), [other, record]);
    assert_eq!((page[0].person.clone(), page[1].person.clone()), (Some(person("2")), None));
    assert!(page[0].event.is_some() && page[1].event.is_none());
    let mut rest = first(2);
    rest.before = Some(record);
    let page = b.s().await.dead_letters(&rest).await.unwrap();
    assert_eq!(page.iter().map(|line| (line.id, line.parks_lane)).collect::<Vec<_>>(), [(job, true)]);
}

pub(crate) async fn dead_letters_are_never_trimmed(b: &mut Bench) {
    b.with(|options| {
        options.retention.finished_ms = 1;
        options.retention.finished_jobs_max = 0;
    })
    .await;
    let job = b.accept_one(at(0), hire("1")).await;
    let record = b.accept_unmapped(at(0), None).await;
    b.work_off(at(1), dead()).await;
    let in_ten_years = at(10 * 365 * 86_400_000);
    while b.s().await.tidy(in_ten_years).await.unwrap() > 0 {}
    let letter = b.s().await.dead_letter(job).await.unwrap().unwrap();
    assert!(matches!(letter.origin, DeadOrigin::Job(job) if job.event == hire("1")));
    assert!(b.s().await.dead_letter(record).await.unwrap().is_some());
}
