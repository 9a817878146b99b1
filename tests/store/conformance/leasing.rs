//! Claims: order, leases, fences, take-overs, and returned people.

use bytes::Bytes;
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{Claim, ClaimRequest, Claimed, Commit, Committed, LaneState, Lease};

use crate::harness::{Bench, LEASE_MS, at, commit, contents, held, idle, person, request, retry};

fn ids(claimed: &[Claimed]) -> Vec<u64> {
    claimed.iter().map(|claimed| claimed.lease.person.0).collect()
}

fn number(who: &str) -> u64 {
    person(who).id().0
}

pub(crate) async fn a_claim_gives_the_document_the_inbox_and_a_lease(b: &mut Bench) {
    b.accept(at(0), &[("1", "a"), ("1", "b")]).await;
    let claimed = b.claim_one(at(1)).await;
    assert_eq!((claimed.lease.person, claimed.lease.until), (person("1").id(), at(1 + LEASE_MS)));
    assert_eq!((claimed.document.as_ref(), claimed.taken_over), (None, false));
    assert_eq!(contents(&claimed), ["a", "b"]);
    let row = b.row("1").await;
    assert_eq!((row.lane.state, row.lane.due, row.since), (LaneState::Running, None, at(1)));
    let done = Commit { document: Some(Bytes::from_static(b"doc")), ..commit("1", retry(at(9))) };
    b.commit(at(2), &claimed.lease, done).await;
    // Nothing was folded: the inbox is unchanged, and the lane wakes.
    let claimed = b.claim_one(at(2)).await;
    assert_eq!((claimed.document.as_deref(), contents(&claimed).len()), (Some(&b"doc"[..]), 2));
}

pub(crate) async fn people_due_longest_go_first(b: &mut Bench) {
    for (ms, who) in [(30, "3"), (10, "1"), (20, "2"), (40, "4")] {
        b.accept(at(ms), &[(who, "x")]).await;
    }
    assert_eq!(ids(&b.claim(at(40), 2).await), [number("1"), number("2")]);
    assert_eq!(ids(&b.claim(at(40), 9).await), [number("3"), number("4")]);
    let mut of_one_instant: Vec<_> = (10..30).map(|n| n.to_string()).collect();
    let entries: Vec<_> = of_one_instant.iter().map(|who| (who.as_str(), "x")).collect();
    b.accept(at(50), &entries).await;
    of_one_instant.sort_by_key(|who| number(who));
    let expected: Vec<_> = of_one_instant.iter().map(|who| number(who)).collect();
    assert_eq!(ids(&b.claim(at(50), 64).await), expected);
}

pub(crate) async fn a_person_has_one_worker_at_a_time(b: &mut Bench) {
    b.accept(at(0), &[("1", "a")]).await;
    let claimed = b.claim_one(at(0)).await;
    b.accept(at(1), &[("1", "b")]).await;
    assert_eq!(b.claim_none(at(2)).await, Some(at(LEASE_MS)));
    let folded = Commit { consumed_to: Some(claimed.inbox[0].seq), ..commit("1", idle()) };
    assert_eq!(b.commit(at(3), &claimed.lease, folded).await, Committed::Committed);
    let claimed = b.claim_one(at(3)).await;
    assert_eq!(contents(&claimed), ["b"]);
}

pub(crate) async fn a_long_inbox_is_given_out_in_parts(b: &mut Bench) {
    let entries: Vec<_> = (0..7).map(|_| ("1", "x")).collect();
    b.accept(at(0), &entries).await;
    let ask = ClaimRequest { entries_max: 3, ..request(1) };
    for expected in [3, 3, 1] {
        let Claim::People(people) = b.ask(at(1), &ask).await else { panic!("the rest waits") };
        assert_eq!(people[0].inbox.len(), expected);
        let to = people[0].inbox.last().map(|entry| entry.seq);
        let folded = Commit { consumed_to: to, ..commit("1", idle()) };
        b.commit(at(1), &people[0].lease, folded).await;
    }
    b.claim_none(at(1)).await;
    assert_eq!(b.lane("1").await, idle());
}

