//! Claims, leases, fences and take-overs.

use scim_bridge::core::event::EventKind;
use scim_bridge::core::job::{JobState, Note};
use scim_bridge::core::limiter::CallKind;
use scim_bridge::store::{Claim, Settled, Settlement, WaitReason};

use crate::harness::{Bench, LEASE_MS, at, done, entry, hire, person, rename, retry};

pub(crate) async fn a_claim_gives_a_lease_a_fence_a_token_and_what_is_known(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1")]).await;
    let claimed = b.claim_one(at(10)).await;
    assert_eq!(claimed.job.id, ids[0]);
    assert_eq!(claimed.job.first_attempt_at, Some(at(10)));
    assert_eq!((claimed.lease.person.clone(), claimed.lease.job), (person("1"), ids[0]));
    assert_eq!((claimed.lease.until, claimed.lease.trial_of), (at(10 + LEASE_MS), None));
    assert_eq!((claimed.token, claimed.directory), (CallKind::Write, None));
    assert_eq!(b.state(ids[0]).await, Some(JobState::Running));
    assert_eq!(b.state(ids[1]).await, Some(JobState::Waiting));
    let settlement = Settlement { verdict: done(), history: Vec::new(), trial: None, directory: Some(entry()) };
    assert_eq!(b.s().await.settle(at(11), &claimed.lease, settlement).await.unwrap(), Settled::Settled);
    let next = b.claim_one(at(12)).await;
    assert_eq!((next.job.id, next.token, next.directory), (ids[1], CallKind::Read, Some(entry())));
}

pub(crate) async fn due_lanes_go_out_oldest_first_and_no_more_than_asked_for(b: &mut Bench) {
    let mut ids = Vec::new();
    for (ms, event) in [(0, rename("1")), (1, hire("2")), (2, rename("3")), (3, hire("4"))] {
        ids.push(b.accept_one(at(ms), event).await);
    }
    let first: Vec<_> = b.claim_up_to(at(9), 3).await.into_iter().map(|claimed| claimed.job.id).collect();
    assert_eq!(first, ids[..3]);
    assert_eq!(b.claim_one(at(9)).await.job.id, ids[3]);
}

pub(crate) async fn a_lane_has_one_worker_and_its_jobs_go_in_order(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1"), rename("1")]).await;
    for id in ids {
        let mut claimed = b.claim_up_to(at(1), 64).await;
        assert_eq!(claimed.len(), 1);
        assert!(b.claim_up_to(at(1), 64).await.is_empty());
        let claimed = claimed.remove(0);
        assert_eq!(claimed.job.id, id);
        b.settle(at(1), &claimed.lease, done()).await;
    }
    assert_eq!(b.s().await.stats(at(2)).await.unwrap().lanes, 0);
}

pub(crate) async fn a_stale_fence_is_refused_and_changes_nothing(b: &mut Bench) {
    let id = b.accept_one(at(0), hire("1")).await;
    let late = b.claim_one(at(0)).await;
    let taken = b.claim_one(at(LEASE_MS)).await;
    assert_eq!(taken.job.id, id);
    assert!(taken.lease.fence > late.lease.fence);
    let settlement = Settlement { verdict: done(), history: Vec::new(), trial: None, directory: Some(entry()) };
    assert_eq!(b.s().await.settle(at(LEASE_MS), &late.lease, settlement).await.unwrap(), Settled::Stale);
    assert_eq!(b.state(id).await, Some(JobState::Running));
    assert!(b.s().await.person(&person("1")).await.unwrap().unwrap().directory.is_none());
    assert_eq!(b.settle(at(LEASE_MS), &taken.lease, done()).await, Settled::Settled);
    // And once more: it is settled.
    assert_eq!(b.settle(at(LEASE_MS), &taken.lease, done()).await, Settled::Stale);
    assert_eq!(b.count(JobState::Done).await, 1);
}

pub(crate) async fn a_lease_that_ran_out_still_settles_while_nobody_took_over(b: &mut Bench) {
    let id = b.accept_one(at(0), hire("1")).await;
    let claimed = b.claim_one(at(0)).await;
    assert_eq!(b.settle(at(10 * LEASE_MS), &claimed.lease, done()).await, Settled::Settled);
    assert_eq!(b.state(id).await, Some(JobState::Done));
}

pub(crate) async fn a_renewed_lease_is_not_taken_over(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    let claimed = b.claim_one(at(0)).await;
    let renewed = b.s().await.renew(at(30_000), &claimed.lease, LEASE_MS).await.unwrap().unwrap();
    assert_eq!((renewed.fence, renewed.until), (claimed.lease.fence, at(90_000)));
    let (until, reason) = b.claim_none(at(89_999)).await;
    assert_eq!((until, reason), (Some(at(90_000)), WaitReason::NothingDue));
    assert_eq!(b.claim_one(at(90_000)).await.job.take_overs, 1);
}

pub(crate) async fn a_lost_lease_cannot_be_renewed(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    let lost = b.claim_one(at(0)).await;
    let taken = b.claim_one(at(LEASE_MS)).await;
    assert_eq!(b.s().await.renew(at(LEASE_MS), &lost.lease, LEASE_MS).await.unwrap(), None);
    b.settle(at(LEASE_MS), &taken.lease, retry(at(LEASE_MS))).await;
    assert_eq!(b.s().await.renew(at(LEASE_MS), &taken.lease, LEASE_MS).await.unwrap(), None);
}

pub(crate) async fn a_take_over_is_counted_and_told(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    for times in 0..3 {
        let claimed = b.claim_one(at(u64::from(times) * LEASE_MS)).await;
        assert_eq!((claimed.job.take_overs, claimed.job.attempts), (times, 0));
        let told = claimed.job.history.iter().filter(|entry| entry.note == Note::TakenOver).count();
        assert_eq!(told, times as usize);
        assert_eq!(claimed.job.first_attempt_at, Some(at(0)));
    }
}

pub(crate) async fn fences_grow_over_all_lanes(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), hire("2"), rename("3")]).await;
    let mut last = None;
    for _ in 0..3 {
        let claimed = b.claim_one(at(1)).await;
        assert!(last < Some(claimed.lease.fence));
        last = Some(claimed.lease.fence);
        b.settle(at(1), &claimed.lease, done()).await;
    }
    // A lane that was empty in between does not begin anew.
    b.accept_one(at(2), hire("1")).await;
    assert!(last < Some(b.claim_one(at(2)).await.lease.fence));
}

pub(crate) async fn without_work_there_is_nothing_to_wait_for(b: &mut Bench) {
    assert_eq!(b.claim_none(at(0)).await, (None, WaitReason::NothingDue));
}

pub(crate) async fn a_claim_says_when_it_is_worth_asking_again(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    b.work_off(at(0), retry(at(5_000))).await;
    assert_eq!(b.claim_none(at(1)).await, (Some(at(5_000)), WaitReason::NothingDue));
    b.accept_one(at(1), rename("2")).await;
    let other = b.claim_one(at(1)).await;
    assert_eq!(other.job.event.kind(), EventKind::Rename);
    assert_eq!(b.claim_none(at(2)).await.0, Some(at(5_000)));
    let hire = b.claim_one(at(5_000)).await;
    assert_eq!(b.claim_none(at(5_000)).await.0, Some(at(1 + LEASE_MS)));
    b.settle(at(5_001), &other.lease, done()).await;
    assert_eq!(b.claim_none(at(5_001)).await.0, Some(hire.lease.until));
    assert!(matches!(b.claim(hire.lease.until, 1).await, Claim::Jobs(_)));
}
