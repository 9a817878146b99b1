//! A store's content copied into another engine: each case once from the engine under test into the model, and once in
//! the other direction.

use std::cell::Cell;
use std::task::Poll;

use bytes::Bytes;
use futures_util::future::poll_fn;
use scim_bridge::core::code::Code;
use scim_bridge::core::hold::{HoldScope, Holds};
use scim_bridge::core::person::job::JobId;
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::copy::{Copied, CopyError, CopyOptions, copy, dry_run};
use scim_bridge::store::transfer::{Section, Transfer};
use scim_bridge::store::{Accepted, Commit, DeadFilter, LaneState, Own, Stats, StoreError};

use crate::harness::{
    Bench, LEASE_MS, REMEMBER_MS, at, commit, contents, dead_row, delivery, dies, first, held, idle, person, retry,
};
use crate::memory::Kept;

/// The time of the copies, when every lease has expired.
const LATER: UnixMs = UnixMs(crate::harness::T0.0 + 10 * LEASE_MS.cast_signed());
const OPTIONS: CopyOptions = CopyOptions { hold_source: true, fresh_id: [7; 16] };

async fn copied(from: &mut Bench, to: &mut Bench) -> Result<Copied, CopyError> {
    copy(from.store().await, to.store().await, || LATER, OPTIONS, |_, _, _| {}).await
}

async fn copied_whole(from: &mut Bench, to: &mut Bench) -> u64 {
    let copied = copied(from, to).await.unwrap();
    assert!(copied.is_whole(), "{copied:?}");
    copied.0.iter().filter(|(section, _)| *section != Section::Marks).map(|(_, tally)| tally.copied).sum()
}

/// Something of everything.
async fn fill(b: &mut Bench) -> Vec<JobId> {
    let shared = |text: &'static str| Bytes::from_static(text.as_bytes());
    b.store().await.put_shared("audit", 0, shared("a")).await.unwrap();
    b.store().await.put_shared("audit", 1, shared("b")).await.unwrap();
    b.accept(at(0), &[("1", "x")]).await;
    let claimed = b.claim_one(at(0)).await;
    let own = Own { keys: vec!["id:7".to_owned(), "address:a@x".to_owned()], from: None };
    b.store().await.own(at(0), &claimed.lease, own).await.unwrap();
    let full = Commit {
        document: Some(Bytes::from_static(b"doc")),
        consumed_to: Some(claimed.inbox[0].seq),
        story: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
        terms_added: vec!["ada".to_owned(), "lovelace".to_owned()],
        ..commit("1", held("all"))
    };
    b.commit(at(1), &claimed.lease, full).await;
    let dead = b.accept(at(2), &[("2", "y")]).await[0];
    b.process(at(2), "2", dies(dead_row(dead, "2", at(2), "SCIM-4XX"), "2")).await;
    b.settled(at(3), "idle", idle()).await;
    b.settled(at(4), "later", retry(at(500_000_000))).await;
    let unmapped = b.accept_unmapped(at(5), Some("1"), "payload").await;
    // A worker that died.
    b.accept(at(6), &[("leased", "z")]).await;
    b.claim_one(at(6)).await;
    b.accept(at(7), &[("1", "a"), ("1", "b"), ("due", "c")]).await;
    b.store().await.take_token(at(7), scim_bridge::core::limiter::CallKind::Write).await.unwrap();
    vec![dead, unmapped]
}

/// Everything visible in a store, except for the effects of its leases.
pub(crate) async fn views(b: &mut Bench) -> (Vec<String>, Stats) {
    let mut seen = Vec::new();
    let people = b.store().await.people(&first(1_000)).await.unwrap();
    assert!(people.next.is_none());
    for row in people.rows {
        let story = b.store().await.story(row.id).await.unwrap();
        let lane = if row.lane.state == LaneState::Running { retry(row.since) } else { row.lane };
        seen.push(format!("{} {:?} {lane:?} {:?} {:?} {story:?}", row.id, row.document, row.since, row.inbox));
    }
    for row in b.store().await.dead(&DeadFilter::default(), &first(1_000)).await.unwrap().rows {
        seen.push(format!("{:?}", b.store().await.dead_letter(row.id).await.unwrap()));
    }
    for key in ["id:7", "address:a@x", "id:8"] {
        seen.push(format!("{key}: {:?}", b.store().await.owner(key).await.unwrap()));
    }
    for prefix in ["ada", "love", "x"] {
        let found = b.store().await.search(prefix, &first(9)).await.unwrap().rows;
        seen.push(format!("{prefix}: {:?}", found.iter().map(|row| row.id).collect::<Vec<_>>()));
    }
    seen.push(format!("{:?}", b.store().await.shared("audit").await.unwrap()));
    let mut stats = b.store().await.stats().await.unwrap();
    let running = stats.lanes.insert("running".to_owned(), 0).unwrap();
    *stats.lanes.get_mut("waiting").unwrap() += running;
    stats.oldest_due_at = None;
    (seen, stats)
}

