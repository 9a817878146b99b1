//! Deliveries: remembered and queued in one step, recognised as duplicates, and bounded.

use bytes::Bytes;
use scim_bridge::core::person::SourceName;
use scim_bridge::store::{Accepted, DeadFilter, Dedupe, FullBound, LaneState, NewDelivery, NewEntry};

use crate::harness::{
    Bench, REMEMBER_MS, at, body, commit, contents, dead_row, delivery, dies, held, idle, person, person_of, retry,
    source,
};

pub(crate) async fn a_delivery_waits_in_the_inbox_of_each_of_its_people(b: &mut Bench) {
    b.accept(at(0), &[("1", "a"), ("2", "b"), ("1", "c")]).await;
    b.accept(at(1), &[("1", "d")]).await;
    let row = b.row("1").await;
    assert_eq!((row.id, row.document, row.inbox_entries), (person("1").id(), None, 3));
    assert!(row.inbox.is_sorted_by_key(|entry| entry.seq));
    let words: Vec<_> = row.inbox.iter().map(|entry| &entry.bytes[..]).collect();
    assert_eq!(words, [b"a", b"c", b"d"]);
    assert_eq!((row.lane, row.since), (retry(at(0)), at(0)));
    assert_eq!((b.row("2").await.inbox_entries, b.entries().await), (1, 4));
    assert!(b.store().await.person(person("3").id()).await.unwrap().is_none());
}

pub(crate) async fn a_known_id_is_a_duplicate_whatever_its_body(b: &mut Bench) {
    let key = b.key();
    let mut sent = delivery(key, vec![b.entry("1", "a"), b.entry("2", "b")]);
    sent.unmapped.push(b.unmapped(at(0), None, "?"));
    let mut ids: Vec<_> = sent.entries.iter().map(|entry| entry.job).collect();
    ids.push(sent.unmapped[0].row.id);
    assert_eq!(b.deliver(at(0), sent.clone()).await, Accepted::Stored);
    let duplicate = Accepted::Duplicate { ids };
    assert_eq!(b.deliver(at(1), sent).await, duplicate);
    let other = delivery(key, vec![b.entry("1", "other"), b.entry("3", "c")]);
    assert_eq!(b.deliver(at(2), other.clone()).await, duplicate);
    let Accepted::Duplicate { ids } = duplicate else { unreachable!() };
    let mut contradicting = other;
    contradicting.dedupe.as_mut().unwrap().says = 1;
    assert_eq!(b.deliver(at(2), contradicting).await, Accepted::Conflict { ids });
    assert_eq!(b.entries().await, 2);
    assert_eq!(b.dead(&DeadFilter::default()).await.len(), 1);
    assert!(b.store().await.person(person("3").id()).await.unwrap().is_none());
}

pub(crate) async fn a_delivery_without_a_key_is_never_a_duplicate(b: &mut Bench) {
    for n in 1..4 {
        let sent = NewDelivery { dedupe: None, ..delivery([0; 16], vec![b.entry("1", "same")]) };
        assert_eq!(b.deliver(at(0), sent).await, Accepted::Stored);
        assert_eq!(b.entries().await, n);
    }
}

pub(crate) async fn a_delivery_is_forgotten_after_its_time_and_not_before(b: &mut Bench) {
    let key = b.key();
    let first = delivery(key, vec![b.entry("1", "a")]);
    let ids = vec![first.entries[0].job];
    b.deliver(at(0), first).await;
    let again = delivery(key, vec![b.entry("1", "a")]);
    b.store().await.tidy(at(REMEMBER_MS - 1)).await.unwrap();
    assert_eq!(b.deliver(at(REMEMBER_MS - 1), again.clone()).await, Accepted::Duplicate { ids });
    assert_eq!(b.deliver(at(REMEMBER_MS), again.clone()).await, Accepted::Stored);
    // The second one is remembered from its own time on.
    let ids = vec![again.entries[0].job];
    assert_eq!(b.deliver(at(REMEMBER_MS + 1), again).await, Accepted::Duplicate { ids });
}

pub(crate) async fn each_delivery_is_forgotten_in_its_own_time(b: &mut Bench) {
    let keep = |remember_ms, key| {
        let dedupe = Dedupe { key, only_while_newest: false, remember_ms, says: 0 };
        NewDelivery { dedupe: Some(dedupe), ..delivery(key, Vec::new()) }
    };
    let times = [500, 20, 300, 4_000, 1];
    for (n, ms) in (0_u8..).zip(times) {
        assert_eq!(b.deliver(at(0), keep(ms, [n; 16])).await, Accepted::Stored);
    }
    b.store().await.tidy(at(300)).await.unwrap();
    for (n, ms) in (0_u8..).zip(times) {
        let answer = b.deliver(at(300), keep(1, [n; 16])).await;
        assert_eq!(answer == Accepted::Stored, ms <= 300, "{n}");
    }
}

