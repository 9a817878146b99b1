//! What people look at: jobs, persons, figures; and what goes when it is past its keep.

use scim_bridge::core::job::{Finished, JobId, JobState};
use scim_bridge::store::{Accepted, NewJob, Page, Settlement};

use crate::harness::{Bench, at, dead, delivery, done, entry, first, hire, person, rename, retry};

pub(crate) async fn every_state_is_in_the_figures(b: &mut Bench) {
    let stats = b.s().await.stats(at(0)).await.unwrap();
    assert_eq!(stats.jobs.values().sum::<u64>(), 0);
    assert_eq!(stats.jobs.keys().collect::<Vec<_>>(), ["dead", "done", "parked", "running", "waiting"]);
    b.accept(at(0), &[hire("1"), rename("1"), hire("2"), rename("3"), rename("3"), hire("4")]).await;
    b.accept_unmapped(at(0), None).await;
    b.work_off(at(1), dead()).await;
    b.work_off(at(1), done()).await;
    b.claim_one(at(1)).await;
    let stats = b.s().await.stats(at(2)).await.unwrap();
    let told: Vec<_> = stats.jobs.iter().map(|(state, number)| (state.as_str(), *number)).collect();
    assert_eq!(told, [("dead", 2), ("done", 1), ("parked", 1), ("running", 1), ("waiting", 2)]);
    assert_eq!((stats.lanes, stats.people), (3, 0));
}

pub(crate) async fn the_oldest_due_job_tells_since_when(b: &mut Bench) {
    assert_eq!(b.s().await.stats(at(9)).await.unwrap().oldest_due_at, None);
    b.accept_one(at(5), hire("1")).await;
    b.accept_one(at(3), rename("2")).await;
    assert_eq!(b.s().await.stats(at(9)).await.unwrap().oldest_due_at, Some(at(3)));
    b.work_off(at(9), retry(at(500))).await;
    assert_eq!(b.s().await.stats(at(9)).await.unwrap().oldest_due_at, Some(at(5)));
    b.work_off(at(9), done()).await;
    assert_eq!(b.s().await.stats(at(499)).await.unwrap().oldest_due_at, None);
    assert_eq!(b.s().await.stats(at(501)).await.unwrap().oldest_due_at, Some(at(500)));
}

pub(crate) async fn jobs_are_listed_by_state_newest_first_page_by_page(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1"), hire("2"), rename("3"), hire("4")]).await;
    b.work_off(at(1), dead()).await;
    b.work_off(at(1), done()).await;
    b.claim_one(at(1)).await;
    let expected = [
        (JobState::Dead, ids[0]),
        (JobState::Parked, ids[1]),
        (JobState::Done, ids[2]),
        (JobState::Running, ids[3]),
        (JobState::Waiting, ids[4]),
    ];
    for (state, id) in expected {
        let listed = b.s().await.jobs(state, &first(9)).await.unwrap();
        assert_eq!(listed.iter().map(|view| (view.state, view.job.id)).collect::<Vec<_>>(), [(state, id)]);
    }
    let more = b.accept(at(2), &[hire("5"), hire("6")]).await;
    let listed = b.s().await.jobs(JobState::Waiting, &first(2)).await.unwrap();
    assert_eq!(listed.iter().map(|view| view.job.id).collect::<Vec<_>>(), [more[1], more[0]]);
    let rest = Page { rows_max: 2, before: Some(more[0]) };
    let listed = b.s().await.jobs(JobState::Waiting, &rest).await.unwrap();
    assert_eq!(listed.iter().map(|view| view.job.id).collect::<Vec<_>>(), [ids[4]]);
}

pub(crate) async fn many_jobs_whose_ids_come_in_any_order_are_listed_whole(b: &mut Bench) {
    let mut ids: Vec<JobId> = (0..300).map(|_| b.id()).collect();
    // Neither up nor down: 7 and 300 have no common factor.
    let mixed: Vec<JobId> = (0..300).map(|n| ids[n * 7 % 300]).collect();
    for (n, some) in mixed.chunks(50).enumerate() {
        let jobs = some.iter().map(|id| NewJob { id: *id, event: rename(&id.to_string()) }).collect();
        let key = b.id().0.to_be_bytes();
        b.s().await.accept(at(n as u64), delivery(key, [0; 16], jobs)).await.unwrap();
    }
    for claimed in b.claim_up_to(at(9), 100).await {
        b.settle(at(9), &claimed.lease, done()).await;
        ids.retain(|id| *id != claimed.job.id);
    }
    ids.reverse();
    let (mut listed, mut page) = (Vec::new(), first(70));
    loop {
        let rows = b.s().await.jobs(JobState::Waiting, &page).await.unwrap();
        page.before = rows.last().map(|view| view.job.id);
        listed.extend(rows.iter().map(|view| view.job.id));
        if rows.len() < 70 {
            break;
        }
    }
    assert_eq!(listed, ids);
    assert_eq!(b.count(JobState::Waiting).await, 200);
}