async fn everything_arrives_as_it_was(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    let source = views(from).await;
    assert!(copied_whole(from, to).await > 8);
    assert_eq!(views(from).await, source);
    assert_eq!(views(to).await, source);
    // People whose worker died are due, and no attempt is counted.
    let row = to.row("leased").await;
    assert_eq!((row.lane, row.since), (retry(at(6)), at(6)));
    // Later deliveries are newer than everything copied, and fences are never reused.
    let last = from.row("1").await.inbox.last().unwrap().seq;
    to.accept(LATER, &[("1", "news")]).await;
    assert!(to.row("1").await.inbox.last().unwrap().seq > last);
    assert_eq!(contents(&to.claim_one(LATER).await), ["z"]);
}

async fn the_copy_remembers_past_deliveries(from: &mut Bench, to: &mut Bench) {
    let sent = delivery(from.key(), vec![from.entry("1", "x")]);
    let ids = vec![sent.entries[0].job];
    from.deliver(at(0), sent.clone()).await;
    copied_whole(from, to).await;
    assert_eq!(to.deliver(LATER, sent.clone()).await, Accepted::Duplicate { ids });
    assert_eq!(to.deliver(at(REMEMBER_MS), sent).await, Accepted::Stored);
}

async fn copying_again_changes_nothing(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    copied_whole(from, to).await;
    let before = views(to).await;
    assert_eq!(copied_whole(from, to).await, 0);
    assert_eq!(views(to).await, before);
}

async fn a_copy_catches_up_with_a_source_that_went_on(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    copied_whole(from, to).await;
    from.accept(at(8), &[("due", "more"), ("new", "n")]).await;
    for claimed in from.claim(LATER, 1).await {
        let folded = Commit { consumed_to: claimed.inbox.last().map(|entry| entry.seq), ..commit("leased", idle()) };
        from.commit(LATER, &claimed.lease, folded).await;
    }
    let source = views(from).await;
    assert!((1..9).contains(&copied_whole(from, to).await));
    assert_eq!(views(to).await, source);
}

async fn people_erased_from_the_source_meanwhile_are_reported(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    copied_whole(from, to).await;
    assert!(from.store().await.erase(at(9), &person("idle"), &[]).await.unwrap());
    let again = copied(from, to).await.unwrap();
    assert!(!again.is_whole());
    assert_eq!(again.0.iter().map(|(_, tally)| tally.surplus).sum::<u64>(), 1);
}

/// The code of the store's hold on everything.
async fn hold(b: &mut Bench) -> Option<Code> {
    let shared = b.store().await.shared("holds").await.unwrap();
    let holds: Holds = serde_json::from_slice(&shared.bytes).unwrap_or_default();
    holds.get(&HoldScope::All).map(|hold| hold.code)
}