pub(crate) async fn a_body_is_a_duplicate_only_while_it_is_the_persons_newest(b: &mut Bench) {
    let accept = async |b: &mut Bench, ms, key, word: &str| {
        let sent = body(key, vec![b.entry("1", word)]);
        let id = sent.entries[0].job;
        (b.deliver(at(ms), sent).await, id)
    };
    let (answer, first) = accept(b, 0, 1, "a").await;
    assert_eq!(answer, Accepted::Stored);
    assert_eq!(accept(b, 1, 1, "a").await.0, Accepted::Duplicate { ids: vec![first] });
    assert_eq!(accept(b, 2, 2, "b").await.0, Accepted::Stored);
    // The value changes back.
    let (answer, back) = accept(b, 3, 1, "a").await;
    assert_eq!(answer, Accepted::Stored);
    assert_eq!(accept(b, 4, 1, "a").await.0, Accepted::Duplicate { ids: vec![back] });
    assert_eq!(contents(&b.claim_one(at(5)).await), ["a", "b", "a"]);
    // A delivery with an id of its own is newer, too.
    b.accept(at(6), &[("1", "c")]).await;
    assert_eq!(accept(b, 7, 1, "a").await.0, Accepted::Stored);
    assert_eq!(b.entries().await, 5);
}

pub(crate) async fn a_repeated_body_is_stored_only_for_people_with_a_newer_delivery(b: &mut Bench) {
    let both = |b: &mut Bench| body(1, vec![b.entry("1", "a"), b.entry("1", "a2"), b.entry("2", "b")]);
    let sent = both(b);
    assert_eq!(b.deliver(at(0), sent).await, Accepted::Stored);
    let sent = both(b);
    assert!(matches!(b.deliver(at(1), sent).await, Accepted::Duplicate { ids } if ids.len() == 3));
    b.accept(at(2), &[("2", "c")]).await;
    let sent = both(b);
    assert_eq!(b.deliver(at(3), sent).await, Accepted::Stored);
    assert_eq!((b.row("1").await.inbox_entries, b.row("2").await.inbox_entries), (2, 3));
}

pub(crate) async fn a_forgotten_body_is_news(b: &mut Bench) {
    let sent = body(1, vec![b.entry("1", "a")]);
    b.deliver(at(0), sent).await;
    let sent = body(1, vec![b.entry("1", "a")]);
    assert_eq!(b.deliver(at(REMEMBER_MS), sent).await, Accepted::Stored);
    assert_eq!(b.entries().await, 2);
}

pub(crate) async fn a_repeated_body_about_nobody_is_recognised(b: &mut Bench) {
    let mut sent = body(1, Vec::new());
    sent.unmapped.push(b.unmapped(at(0), None, "?"));
    let ids = vec![sent.unmapped[0].row.id];
    assert_eq!(b.deliver(at(0), sent.clone()).await, Accepted::Stored);
    assert_eq!(b.deliver(at(1), sent).await, Accepted::Duplicate { ids });
}

fn from(source: &str, entries: Vec<NewEntry>) -> NewDelivery {
    NewDelivery { source: SourceName::parse(source).unwrap(), dedupe: None, entries, unmapped: Vec::new() }
}

/// A delivery with this many entries, each about another person of a source.
fn many(b: &mut Bench, source: &str, count: usize) -> NewDelivery {
    let entry = |n: usize| {
        let person = person_of(source, &n.to_string());
        NewEntry { job: b.id(&person), person, bytes: Bytes::from_static(b"x") }
    };
    let entries = (0..count).map(entry).collect();
    from(source, entries)
}

pub(crate) async fn a_source_may_use_half_of_the_room_that_others_leave(b: &mut Bench) {
    b.with(|options| options.bounds.entries_max = 20).await;
    let mut offer = async |source: &str, count| {
        let sent = many(b, source, count);
        b.deliver(at(0), sent).await
    };
    assert_eq!(offer("hr", 11).await, Accepted::Full(FullBound::Entries));
    assert_eq!(offer("hr", 10).await, Accepted::Stored);
    assert_eq!(offer("hr", 1).await, Accepted::Full(FullBound::Entries));
    assert_eq!(offer("eu", 6).await, Accepted::Full(FullBound::Entries));
    assert_eq!(offer("eu", 5).await, Accepted::Stored);
    assert_eq!(offer("us", 2).await, Accepted::Stored);
    // Entries that were committed make room; those that a worker still has count.
    let claimed = b.claim(at(1), 64).await;
    let hr = claimed.iter().find(|claimed| claimed.lease.person == person("0").id()).unwrap();
    let sent = many(b, "hr", 1);
    assert_eq!(b.deliver(at(1), sent.clone()).await, Accepted::Full(FullBound::Entries));
    let done = scim_bridge::store::Commit { consumed_to: Some(hr.inbox[0].seq), ..commit("0", idle()) };
    b.commit(at(1), &hr.lease, done).await;
    b.store().await.erase(at(0), &person_of("us", "0"), &[]).await.unwrap();
    b.store().await.erase(at(0), &person_of("us", "1"), &[]).await.unwrap();
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((stats.entries["hr"], stats.entries["eu"], stats.entries.get("us").copied().unwrap_or(0)), (9, 5, 0));
    let sent = many(b, "hr", 2);
    assert_eq!(b.deliver(at(2), sent).await, Accepted::Full(FullBound::Entries));
}

