//! Listings, page by page, and statistics.

use std::collections::BTreeSet;

use bytes::Bytes;
use scim_bridge::core::person::{EventKind, PersonId};
use scim_bridge::store::{Commit, DeadFilter, LaneState, Listed, PAGE_BYTES_MAX, Page, PersonRow, Shared, StoreError};

use crate::harness::{Bench, at, blocked, commit, dead_row, dies, first, held, idle, person, retry, source};

type Read<'a> = &'a dyn AsyncRead;

/// Reads one page of some listing of people.
#[async_trait::async_trait(?Send)]
trait AsyncRead {
    async fn read(&self, b: &mut Bench, page: &Page) -> Listed<PersonRow>;
}

struct People;
struct Lanes(LaneState);
struct Search(&'static str);

#[async_trait::async_trait(?Send)]
impl AsyncRead for People {
    async fn read(&self, b: &mut Bench, page: &Page) -> Listed<PersonRow> {
        b.store().await.people(page).await.unwrap()
    }
}

#[async_trait::async_trait(?Send)]
impl AsyncRead for Lanes {
    async fn read(&self, b: &mut Bench, page: &Page) -> Listed<PersonRow> {
        b.store().await.lanes(self.0, page).await.unwrap()
    }
}

#[async_trait::async_trait(?Send)]
impl AsyncRead for Search {
    async fn read(&self, b: &mut Bench, page: &Page) -> Listed<PersonRow> {
        b.store().await.search(self.0, page).await.unwrap()
    }
}

/// All pages of a listing, with this many rows per page.
async fn all(b: &mut Bench, rows_max: usize, listing: Read<'_>) -> Vec<PersonId> {
    let (mut found, mut page) = (Vec::new(), first(rows_max));
    loop {
        let listed = listing.read(b, &page).await;
        assert!(listed.rows.len() <= rows_max);
        found.extend(listed.rows.iter().map(|row| row.id));
        page.after = listed.next;
        if page.after.is_none() {
            return found;
        }
    }
}

fn sorted(names: &[String]) -> Vec<PersonId> {
    let mut ids: Vec<_> = names.iter().map(|who| person(who).id()).collect();
    ids.sort_unstable();
    ids
}

pub(crate) async fn people_are_listed_by_number_page_by_page(b: &mut Bench) {
    let names: Vec<_> = (0..25).map(|n| n.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|who| (who.as_str(), "x")).collect();
    b.accept(at(0), &entries).await;
    for rows_max in [1, 7, 25, 100] {
        assert_eq!(all(b, rows_max, &People).await, sorted(&names), "{rows_max}");
    }
    let row = b.store().await.people(&first(1)).await.unwrap().rows.remove(0);
    assert_eq!((row.document, row.inbox_entries, row.inbox.len()), (None, 1, 1));
}

pub(crate) async fn lanes_are_listed_by_state_longest_first(b: &mut Bench) {
    let mut expected = Vec::new();
    for (ms, who) in [(5, "1"), (6, "2"), (7, "3"), (8, "4"), (9, "5")] {
        b.settled(at(ms), who, held("all")).await;
        expected.push(person(who).id());
    }
    b.settled(at(1), "blocked", blocked()).await;
    b.settled(at(1), "idle", idle()).await;
    for rows_max in [1, 2, 5] {
        assert_eq!(all(b, rows_max, &Lanes(LaneState::Held)).await, expected, "{rows_max}");
    }
    assert_eq!(all(b, 9, &Lanes(LaneState::Blocked)).await, [person("blocked").id()]);
    assert_eq!(all(b, 9, &Lanes(LaneState::Idle)).await, [person("idle").id()]);
    assert!(all(b, 9, &Lanes(LaneState::Running)).await.is_empty());
    b.accept(at(10), &[("idle", "x")]).await;
    b.claim_one(at(11)).await;
    let running = b.store().await.lanes(LaneState::Running, &first(9)).await.unwrap().rows;
    assert_eq!(running.iter().map(|row| (row.id, row.since)).collect::<Vec<_>>(), [(person("idle").id(), at(11))]);
}

pub(crate) async fn lanes_of_one_instant_are_each_listed_once(b: &mut Bench) {
    let names: Vec<_> = (0..12).map(|n| n.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|who| (who.as_str(), "x")).collect();
    b.accept(at(0), &entries).await;
    let mut found = all(b, 5, &Lanes(LaneState::Waiting)).await;
    found.sort_unstable();
    assert_eq!(found, sorted(&names));
}

pub(crate) async fn people_are_found_by_the_beginning_of_any_of_their_words(b: &mut Bench) {
    let terms = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (who, words) in [("1", ["ada", "adams"]), ("2", ["adele", "grün%_"]), ("3", ["bob", "b"])] {
        b.accept(at(0), &[(who, "x")]).await;
        b.process(at(0), who, Commit { terms_added: terms(&words), ..commit(who, idle()) }).await;
    }
    let both = sorted(&["1".to_owned(), "2".to_owned()]);
    for rows_max in [1, 2, 9] {
        let mut found = all(b, rows_max, &Search("ad")).await;
        found.sort_unstable();
        assert_eq!(found, both, "each once, {rows_max} a page");
    }
    assert_eq!(all(b, 9, &Search("ada")).await, [person("1").id()]);
    assert_eq!(all(b, 9, &Search("grün%_")).await, [person("2").id()]);
    for nobody in ["a%", "ADA", "adaq", "grün__", "c"] {
        assert!(b.store().await.search(nobody, &first(9)).await.unwrap().rows.is_empty(), "{nobody}");
    }
    b.accept(at(1), &[("1", "x")]).await;
    let change = Commit {
        terms_removed: terms(&["ada", "unknown", "adams"]),
        terms_added: terms(&["lovelace", "adams", "adams"]),
        ..commit("1", idle())
    };
    b.process(at(1), "1", change).await;
    assert!(all(b, 9, &Search("ada")).await == [person("1").id()], "what is removed and added is there");
    assert!(b.store().await.search("ada", &first(9)).await.unwrap().rows.len() == 1);
    assert_eq!(all(b, 9, &Search("love")).await, [person("1").id()]);
}

pub(crate) async fn pages_are_bounded_in_bytes_and_the_listing_is_complete(b: &mut Bench) {
    let names: Vec<_> = (0..5).map(|n| n.to_string()).collect();
    for who in &names {
        b.accept(at(0), &[(who, "x")]).await;
        let large = Bytes::from(vec![b'x'; PAGE_BYTES_MAX / 2 - 100]);
        b.process(at(0), who, Commit { document: Some(large), ..commit(who, held("all")) }).await;
    }
    let listed = b.store().await.people(&first(5)).await.unwrap();
    assert!(listed.rows.len() < 5 && listed.next.is_some(), "{}", listed.rows.len());
    assert_eq!(all(b, 5, &People).await, sorted(&names));
    let mut held = all(b, 5, &Lanes(LaneState::Held)).await;
    held.sort_unstable();
    assert_eq!(held, sorted(&names));
}

pub(crate) async fn a_cursor_that_no_page_gave_is_refused(b: &mut Bench) {
    b.accept(at(0), &[("1", "x")]).await;
    let page = Page { after: Some("junk".to_owned()), ..first(5) };
    let s = b.store().await;
    let refused = [
        s.people(&page).await.err(),
        s.lanes(LaneState::Waiting, &page).await.err(),
        s.search("x", &page).await.err(),
        s.dead(&DeadFilter::default(), &page).await.err(),
    ];
    assert!(refused.iter().all(|error| matches!(error, Some(StoreError::Cursor))), "{refused:?}");
}

pub(crate) async fn a_long_inbox_is_shown_by_its_beginning(b: &mut Bench) {
    let entries: Vec<_> = (0..1_000).map(|_| ("1", "x")).collect();
    b.accept(at(0), &entries).await;
    let row = b.row("1").await;
    assert_eq!(row.inbox_entries, 1_000);
    assert!((1..=500).contains(&row.inbox.len()), "{}", row.inbox.len());
}

async fn dead_pages(b: &mut Bench, rows_max: usize, filter: &DeadFilter) -> Vec<u128> {
    let (mut found, mut page) = (Vec::new(), first(rows_max));
    loop {
        let listed = b.store().await.dead(filter, &page).await.unwrap();
        assert!(listed.rows.len() <= rows_max);
        found.extend(listed.rows.iter().map(|row| row.id.0));
        page.after = listed.next;
        if page.after.is_none() {
            return found;
        }
    }
}

pub(crate) async fn dead_letters_are_listed_newest_first_and_filtered(b: &mut Bench) {
    let mut ids = Vec::new();
    for (n, code) in ["SCIM-4XX", "OF-TOMORROW", "SCIM-4XX"].into_iter().enumerate() {
        let who = n.to_string();
        let now = at(n as u64);
        let id = b.accept(now, &[(&who, "x")]).await[0];
        let mut row = dead_row(id, &who, now, code);
        row.event = Some(if n == 2 { EventKind::Leave } else { EventKind::Hire });
        b.process(now, &who, dies(row, &who)).await;
        ids.push(id.0);
    }
    ids.push(b.accept_unmapped(at(3), None, "x").await.0);
    let reversed: Vec<_> = ids.iter().rev().copied().collect();
    let meant = |filter: DeadFilter| filter;
    let all = DeadFilter::default;
    for (filter, expected) in [
        (meant(all()), reversed.clone()),
        (DeadFilter { code: Some("SCIM-4XX".to_owned()), ..all() }, vec![ids[2], ids[0]]),
        (DeadFilter { code: Some("OF-TOMORROW".to_owned()), ..all() }, vec![ids[1]]),
        (DeadFilter { source: Some(source()), ..all() }, reversed.clone()),
        (DeadFilter { source: Some(person_of_other()), ..all() }, vec![]),
        (DeadFilter { event: Some(EventKind::Hire), ..all() }, vec![ids[1], ids[0]]),
        (DeadFilter { died_before: Some(at(2)), ..all() }, vec![ids[1], ids[0]]),
        (
            DeadFilter { code: Some("SCIM-4XX".to_owned()), died_before: Some(at(2)), source: Some(source()), ..all() },
            vec![ids[0]],
        ),
    ] {
        for rows_max in [1, 2, 9] {
            assert_eq!(dead_pages(b, rows_max, &filter).await, expected, "{filter:?}, {rows_max} a page");
        }
    }
}

fn person_of_other() -> scim_bridge::core::person::SourceName {
    crate::harness::person_of("eu", "1").source
}

pub(crate) async fn the_figures_are_exact(b: &mut Bench) {
    let empty = b.store().await.stats().await.unwrap();
    let states: BTreeSet<_> = empty.lanes.keys().map(String::as_str).collect();
    let all = LaneState::ALL.iter().filter(|state| **state != LaneState::Idle).map(|state| state.as_str());
    assert_eq!(states, all.collect());
    assert_eq!((empty.people, empty.oldest_due_at, empty.dead_bytes), (0, None, 0));
    for (who, lane) in [("1", idle()), ("2", held("all")), ("3", retry(at(50))), ("4", retry(at(40)))] {
        b.settled(at(0), who, lane).await;
    }
    b.accept(at(1), &[("5", "x"), ("6", "y")]).await;
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((stats.people, stats.oldest_due_at, stats.entries["hr"]), (4, Some(at(1)), 2));
    let lanes =
        |stats: &scim_bridge::store::Stats| ["waiting", "running", "held", "blocked"].map(|state| stats.lanes[state]);
    assert_eq!(lanes(&stats), [4, 0, 1, 0]);
    b.claim(at(1), 2).await;
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((lanes(&stats), stats.oldest_due_at), ([2, 2, 1, 0], Some(at(40))));
}

pub(crate) async fn a_shared_document_is_changed_only_from_its_latest_version(b: &mut Bench) {
    let put = async |b: &mut Bench, version, text: &'static str| {
        b.store().await.put_shared("holds", version, Bytes::from_static(text.as_bytes())).await.unwrap()
    };
    assert_eq!(b.store().await.shared("holds").await.unwrap(), Shared::default());
    assert!(!put(b, 1, "x").await);
    assert_eq!(b.store().await.shared("holds").await.unwrap(), Shared::default());
    assert!(put(b, 0, "a").await);
    assert!(!put(b, 0, "b").await);
    let first = b.store().await.shared("holds").await.unwrap();
    assert_eq!((first.version > 0, &first.bytes[..]), (true, &b"a"[..]));
    assert!(put(b, first.version, "b").await);
    let second = b.store().await.shared("holds").await.unwrap();
    assert!(second.version > first.version);
    assert_eq!(&second.bytes[..], b"b");
    assert_eq!(b.store().await.shared("other").await.unwrap(), Shared::default());
}

pub(crate) async fn a_store_is_kept_for_one_target(b: &mut Bench) {
    use scim_bridge::store::StoreError;
    use scim_bridge::store::target::bind_target;
    bind_target(b.store().await, "https://one").await.unwrap();
    bind_target(b.store().await, "https://one").await.unwrap();
    let refused = bind_target(b.store().await, "https://two").await;
    assert!(matches!(refused, Err(StoreError::OtherTarget { theirs, .. }) if theirs == "https://one"));
}

pub(crate) async fn a_check_proves_that_the_store_can_write(b: &mut Bench) {
    b.store().await.check().await.unwrap();
    b.store().await.check().await.unwrap();
}