pub(crate) async fn an_expired_lease_is_taken_over_before_anybody_who_is_due(b: &mut Bench) {
    b.accept(at(0), &[("1", "a")]).await;
    let before = b.claim_one(at(0)).await;
    b.accept(at(1), &[("2", "b")]).await;
    assert_eq!(ids(&b.claim(at(LEASE_MS - 1), 1).await), [number("2")]);
    b.accept(at(2), &[("3", "c")]).await;
    let taken = b.claim(at(LEASE_MS), 1).await;
    assert_eq!((ids(&taken), taken[0].taken_over), (vec![number("1")], true));
    assert!(taken[0].lease.fence > before.lease.fence);
    let late = b.commit(at(LEASE_MS), &before.lease, commit("1", idle())).await;
    assert_eq!(late, Committed::Stale);
    assert_eq!(b.lane("1").await.state, LaneState::Running);
    assert_eq!(b.commit(at(LEASE_MS), &taken[0].lease, commit("1", held("x"))).await, Committed::Committed);
    assert_eq!(b.commit(at(LEASE_MS), &taken[0].lease, commit("1", idle())).await, Committed::Stale, "a second time");
    assert_eq!(b.lane("1").await, held("x"));
}

pub(crate) async fn an_expired_lease_still_commits_and_renews_until_taken_over(b: &mut Bench) {
    b.accept(at(0), &[("1", "a")]).await;
    let lease = b.claim_one(at(0)).await.lease;
    let late = at(5 * LEASE_MS);
    let renewed = b.store().await.renew(late, &lease, LEASE_MS).await.unwrap();
    assert_eq!(renewed, Some(Lease { until: late.plus_ms(LEASE_MS), ..lease.clone() }));
    assert_eq!(b.claim_none(late).await, Some(late.plus_ms(LEASE_MS)));
    assert_eq!(b.commit(late.plus_ms(5 * LEASE_MS), &lease, commit("1", held("x"))).await, Committed::Committed);
}

pub(crate) async fn a_lost_lease_cannot_be_renewed(b: &mut Bench) {
    b.accept(at(0), &[("1", "a")]).await;
    let lease = b.claim_one(at(0)).await.lease;
    b.claim_one(at(LEASE_MS)).await;
    assert_eq!(b.store().await.renew(at(LEASE_MS), &lease, LEASE_MS).await.unwrap(), None);
    let nobody = Lease { person: person("9").id(), ..lease };
    assert_eq!(b.store().await.renew(at(LEASE_MS), &nobody, LEASE_MS).await.unwrap(), None);
}

pub(crate) async fn fences_grow_over_all_people_and_with_time(b: &mut Bench) {
    b.accept(at(0), &[("1", "a"), ("2", "b"), ("3", "c")]).await;
    let mut fences: Vec<_> = b.claim(at(0), 3).await.iter().map(|claimed| claimed.lease.fence).collect();
    b.reopen().await;
    fences.extend(b.claim(at(LEASE_MS), 3).await.iter().map(|claimed| claimed.lease.fence));
    // A clock that is set back does not lower fences.
    b.accept(at(0), &[("4", "a")]).await;
    fences.push(b.claim_one(at(0)).await.lease.fence);
    assert!(fences.is_sorted_by(|before, after| before < after), "{fences:?}");
    // A crash may lose any number of fences that were given out, but not yet written: time alone must raise them.
    assert!(fences[3] > fences[2] + LEASE_MS, "{fences:?}");
}

async fn claim_of(b: &mut Bench, now: UnixMs, worker: &str, number: u64, lost_from: Option<u64>) -> Vec<Claimed> {
    let ask = ClaimRequest { worker: worker.into(), number, lost_from, ..request(1) };
    match b.ask(now, &ask).await {
        Claim::People(people) => people,
        Claim::Nobody { .. } => Vec::new(),
    }
}

