//! How attempts end, and what else changes lanes.

use bytes::Bytes;
use scim_bridge::store::{Claim, Commit, Committed, DeadFilter, LaneState, Story};

use crate::harness::{
    Bench, LEASE_MS, STORY_KEEP_MS, at, blocked, commit, contents, dead_row, dies, first, held, idle, person, request,
    retry,
};

fn notes(range: std::ops::Range<u32>) -> Vec<Bytes> {
    range.map(|n| Bytes::from(n.to_string())).collect()
}

pub(crate) async fn a_commit_without_a_document_keeps_the_old_one(b: &mut Bench) {
    b.settled(at(0), "1", retry(at(1))).await;
    b.process(at(1), "1", commit("1", retry(at(2)))).await;
    let row = b.row("1").await;
    assert_eq!((row.document.as_deref(), row.lane, row.since), (Some(&b"doc of 1"[..]), retry(at(2)), at(1)));
    let other = Commit { document: Some(Bytes::from_static(b"other")), ..commit("1", idle()) };
    b.process(at(2), "1", other).await;
    assert_eq!(b.row("1").await.document.as_deref(), Some(&b"other"[..]));
}

pub(crate) async fn entries_that_arrived_meanwhile_make_a_waking_lane_due(b: &mut Bench) {
    for (who, lane, expected) in [
        ("1", idle(), retry(at(9))),
        ("2", retry(at(1_000)), retry(at(9))),
        ("3", blocked(), retry(at(9))),
        ("4", held("all"), held("all")),
        ("5", retry(at(3)), retry(at(3))),
    ] {
        b.accept(at(0), &[(who, "a")]).await;
        let claimed = b.claim_one(at(0)).await;
        b.accept(at(1), &[(who, "b")]).await;
        let folded = Commit { consumed_to: Some(claimed.inbox[0].seq), ..commit(who, lane) };
        b.commit(at(9), &claimed.lease, folded).await;
        let row = b.row(who).await;
        assert_eq!((row.lane, row.inbox_entries), (expected, 1), "{who}");
    }
}

pub(crate) async fn a_stale_commit_changes_nothing(b: &mut Bench) {
    let id = b.accept(at(0), &[("1", "a")]).await[0];
    let lease = b.claim_one(at(0)).await.lease;
    let now = b.claim_one(at(LEASE_MS)).await;
    let all = Commit {
        document: Some(Bytes::from_static(b"late")),
        consumed_to: Some(now.inbox[0].seq),
        story: notes(0..3),
        terms_added: vec!["late".to_owned()],
        ..dies(dead_row(id, "1", at(0), "SCIM-4XX"), "1")
    };
    assert_eq!(b.commit(at(LEASE_MS), &lease, all).await, Committed::Stale);
    let row = b.row("1").await;
    assert_eq!((row.document, row.inbox_entries, row.lane.state), (None, 1, LaneState::Running));
    assert_eq!(b.store().await.story(person("1").id()).await.unwrap(), Story::default());
    assert!(b.dead(&DeadFilter::default()).await.is_empty());
    assert!(b.store().await.search("late", &first(9)).await.unwrap().rows.is_empty());
}

pub(crate) async fn a_story_is_appended_and_its_oldest_part_goes_at_the_bound(b: &mut Bench) {
    b.with(|options| options.bounds.story_entries_max = 5).await;
    for (range, expected, dropped) in [(0..3, 0..3, 0), (3..6, 1..6, 1), (6..6, 1..6, 1), (6..16, 11..16, 11)] {
        b.accept(at(0), &[("1", "x")]).await;
        b.process(at(0), "1", Commit { story: notes(range), ..commit("1", idle()) }).await;
        let story = b.store().await.story(person("1").id()).await.unwrap();
        assert_eq!(story, Story { entries: notes(expected), dropped });
    }
    assert_eq!(b.store().await.story(person("2").id()).await.unwrap(), Story::default());
}

