//! Unmapped records that are replayed or discarded, and people who are erased.

use bytes::Bytes;
use scim_bridge::core::person::PersonId;
use scim_bridge::store::{Commit, Committed, DeadFilter, Lane, LaneState, Own, Story};

use crate::harness::{Bench, at, commit, contents, dead_row, dies, first, held, idle, person, person_of, retry};

pub(crate) async fn an_unmapped_record_is_shown_with_its_payload(b: &mut Bench) {
    let id = b.accept_unmapped(at(0), Some("1"), r#"{"x":1}"#).await;
    let (row, payload) = b.store().await.dead_letter(id).await.unwrap().unwrap();
    assert_eq!((row.id, row.person, row.unmapped, row.died_at), (id, Some(person("1")), true, at(0)));
    assert_eq!(payload.as_deref(), Some(&br#"{"x":1}"#[..]));
    assert!(b.store().await.person(person("1").id()).await.unwrap().is_none());
}

pub(crate) async fn an_unmapped_record_is_replaced_by_its_events_in_one_step(b: &mut Bench) {
    let id = b.accept_unmapped(at(0), None, "old").await;
    b.with(|options| (options.bounds.entries_max, options.bounds.dead_letters_max) = (0, 0)).await;
    let entries = vec![b.entry("1", "a"), b.entry("1", "b"), b.entry("2", "c")];
    let rest = b.unmapped(at(1), None, "the rest");
    let rest_id = rest.row.id;
    assert!(b.store().await.replay_unmapped(at(1), id, entries, vec![rest]).await.unwrap());
    assert_eq!(b.dead(&DeadFilter::default()).await, [rest_id]);
    assert_eq!(b.lane("1").await, retry(at(1)));
    let claimed = b.claim(at(1), 9).await;
    let of_one = claimed.iter().find(|claimed| claimed.lease.person == person("1").id()).unwrap();
    assert_eq!((claimed.len(), contents(of_one)), (2, vec!["a".to_owned(), "b".to_owned()]));
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((stats.dead_bytes, stats.entries["hr"]), (8, 3));
    // The second time there is nothing to replay.
    let again = vec![b.entry("3", "x")];
    assert!(!b.store().await.replay_unmapped(at(2), id, again, Vec::new()).await.unwrap());
    assert!(b.store().await.person(person("3").id()).await.unwrap().is_none());
    assert_eq!(b.entries().await, 3);
}

pub(crate) async fn a_record_that_still_cannot_be_mapped_keeps_its_id(b: &mut Bench) {
    let id = b.accept_unmapped(at(0), None, "old").await;
    let mut same = b.unmapped(at(0), None, "old");
    same.row.id = id;
    same.row.code = "MAP-SHAPE".to_owned();
    assert!(b.store().await.replay_unmapped(at(1), id, Vec::new(), vec![same]).await.unwrap());
    assert_eq!(b.store().await.dead_letter(id).await.unwrap().unwrap().0.code, "MAP-SHAPE");
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((stats.dead_bytes, stats.dead.values().sum::<u64>()), (3, 1));
}

pub(crate) async fn an_unmapped_record_is_discarded_once_and_a_blocked_person_never(b: &mut Bench) {
    let id = b.accept_unmapped(at(0), None, "x").await;
    assert!(b.store().await.discard_unmapped(id).await.unwrap());
    assert!(!b.store().await.discard_unmapped(id).await.unwrap());
    let dead = b.accept(at(0), &[("1", "x")]).await[0];
    b.process(at(0), "1", dies(dead_row(dead, "1", at(0), "SCIM-4XX"), "1")).await;
    assert!(!b.store().await.discard_unmapped(dead).await.unwrap());
    assert!(!b.store().await.replay_unmapped(at(1), dead, Vec::new(), Vec::new()).await.unwrap());
    assert_eq!(b.dead(&DeadFilter::default()).await, [dead]);
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((stats.dead_bytes, stats.dead_by_source["hr"]), (0, 1));
}

pub(crate) async fn an_erased_person_leaves_nothing(b: &mut Bench) {
    let id = b.accept(at(0), &[("1", "a")]).await[0];
    let claimed = b.claim_one(at(0)).await;
    let own = Own { keys: vec!["id:7".to_owned()], from: None };
    b.store().await.own(at(0), &claimed.lease, own).await.unwrap();
    let full = Commit {
        document: Some(Bytes::from_static(b"doc")),
        story: vec![Bytes::from_static(b"note")],
        terms_added: vec!["ada".to_owned()],
        ..dies(dead_row(id, "1", at(0), "SCIM-4XX"), "1")
    };
    b.commit(at(0), &claimed.lease, full).await;
    b.accept_unmapped(at(1), Some("1"), "about them").await;
    let stays = b.accept_unmapped(at(1), Some("11"), "about another").await;
    b.settled(at(2), "1", held("all")).await;
    b.accept(at(3), &[("1", "b")]).await;
    assert!(b.store().await.erase(at(3), &person("1"), &[]).await.unwrap());
    assert!(b.store().await.person(person("1").id()).await.unwrap().is_none());
    assert_eq!(b.store().await.story(person("1").id()).await.unwrap(), Story::default());
    assert_eq!(b.store().await.owner("id:7").await.unwrap(), None);
    assert!(b.store().await.search("ada", &first(9)).await.unwrap().rows.is_empty());
    assert_eq!(b.dead(&DeadFilter::default()).await, [stays]);
    assert_eq!(b.store().await.release(at(4), "all", 9).await.unwrap(), 0);
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((stats.people, stats.entries.values().sum::<u64>(), stats.oldest_due_at), (0, 0, None));
    assert_eq!(stats.lanes.values().sum::<u64>(), 0);
    assert!(!b.store().await.erase(at(3), &person("1"), &[]).await.unwrap());
    assert!(!b.store().await.erase(at(3), &person_of("eu", "11"), &[]).await.unwrap());
}

pub(crate) async fn erasing_a_leased_person_ends_the_lease_and_they_may_return(b: &mut Bench) {
    b.accept(at(0), &[("1", "a")]).await;
    let lease = b.claim_one(at(0)).await.lease;
    assert!(b.store().await.erase(at(3), &person("1"), &[]).await.unwrap());
    assert_eq!(b.commit(at(1), &lease, commit("1", idle())).await, Committed::Stale);
    b.accept(at(2), &[("1", "b")]).await;
    let claimed = b.claim_one(at(2)).await;
    assert_eq!((contents(&claimed), claimed.taken_over), (vec!["b".to_owned()], false));
    assert!(claimed.lease.fence > lease.fence);
    assert_eq!(b.commit(at(2), &lease, commit("1", idle())).await, Committed::Stale);
}

pub(crate) async fn erasing_a_person_makes_due_those_who_wait_for_their_keys(b: &mut Bench) {
    b.settled(at(0), "1", held("owned:1")).await;
    let waits = |tag: &str| Lane { state: LaneState::Blocked, ..held(tag) };
    for (who, tag) in [("2", "owned:1"), ("3", "owned:1"), ("4", "owned:4")] {
        b.settled(at(0), who, waits(tag)).await;
    }
    assert!(b.claim(at(1), 9).await.is_empty());
    assert!(b.store().await.erase(at(2), &person("1"), &["owned:1".to_owned(), "owned:7".to_owned()]).await.unwrap());
    b.reopen().await;
    let mut due: Vec<_> = b.claim(at(3), 9).await.iter().map(|claimed| claimed.lease.person).collect();
    due.sort();
    let mut expected = ["2", "3"].map(|who| person(who).id());
    expected.sort();
    assert_eq!(due, expected);
    // Nobody has that id any more, and people who wait for them are due anyway.
    assert!(!b.store().await.erase(at(4), &person("1"), &["owned:4".to_owned()]).await.unwrap());
    assert_eq!(b.claim_one(at(5)).await.lease.person, person("4").id());
}

pub(crate) async fn a_person_named_only_by_an_unmapped_record_is_erased_with_it(b: &mut Bench) {
    b.accept_unmapped(at(0), Some("1"), "about them").await;
    assert!(b.store().await.erase(at(3), &person("1"), &[]).await.unwrap());
    assert!(b.dead(&DeadFilter::default()).await.is_empty());
    assert_eq!(b.store().await.person(PersonId(1)).await.unwrap().map(|row| row.id), None);
}