pub(crate) async fn a_person_is_shown_whole_and_a_stranger_not_at_all(b: &mut Bench) {
    assert!(b.s().await.person(&person("1")).await.unwrap().is_none());
    let ids = b.accept(at(0), &[hire("1"), rename("1"), rename("1"), rename("1"), hire("2")]).await;
    let record = b.accept_unmapped(at(0), Some(person("1"))).await;
    let claimed = b.claim_one(at(1)).await;
    let verdict = scim_bridge::store::Verdict::Done(Finished::Invited);
    let settlement = Settlement { verdict, history: Vec::new(), trial: None, directory: Some(entry()) };
    b.s().await.settle(at(1), &claimed.lease, settlement).await.unwrap();
    assert_eq!(b.work_off(at(1), done()).await, ids[4]);
    assert_eq!(b.work_off(at(1), dead()).await, ids[1]);
    b.claim_one(at(2)).await;
    let view = b.s().await.person(&person("1")).await.unwrap().unwrap();
    let states: Vec<_> = view.jobs.iter().map(|view| (view.job.id, view.state)).collect();
    let expected =
        [(ids[0], JobState::Done), (ids[1], JobState::Dead), (ids[2], JobState::Running), (ids[3], JobState::Waiting)];
    assert_eq!(states, expected);
    assert_eq!(view.jobs[0].finished, Some((at(1), Finished::Invited)));
    assert_eq!(view.directory, Some(entry()));
    assert_eq!(view.dead.iter().map(|line| line.id).collect::<Vec<_>>(), [record, ids[1]]);
    // Known by nothing but a record that could not be mapped.
    b.accept_unmapped(at(3), Some(person("9"))).await;
    assert_eq!(b.s().await.person(&person("9")).await.unwrap().unwrap().dead.len(), 1);
}

pub(crate) async fn finished_jobs_go_after_their_time(b: &mut Bench) {
    b.with(|options| options.retention.finished_ms = 1_000).await;
    let old = b.accept_one(at(0), hire("1")).await;
    b.work_off(at(0), done()).await;
    let young = b.accept_one(at(0), hire("2")).await;
    b.work_off(at(500), done()).await;
    assert_eq!(b.s().await.tidy(at(1_000)).await.unwrap(), 0);
    assert_eq!(b.s().await.tidy(at(1_001)).await.unwrap(), 1);
    assert_eq!((b.state(old).await, b.state(young).await), (None, Some(JobState::Done)));
    assert_eq!(b.count(JobState::Done).await, 1);
}

pub(crate) async fn finished_jobs_are_bounded_in_number_while_they_come(b: &mut Bench) {
    b.with(|options| options.retention.finished_jobs_max = 3).await;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(b.accept_one(at(n), rename("1")).await);
        b.work_off(at(n), done()).await;
        assert!(b.count(JobState::Done).await <= 3);
    }
    assert_eq!((b.state(ids[4]).await, b.state(ids[5]).await), (None, Some(JobState::Done)));
    // A bound that was lowered is reached piece by piece.
    b.with(|options| options.retention.finished_jobs_max = 1).await;
    while b.s().await.tidy(at(9)).await.unwrap() > 0 {}
    assert_eq!(b.count(JobState::Done).await, 1);
}

pub(crate) async fn remembered_deliveries_go_after_their_time(b: &mut Bench) {
    let known = delivery([1; 16], [2; 16], Vec::new());
    b.s().await.accept(at(0), known.clone()).await.unwrap();
    assert_eq!(b.s().await.tidy(at(86_399_999)).await.unwrap(), 0);
    assert!(matches!(b.s().await.accept(at(86_399_999), known).await.unwrap(), Accepted::Duplicate { .. }));
    assert_eq!(b.s().await.tidy(at(86_400_000)).await.unwrap(), 1);
    assert_eq!(b.s().await.tidy(at(86_400_000)).await.unwrap(), 0);
}

pub(crate) async fn waiting_jobs_never_go(b: &mut Bench) {
    b.with(|options| options.retention.finished_ms = 1).await;
    let id = b.accept_one(at(0), hire("1")).await;
    while b.s().await.tidy(at(10 * 365 * 86_400_000)).await.unwrap() > 0 {}
    assert_eq!(b.state(id).await, Some(JobState::Waiting));
}

pub(crate) async fn a_ping_proves_that_it_can_write(b: &mut Bench) {
    b.s().await.ping().await.unwrap();
    b.s().await.ping().await.unwrap();
}