pub(crate) async fn idle_people_lose_their_story_after_its_time_and_others_never(b: &mut Bench) {
    for (who, lane) in [("1", idle()), ("2", held("all"))] {
        b.accept(at(0), &[(who, "x")]).await;
        b.process(at(0), who, Commit { story: notes(0..4), ..commit(who, lane) }).await;
    }
    // The deliveries are forgotten before.
    while b.store().await.tidy(at(STORY_KEEP_MS - 1)).await.unwrap() > 0 {}
    let story = async |b: &mut Bench, who| b.store().await.story(person(who).id()).await.unwrap();
    assert_eq!(story(b, "1").await.entries.len(), 4);
    let mut gone = 0;
    while let more @ 1.. = b.store().await.tidy(at(STORY_KEEP_MS)).await.unwrap() {
        gone += more;
    }
    assert!(gone >= 1, "it reports that something was removed");
    assert_eq!(story(b, "1").await, Story { entries: Vec::new(), dropped: 4 });
    assert_eq!(story(b, "2").await.entries.len(), 4);
}

pub(crate) async fn a_dead_letter_is_there_until_a_commit_without_one(b: &mut Bench) {
    let id = b.accept(at(0), &[("1", "x")]).await[0];
    let row = dead_row(id, "1", at(0), "SCIM-400-SYNTAX");
    b.process(at(0), "1", dies(row.clone(), "1")).await;
    assert_eq!(b.store().await.dead_letter(id).await.unwrap(), Some((row, None)));
    assert_eq!(b.lane("1").await, blocked());
    // Another dead letter replaces it.
    let other = b.accept(at(1), &[("1", "y")]).await[0];
    let row = dead_row(other, "1", at(1), "SCIM-4XX");
    b.process(at(1), "1", dies(row.clone(), "1")).await;
    assert_eq!(b.dead(&DeadFilter::default()).await, [other]);
    let stats = b.store().await.stats().await.unwrap();
    assert_eq!((stats.dead.get("SCIM-400-SYNTAX").copied().unwrap_or(0), stats.dead["SCIM-4XX"]), (0, 1));
    b.accept(at(2), &[("1", "healed")]).await;
    assert_eq!(b.dead(&DeadFilter::default()).await, [other], "until it is worked on");
    b.process(at(2), "1", commit("1", idle())).await;
    assert!(b.dead(&DeadFilter::default()).await.is_empty());
    assert_eq!(b.store().await.dead_letter(other).await.unwrap(), None);
    assert_eq!(b.store().await.stats().await.unwrap().dead.values().sum::<u64>(), 0);
}

pub(crate) async fn people_parked_under_a_tag_are_released_longest_first(b: &mut Bench) {
    for (ms, who) in [(1, "3"), (2, "1"), (3, "2")] {
        b.settled(at(ms), who, held("all")).await;
    }
    b.settled(at(4), "other", held("creates")).await;
    assert_eq!(b.store().await.release(at(5), "all", 2).await.unwrap(), 2);
    for (who, expected) in [("3", retry(at(5))), ("1", retry(at(5))), ("2", held("all")), ("other", held("creates"))] {
        assert_eq!(b.lane(who).await, expected, "{who}");
    }
    assert_eq!(b.store().await.release(at(6), "all", 9).await.unwrap(), 1);
    assert_eq!(b.store().await.release(at(6), "all", 9).await.unwrap(), 0);
    assert_eq!(b.claim(at(6), 9).await.len(), 3);
    assert_eq!(b.row("other").await.since, at(4));
}

