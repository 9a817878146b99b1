//! Claims, leases, fences and take-overs.

use scim_bridge::core::code::Code;
use scim_bridge::core::event::EventKind;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::job::{JobState, Note};
use scim_bridge::core::limiter::CallKind;
use scim_bridge::store::{Claim, ClaimRequest, Lease, Settled, Settlement, WaitReason};

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

/// The claims of a worker, numbered.
fn claim_of(worker: &str, number: u64, lost_from: Option<u64>, jobs_max: usize) -> ClaimRequest {
    ClaimRequest { worker: worker.into(), number, lost_from, jobs_max, lease_ms: LEASE_MS }
}

pub(crate) async fn what_a_claim_got_whose_answer_was_lost_is_given_back_uncounted(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1"), rename("2"), rename("3")]).await;
    b.work_off(at(1), retry(at(1))).await;
    // Longer than several leases: each of these gives out what the one before it had.
    for n in 1..=5 {
        let request = claim_of("w", n, (n > 1).then_some(1), 2);
        assert!(matches!(b.s().await.claim(at(n * 2 * LEASE_MS), &request).await.unwrap(), Claim::Jobs(_)));
    }
    let now = at(11 * LEASE_MS);
    let Claim::Wait { .. } = b.s().await.claim(now, &claim_of("w", 6, Some(1), 0)).await.unwrap() else {
        panic!("nothing was asked for")
    };
    assert_eq!(b.count(JobState::Running).await, 0);
    let claimed = b.claim_up_to(now, 8).await;
    assert_eq!(claimed.len(), 3);
    for one in &claimed {
        assert_eq!((one.job.take_overs, one.job.attempts), (0, u32::from(one.job.id == ids[0])));
        assert!(one.job.history.iter().all(|entry| entry.note != Note::TakenOver), "{:?}", one.job.history);
        // The time to give up begins with the first attempt that somebody made.
        assert_eq!(one.job.first_attempt_at, Some(if one.job.id == ids[0] { at(1) } else { now }));
        assert_eq!(b.settle(now, &one.lease, done()).await, Settled::Settled);
    }
    assert_eq!(b.claim_one(now).await.job.id, ids[1]);
}

pub(crate) async fn a_claim_gives_back_nothing_but_what_it_says_is_lost(b: &mut Bench) {
    for id in ["1", "2", "3", "4"] {
        b.accept_one(at(0), hire(id)).await;
    }
    let mut leases = Vec::new();
    for (worker, number) in [("w", 1), ("w", 2), ("v", 2), ("w", 3)] {
        let claim = b.s().await.claim(at(1), &claim_of(worker, number, None, 1)).await.unwrap();
        let Claim::Jobs(mut jobs) = claim else { panic!("{claim:?}") };
        leases.push(jobs.remove(0).lease);
    }
    // The second of this worker only: the first was heard, the third is the claim itself.
    let Claim::Jobs(jobs) = b.s().await.claim(at(2), &claim_of("w", 3, Some(2), 8)).await.unwrap() else {
        panic!("nothing was given back")
    };
    assert_eq!(jobs.iter().map(|one| one.job.id).collect::<Vec<_>>(), [leases[1].job]);
    for (n, lease) in leases.iter().enumerate() {
        let expected = if n == 1 { Settled::Stale } else { Settled::Settled };
        assert_eq!(b.settle(at(3), lease, done()).await, expected, "{n}");
    }
}

pub(crate) async fn a_trial_that_nobody_heard_of_is_over_when_it_is_given_back(b: &mut Bench) {
    b.accept_one(at(0), hire("1")).await;
    b.s().await.set_hold(at(0), HoldScope::All, Code::HoldKey).await.unwrap();
    // Longer than the pause before the next trial.
    let long = ClaimRequest { lease_ms: 10 * LEASE_MS, ..claim_of("w", 1, None, 1) };
    let claim = b.s().await.claim(at(30_000), &long).await.unwrap();
    assert!(matches!(&claim, Claim::Jobs(jobs) if jobs[0].lease.trial_of == Some(HoldScope::All)), "{claim:?}");
    let next_at = b.s().await.holds().await.unwrap()[0].next_probe_at.unwrap();
    let lost = b.s().await.claim(at(30_001), &claim_of("w", 2, Some(1), 1)).await.unwrap();
    assert!(matches!(lost, Claim::Wait { until: Some(until), .. } if until == next_at), "{lost:?}");
    // The next trial does not wait for the lease of the first.
    let claim = b.s().await.claim(next_at, &claim_of("w", 3, None, 1)).await.unwrap();
    assert!(matches!(&claim, Claim::Jobs(jobs) if jobs[0].lease.trial_of == Some(HoldScope::All)), "{claim:?}");
}

pub(crate) async fn a_lease_is_of_its_job_only(b: &mut Bench) {
    let ids = b.accept(at(0), &[hire("1"), rename("1")]).await;
    let claimed = b.claim_one(at(1)).await;
    // As a server would see it that lost the writes since, and gave the lane out again.
    let other = Lease { job: ids[1], ..claimed.lease.clone() };
    assert_eq!(b.s().await.renew(at(2), &other, LEASE_MS).await.unwrap(), None);
    assert_eq!(b.settle(at(2), &other, done()).await, Settled::Stale);
    assert_eq!(b.state(ids[0]).await, Some(JobState::Running));
    assert!(b.s().await.renew(at(2), &claimed.lease, LEASE_MS).await.unwrap().is_some());
    assert_eq!(b.settle(at(2), &claimed.lease, done()).await, Settled::Settled);
}

pub(crate) async fn fences_grow_over_all_lanes(b: &mut Bench) {
    b.accept(at(0), &[hire("1"), hire("2"), rename("3")]).await;
    let mut last = None;
    for _ in 0..3 {
        let claimed = b.claim_one(at(1)).await;
        assert!(last < Some(claimed.lease.fence));
        last = Some(claimed.lease.fence);
        // With time, too: a counter that went back (lost writes, a copy put back) gives none out again.
        assert!(claimed.lease.fence >= at(1).0.unsigned_abs() * 256);
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
