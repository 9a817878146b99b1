//! Members and addresses, each of one person at most.

use bytes::Bytes;
use scim_bridge::core::person::PersonId;
use scim_bridge::store::{Commit, Committed, Former, LaneState, Lease, Own, Owned};

use crate::harness::{Bench, LEASE_MS, at, commit, contents, held, idle, person, retry};

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

async fn own(b: &mut Bench, lease: &Lease, wanted: &[&str], from: Option<Former>) -> Owned {
    b.store().await.own(at(1), lease, Own { keys: keys(wanted), from }).await.unwrap()
}

async fn owner(b: &mut Bench, key: &str) -> Option<PersonId> {
    b.store().await.owner(key).await.unwrap()
}

/// In sync, with everything folded into a document.
fn folded(who: &str) -> Commit {
    Commit { document: Some(format!("of {who}").into()), consumed_to: Some(u64::MAX / 4), ..commit(who, idle()) }
}

/// The person from whom keys are taken, as [`folded`] leaves them.
fn former(b: &mut Bench, who: &str) -> Former {
    let entry = Some(b.entry(who, "handed over"));
    Former { person: person(who).id(), entry, document: format!("of {who}").into(), state: LaneState::Idle }
}

/// Creates a person and claims them.
async fn leased(b: &mut Bench, who: &str) -> Lease {
    b.accept(at(0), &[(who, "x")]).await;
    let lease = b.claim_one(at(0)).await.lease;
    assert_eq!(lease.person, person(who).id());
    lease
}

pub(crate) async fn keys_are_owned_all_or_none(b: &mut Bench) {
    let (one, two) = (leased(b, "1").await, leased(b, "2").await);
    assert_eq!(own(b, &one, &["id:7", "address:a@x"], None).await, Owned::Yes);
    assert_eq!(own(b, &one, &["id:7", "address:a@x"], None).await, Owned::Yes, "again");
    assert_eq!(own(b, &two, &["id:8", "address:a@x", "address:b@x"], None).await, Owned::By(one.person));
    for (key, expected) in [("id:7", Some(one.person)), ("address:a@x", Some(one.person)), ("id:8", None)] {
        assert_eq!(owner(b, key).await, expected, "{key}");
    }
    assert_eq!(own(b, &two, &["id:8"], None).await, Owned::Yes);
}

pub(crate) async fn keys_are_owned_under_the_fence_only(b: &mut Bench) {
    let lost = leased(b, "1").await;
    let lease = b.claim_one(at(LEASE_MS)).await.lease;
    assert_eq!(own(b, &lost, &["id:7"], None).await, Owned::Stale);
    assert_eq!(owner(b, "id:7").await, None);
    assert_eq!(own(b, &lease, &["id:7"], None).await, Owned::Yes);
    b.commit(at(LEASE_MS), &lease, commit("1", held("x"))).await;
    assert_eq!(own(b, &lease, &["id:8"], None).await, Owned::Stale);
    assert_eq!(owner(b, "id:7").await, Some(lease.person));
}

pub(crate) async fn keys_are_taken_from_a_person_who_is_notified_once(b: &mut Bench) {
    let (one, two, three) = (leased(b, "1").await, leased(b, "2").await, leased(b, "3").await);
    own(b, &one, &["id:7", "address:a@x"], None).await;
    own(b, &three, &["address:c@x"], None).await;
    b.commit(at(1), &one, folded("1")).await;
    let former_of = |b: &mut Bench| Some(former(b, "1"));
    // Not if one of the keys is a third person's.
    let from = former_of(b);
    assert_eq!(own(b, &two, &["id:7", "address:c@x"], from).await, Owned::By(three.person));
    assert_eq!((owner(b, "id:7").await, b.row("1").await.inbox_entries), (Some(one.person), 0));
    let from = former_of(b);
    assert_eq!(own(b, &two, &["id:7", "address:a@x", "id:new"], from).await, Owned::Yes);
    for key in ["id:7", "address:a@x", "id:new"] {
        assert_eq!(owner(b, key).await, Some(two.person), "{key}");
    }
    assert_eq!(b.lane("1").await, retry(at(1)));
    // Repeated because the answer was lost: the handover is not announced twice.
    let from = former_of(b);
    assert_eq!(own(b, &two, &["id:7", "address:a@x", "id:new"], from).await, Owned::Yes);
    assert_eq!(contents(&b.claim_one(at(1)).await), ["handed over"]);
}