pub(crate) async fn a_commit_releases_people_parked_under_its_tags(b: &mut Bench) {
    for (n, tag) in [(1, "owned:id:7"), (2, "owned:id:7"), (3, "owned:id:8")] {
        b.settled(at(n), &n.to_string(), held(tag)).await;
    }
    b.accept(at(4), &[("4", "x")]).await;
    let tags = ["owned:id:7", "owned:id:nobody's"].map(str::to_owned).to_vec();
    let lost = b.claim_one(at(4)).await.lease;
    let lease = b.claim_one(at(4 + LEASE_MS)).await.lease;
    let releases = |lane| Commit { released: tags.clone(), consumed_to: Some(u64::MAX / 4), ..commit("4", lane) };
    assert_eq!(b.commit(at(5), &lost, releases(idle())).await, Committed::Stale);
    assert_eq!(b.lane("1").await, held("owned:id:7"));
    // People who are parked there from now on are released, too.
    let parks = releases(held("owned:id:7"));
    assert_eq!(b.commit(at(70_000), &lease, parks).await, Committed::Committed);
    for who in ["1", "2", "4"] {
        assert_eq!(b.lane(who).await, retry(at(70_000)), "{who}");
    }
    assert_eq!(b.lane("3").await, held("owned:id:8"));
}

pub(crate) async fn a_commit_puts_entries_into_other_peoples_inboxes(b: &mut Bench) {
    b.settled(at(0), "1", idle()).await;
    b.settled(at(0), "2", retry(at(900_000))).await;
    b.settled(at(0), "3", held("all")).await;
    b.accept(at(1), &[("4", "x")]).await;
    let lost = b.claim_one(at(1)).await.lease;
    let lease = b.claim_one(at(1 + LEASE_MS)).await.lease;
    b.with(|options| options.bounds.entries_max = 0).await;
    let outgoing: Vec<_> = ["1", "2", "3", "nobody", "1"].map(|who| b.entry(who, "sent")).into();
    let sends = Commit { outgoing, consumed_to: Some(u64::MAX / 4), ..commit("4", idle()) };
    assert_eq!(b.commit(at(70_000), &lost, sends.clone()).await, Committed::Stale);
    assert_eq!((b.row("1").await.inbox_entries, b.entries().await), (0, 1));
    assert_eq!(b.commit(at(70_000), &lease, sends).await, Committed::Committed);
    assert_eq!((b.lane("1").await, b.lane("2").await), (retry(at(70_000)), retry(at(70_000))));
    assert_eq!(b.lane("3").await, held("all"), "it does not wake");
    assert_eq!((b.lane("4").await, b.entries().await), (idle(), 4));
    assert!(b.store().await.person(person("nobody").id()).await.unwrap().is_none());
    let claimed = b.claim(at(70_000), 9).await;
    assert_eq!(claimed.iter().map(|one| contents(one).len()).sum::<usize>(), 3);
    assert!(claimed.iter().flat_map(contents).all(|word| word == "sent"));
}

pub(crate) async fn a_leased_person_is_not_parked(b: &mut Bench) {
    b.settled(at(0), "1", held("all")).await;
    let ask = scim_bridge::store::ClaimRequest { parked: Some("all".to_owned()), ..request(1) };
    let Claim::People(people) = b.ask(at(1), &ask).await else { panic!("one is parked") };
    assert_eq!(b.store().await.release(at(2), "all", 9).await.unwrap(), 0);
    assert!(b.store().await.renew(at(2), &people[0].lease, 1).await.unwrap().is_some());
}

pub(crate) async fn an_operators_entry_makes_due_despite_lane_and_bounds(b: &mut Bench) {
    b.settled(at(0), "1", held("all")).await;
    b.settled(at(0), "2", retry(at(900))).await;
    b.with(|options| options.bounds.entries_max = 0).await;
    for who in ["1", "2"] {
        let entry = b.entry(who, "try again");
        assert!(b.store().await.put(at(5), entry).await.unwrap());
        assert_eq!(b.lane(who).await, retry(at(5)));
    }
    let claimed = b.claim(at(5), 9).await;
    assert_eq!((claimed.len(), contents(&claimed[0])), (2, vec!["try again".to_owned()]));
    let nobody = b.entry("nobody", "x");
    assert!(!b.store().await.put(at(5), nobody).await.unwrap());
    assert!(b.store().await.person(person("nobody").id()).await.unwrap().is_none());
    // While a worker has the person, the release waits for the commit.
    let entry = b.entry("1", "again");
    assert!(b.store().await.put(at(6), entry).await.unwrap());
    assert_eq!(b.lane("1").await.state, LaneState::Running);
}