async fn an_interrupted_copy_is_held_and_continues(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    let source = views(from).await;
    for steps in [1, 2, 3, 5] {
        let heard = Cell::new(0);
        let count = |_, _, _| heard.set(heard.get() + 1);
        let mut copying = Box::pin(copy(from.store().await, to.store().await, || LATER, OPTIONS, count));
        poll_fn(|context| {
            let ended = copying.as_mut().poll(context).is_ready();
            if ended || heard.get() >= steps { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(copying);
        // Copies from model to model never yield, so they cannot be interrupted.
        assert!(heard.get() > 5 || hold(to).await == Some(Code::HoldCopied));
    }
    copied_whole(from, to).await;
    assert_eq!(views(to).await, source);
    assert_eq!(hold(to).await, None);
}

async fn the_source_is_held_once_everything_is_copied(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    let unheld = CopyOptions { hold_source: false, ..OPTIONS };
    copy(from.store().await, to.store().await, || LATER, unheld, |_, _, _| {}).await.unwrap();
    assert_eq!((hold(from).await, hold(to).await), (None, None));
    copied_whole(from, to).await;
    assert_eq!((hold(from).await, hold(to).await), (Some(Code::HoldCopied), None));
    copied_whole(from, to).await;
    assert_eq!((hold(from).await, hold(to).await), (Some(Code::HoldCopied), None));
}

async fn holds_in_force_arrive(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    let pauses = scim_bridge::core::hold::ProbePauses { first_ms: 1, max_ms: 2 };
    let mut holds = Holds::default();
    holds.set(at(0), HoldScope::Creates, Code::HoldSeats, pauses, None);
    let bytes = Bytes::from(serde_json::to_vec(&holds).unwrap());
    from.store().await.put_shared("holds", 0, bytes).await.unwrap();
    copied_whole(from, to).await;
    let there = to.store().await.shared("holds").await.unwrap();
    assert_eq!(serde_json::from_slice::<Holds>(&there.bytes).unwrap(), holds);
}

async fn a_target_that_is_not_empty_is_refused(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    to.accept(at(0), &[("1", "x")]).await;
    assert!(matches!(copied(from, to).await, Err(CopyError::Newer)));
    assert_eq!((to.entries().await, hold(to).await, hold(from).await), (1, None, None));
}

async fn a_copy_that_has_served_since_is_refused(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    copied_whole(from, to).await;
    to.accept(LATER, &[("9", "news")]).await;
    assert!(matches!(copied(from, to).await, Err(CopyError::Newer)));
    assert_eq!(to.row("9").await.inbox_entries, 1);
}

async fn a_store_in_use_is_neither_copied_nor_copied_into(from: &mut Bench, to: &mut Bench) {
    from.accept(at(0), &[("1", "x")]).await;
    from.claim(LATER, 1).await;
    assert!(matches!(copied(from, to).await, Err(CopyError::InUse { leases: 1, .. })));
    from.store().await.end_leases(LATER).await.unwrap();
    to.accept(at(0), &[("1", "x")]).await;
    to.claim(LATER, 1).await;
    assert!(matches!(copied(from, to).await, Err(CopyError::TargetInUse { leases: 1, .. })));
}

async fn a_store_of_another_team_is_refused(from: &mut Bench, to: &mut Bench) {
    use scim_bridge::store::target::bind_target;
    fill(from).await;
    bind_target(from.store().await, "one").await.unwrap();
    bind_target(to.store().await, "two").await.unwrap();
    assert!(matches!(copied(from, to).await, Err(CopyError::To(StoreError::OtherTarget { .. }))));
}

async fn an_empty_store_is_left_alone(from: &mut Bench, to: &mut Bench) {
    let tallies = copied(from, to).await.unwrap();
    assert!(tallies.is_empty(), "{tallies:?}");
    assert_eq!((hold(from).await, hold(to).await), (None, None));
    assert_eq!(from.store().await.shared("identity").await.unwrap().version, 0);
}

async fn a_dry_run_counts_and_writes_nothing(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    for with_target in [false, true] {
        let target = if with_target { Some(to.store().await) } else { None };
        let tallies =
            dry_run(from.store().await, target.map(|to| to as &dyn Transfer), || LATER, |_, _, _| {}).await.unwrap();
        let people = tallies.0.iter().find(|(section, _)| *section == Section::People).unwrap().1;
        assert_eq!((people.all, people.copied, people.known), (6, 6, 0));
    }
    assert_eq!(to.store().await.stats().await.unwrap().people, 0);
    copied_whole(from, to).await;
    let tallies = dry_run(from.store().await, Some(to.store().await), || LATER, |_, _, _| {}).await.unwrap();
    assert!(tallies.0.iter().all(|(_, tally)| tally.copied == 0), "{tallies:?}");
}

async fn many_pages_arrive_complete_despite_the_bounds(from: &mut Bench, to: &mut Bench) {
    for batch in 0..3 {
        let names: Vec<_> = (0..700).map(|n| (batch * 700 + n).to_string()).collect();
        let entries: Vec<_> = names.iter().map(|who| (who.as_str(), "x")).collect();
        from.accept(at(batch), &entries).await;
    }
    let long: Vec<_> = (0..1_500).map(|_| ("long", "y")).collect();
    from.accept(at(9), &long).await;
    to.with(|options| options.bounds.entries_max = 1).await;
    copied_whole(from, to).await;
    assert_eq!((to.entries().await, to.row("long").await.inbox_entries), (3_600, 1_500));
    assert_eq!(to.claim(LATER, 1_000).await.len(), 1_000);
}

/// Each case in both directions.
macro_rules! directions {
    ($($case:ident)*) => {
        pub(crate) mod copying_from {
            use super::{Bench, Kept};
            $(pub(crate) async fn $case(b: &mut Bench) {
                let mut model = Bench::new(Kept::new(), false).await;
                Box::pin(super::$case(b, &mut model)).await;
            })*
        }
        pub(crate) mod copying_into {
            use super::{Bench, Kept};
            $(pub(crate) async fn $case(b: &mut Bench) {
                let mut model = Bench::new(Kept::new(), false).await;
                Box::pin(super::$case(&mut model, b)).await;
            })*
        }
    };
}

directions! {
    everything_arrives_as_it_was
    the_copy_remembers_past_deliveries
    copying_again_changes_nothing
    a_copy_catches_up_with_a_source_that_went_on
    people_erased_from_the_source_meanwhile_are_reported
    an_interrupted_copy_is_held_and_continues
    the_source_is_held_once_everything_is_copied
    holds_in_force_arrive
    a_target_that_is_not_empty_is_refused
    a_copy_that_has_served_since_is_refused
    a_store_in_use_is_neither_copied_nor_copied_into
    a_store_of_another_team_is_refused
    an_empty_store_is_left_alone
    a_dry_run_counts_and_writes_nothing
    many_pages_arrive_complete_despite_the_bounds
}