pub(crate) async fn unused_keys_are_taken_without_notice(b: &mut Bench) {
    let (one, two) = (leased(b, "1").await, leased(b, "2").await);
    own(b, &one, &["id:7", "address:a@x"], None).await;
    b.commit(at(1), &one, folded("1")).await;
    let unnotified = Some(Former { entry: None, ..former(b, "1") });
    assert_eq!(own(b, &two, &["address:a@x"], unnotified).await, Owned::Yes);
    assert_eq!((owner(b, "address:a@x").await, owner(b, "id:7").await), (Some(two.person), Some(one.person)));
    assert_eq!((b.lane("1").await, b.row("1").await.inbox_entries), (idle(), 0));
}

pub(crate) async fn keys_are_not_taken_from_a_leased_person(b: &mut Bench) {
    let (one, two) = (leased(b, "1").await, leased(b, "2").await);
    own(b, &one, &["id:7"], None).await;
    let from = Some(former(b, "1"));
    assert_eq!(own(b, &two, &["id:7", "id:new"], from.clone()).await, Owned::By(one.person));
    assert_eq!((owner(b, "id:7").await, owner(b, "id:new").await), (Some(one.person), None));
    // People keep others only from keys that they own.
    assert_eq!(own(b, &two, &["id:new"], from.clone()).await, Owned::Yes);
    b.commit(at(1), &one, folded("1")).await;
    assert_eq!(own(b, &two, &["id:7"], from).await, Owned::Yes);
    assert_eq!(contents(&b.claim_one(at(1)).await), ["handed over"]);
}

pub(crate) async fn keys_are_not_taken_from_a_person_who_changed_since_the_read(b: &mut Bench) {
    let (one, two, three) = (leased(b, "1").await, leased(b, "2").await, leased(b, "3").await);
    own(b, &one, &["id:7"], None).await;
    own(b, &three, &["id:9"], None).await;
    b.commit(at(1), &one, folded("1")).await;
    let as_read = former(b, "1");
    let rehired = Former { document: "another".into(), ..as_read.clone() };
    let blocked = Former { state: LaneState::Blocked, ..as_read.clone() };
    let never = Former { document: Bytes::new(), ..as_read.clone() };
    for other in [rehired, blocked, never] {
        // If several own the keys, the first one is returned.
        assert_eq!(own(b, &two, &["id:7", "id:9"], Some(other.clone())).await, Owned::By(one.person));
        assert_eq!(own(b, &two, &["id:9", "id:7"], Some(other)).await, Owned::By(three.person));
    }
    // An entry that nobody has folded yet may be a rehire.
    b.accept(at(1), &[("1", "hired again")]).await;
    let due = Former { state: LaneState::Waiting, ..as_read.clone() };
    for as_read in [as_read.clone(), due] {
        assert_eq!(own(b, &two, &["id:7"], Some(as_read)).await, Owned::By(one.person));
    }
    assert_eq!((owner(b, "id:7").await, b.row("1").await.inbox_entries), (Some(one.person), 1));
    b.process(at(1), "1", folded("1")).await;
    assert_eq!(own(b, &two, &["id:7"], Some(as_read)).await, Owned::Yes);
}

pub(crate) async fn a_commit_gives_up_only_the_persons_own_keys(b: &mut Bench) {
    let (one, two) = (leased(b, "1").await, leased(b, "2").await);
    own(b, &one, &["id:7", "address:a@x"], None).await;
    own(b, &two, &["id:8"], None).await;
    let gives_up = Commit { disowned: keys(&["address:a@x", "id:8", "id:nobody's"]), ..commit("1", idle()) };
    assert_eq!(b.commit(at(1), &one, gives_up).await, Committed::Committed);
    assert_eq!(owner(b, "address:a@x").await, None);
    assert_eq!((owner(b, "id:7").await, owner(b, "id:8").await), (Some(one.person), Some(two.person)));
    assert_eq!(own(b, &two, &["address:a@x"], None).await, Owned::Yes);
}