pub(crate) async fn a_refused_delivery_stores_nothing(b: &mut Bench) {
    b.with(|options| options.bounds.entries_max = 2).await;
    let key = b.key();
    let mut sent = delivery(key, vec![b.entry("1", "a"), b.entry("2", "b")]);
    sent.unmapped.push(b.unmapped(at(0), None, "?"));
    assert_eq!(b.deliver(at(0), sent.clone()).await, Accepted::Full(FullBound::Entries));
    assert!(b.store().await.person(person("1").id()).await.unwrap().is_none());
    assert!(b.dead(&DeadFilter::default()).await.is_empty());
    b.with(|options| options.bounds.entries_max = 4).await;
    assert_eq!(b.deliver(at(1), sent.clone()).await, Accepted::Stored);
    // Duplicates need no room.
    b.with(|options| options.bounds.entries_max = 0).await;
    assert!(matches!(b.deliver(at(2), sent).await, Accepted::Duplicate { .. }));
}

pub(crate) async fn unmapped_records_have_a_bound_in_number_and_one_in_bytes(b: &mut Bench) {
    let offer = async |b: &mut Bench, payload: &str| {
        let mut sent = delivery(b.key(), Vec::new());
        sent.unmapped.push(b.unmapped(at(0), None, payload));
        b.deliver(at(0), sent).await
    };
    b.with(|options| (options.bounds.dead_letters_max, options.bounds.dead_bytes_max) = (6, 200)).await;
    assert_eq!(offer(b, &"x".repeat(101)).await, Accepted::Full(FullBound::DeadBytes));
    assert_eq!(offer(b, &"x".repeat(60)).await, Accepted::Stored);
    assert_eq!(offer(b, &"x".repeat(41)).await, Accepted::Full(FullBound::DeadBytes));
    assert_eq!(offer(b, &"x".repeat(40)).await, Accepted::Stored);
    assert_eq!(offer(b, "").await, Accepted::Stored);
    assert_eq!(offer(b, "").await, Accepted::Full(FullBound::DeadLetters));
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((stats.dead_bytes, stats.dead["MAP-FIELD"], stats.dead_by_source["hr"]), (100, 3, 3));
    // A discarded record makes room.
    let gone = b.dead(&DeadFilter::default()).await[0];
    assert!(b.store().await.discard_unmapped(gone).await.unwrap());
    assert_eq!(offer(b, "").await, Accepted::Stored);
}

pub(crate) async fn blocked_people_take_room_and_are_never_refused(b: &mut Bench) {
    b.with(|options| options.bounds.dead_letters_max = 2).await;
    for who in ["1", "2", "3"] {
        let id = b.accept(at(0), &[(who, "x")]).await[0];
        b.process(at(0), who, dies(dead_row(id, who, at(0), "SCIM-400-SYNTAX"), who)).await;
    }
    assert_eq!(b.dead(&DeadFilter::default()).await.len(), 3);
    let mut sent = delivery(b.key(), vec![]);
    sent.unmapped.push(b.unmapped(at(0), None, "?"));
    assert_eq!(b.deliver(at(0), sent).await, Accepted::Full(FullBound::DeadLetters));
    b.accept(at(1), &[("4", "whoever is mapped")]).await;
}

pub(crate) async fn an_entry_makes_only_its_person_due_if_their_lane_wakes(b: &mut Bench) {
    let far = at(1_000_000);
    let scheduled = scim_bridge::store::Lane { state: LaneState::Scheduled, ..retry(far) };
    let lanes = [("idle", idle()), ("retry", retry(far)), ("held", held("all")), ("scheduled", scheduled)];
    for (who, lane) in &lanes {
        b.settled(at(0), who, lane.clone()).await;
        assert_eq!(b.lane(who).await, *lane);
    }
    for (who, lane) in lanes {
        b.accept(at(5), &[(who, "news")]).await;
        let row = b.row(who).await;
        let expected = if who == "held" { (lane, at(0)) } else { (retry(at(5)), at(5)) };
        assert_eq!((row.lane, row.since), expected, "{who}");
    }
    assert_eq!(b.claim(at(5), 9).await.len(), 3);
}

pub(crate) async fn a_person_already_due_keeps_their_place_in_the_queue(b: &mut Bench) {
    b.accept(at(0), &[("1", "a")]).await;
    b.accept(at(5), &[("1", "b")]).await;
    let row = b.row("1").await;
    assert_eq!((row.lane, row.since), (retry(at(0)), at(0)));
}

pub(crate) async fn a_person_with_slashes_and_quotes_in_the_id_is_one_person(b: &mut Bench) {
    let odd = "a/b\"c'd é 漢";
    b.accept(at(0), &[(odd, "x")]).await;
    b.settled(at(1), odd, idle()).await;
    assert_eq!(b.row(odd).await.document.as_deref(), Some(format!("doc of {odd}").as_bytes()));
    assert_eq!(person(odd).source, source());
}