pub(crate) async fn a_lost_claim_is_given_back_first(b: &mut Bench) {
    b.accept(at(0), &[("1", "a")]).await;
    let lost = claim_of(b, at(0), "w", 7, None).await.remove(0);
    let again = claim_of(b, at(1), "w", 8, Some(7)).await.remove(0);
    assert_eq!((again.lease.person, again.taken_over), (lost.lease.person, false));
    assert_eq!(b.commit(at(1), &lost.lease, commit("1", idle())).await, Committed::Stale);
    // A claim that asks for nobody and only gives back lost ones.
    let ask = ClaimRequest { number: 9, lost_from: Some(8), people_max: 0, ..request(0) };
    assert!(matches!(b.ask(at(2), &ask).await, Claim::Nobody { .. }));
    let row = b.row("1").await;
    assert_eq!((row.lane, row.since), (retry(at(2)), at(2)));
    assert_eq!(b.store().await.renew(at(2), &again.lease, LEASE_MS).await.unwrap(), None);
}

pub(crate) async fn a_claim_gives_back_only_the_claim_it_names_as_lost(b: &mut Bench) {
    b.accept(at(0), &[("1", "a"), ("2", "b"), ("3", "c")]).await;
    let heard = claim_of(b, at(0), "w", 4, None).await.remove(0);
    let other = claim_of(b, at(0), "other", 5, None).await.remove(0);
    let lost = claim_of(b, at(0), "w", 5, None).await.remove(0);
    let again = claim_of(b, at(1), "w", 6, Some(5)).await.remove(0);
    assert_eq!(again.lease.person, lost.lease.person);
    for lease in [heard.lease, other.lease, again.lease] {
        assert!(b.store().await.renew(at(1), &lease, LEASE_MS).await.unwrap().is_some());
    }
}

pub(crate) async fn the_person_parked_longest_is_claimed_by_tag_due_or_not(b: &mut Bench) {
    for (ms, who) in [(1, "2"), (2, "1"), (3, "3")] {
        b.settled(at(ms), who, held("all")).await;
    }
    b.settled(at(4), "other", held("creates")).await;
    b.accept(at(5), &[("due", "x")]).await;
    let ask = |tag: &str| ClaimRequest { parked: Some(tag.to_owned()), ..request(8) };
    let Claim::People(people) = b.ask(at(6), &ask("all")).await else { panic!("three are parked") };
    assert_eq!(ids(&people), [number("2")]);
    assert_eq!(people[0].document.as_deref(), Some(&b"doc of 2"[..]));
    // People whose lease expired are not among the parked, and asking for a tag takes nobody over.
    let late = at(6 + 2 * LEASE_MS);
    let Claim::People(people) = b.ask(late, &ask("all")).await else { panic!("two are parked") };
    assert_eq!(ids(&people), [number("1")]);
    b.commit(late, &people[0].lease, commit("1", held("all"))).await;
    let Claim::People(people) = b.ask(late, &ask("all")).await else { panic!("two are parked") };
    assert_eq!(ids(&people), [number("3")], "people who are parked again go to the end");
    assert!(matches!(b.ask(late, &ask("nobody's")).await, Claim::Nobody { .. }));
}

pub(crate) async fn an_empty_claim_says_when_to_ask_again(b: &mut Bench) {
    assert_eq!(b.claim_none(at(0)).await, None);
    b.settled(at(0), "1", held("all")).await;
    assert_eq!(b.claim_none(at(0)).await, None);
    b.settled(at(0), "2", retry(at(90_000))).await;
    assert_eq!(b.claim_none(at(0)).await, Some(at(90_000)));
    b.accept(at(1), &[("3", "x")]).await;
    b.claim_one(at(1)).await;
    assert_eq!(b.claim_none(at(1)).await, Some(at(1 + LEASE_MS)));
}

pub(crate) async fn a_lone_process_ends_all_leases_uncounted(b: &mut Bench) {
    b.settled(at(0), "0", held("all")).await;
    b.accept(at(0), &[("1", "a"), ("2", "b")]).await;
    let claimed = b.claim(at(0), 1).await;
    assert_eq!(b.store().await.end_leases(at(9)).await.unwrap(), 1);
    assert_eq!(b.store().await.end_leases(at(9)).await.unwrap(), 0);
    let again = b.claim(at(9), 9).await;
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|claimed| !claimed.taken_over));
    assert_eq!(b.commit(at(9), &claimed[0].lease, commit("x", idle())).await, Committed::Stale);
    assert_eq!(b.lane("0").await, held("all"));
}
