//! Moving a store's content: out of the engine into an embedded one beside it, and the other way round.

use std::sync::Arc;

use async_trait::async_trait;
use scim_bridge::core::code::Code;
use scim_bridge::core::event::Person;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::job::{DirectoryEntry, JobId, JobState, Note, Progress};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::copy::{Copied, CopyError, CopyOptions, copy, dry_run};
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{
    Accepted, DeadAction, Fate, NewJob, Origin, Record, Room, Section, Settlement, StoreOptions, Transfer, Verdict,
};

use crate::harness::{Bench, Engine, LEASE_MS, at, dead, delivery, done, entry, first, hire, person, rename, retry};

/// An embedded store in a folder that goes away with the test.
struct Beside(tempfile::TempDir);

#[async_trait]
impl Engine for Beside {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(Embedded::open(self.0.path(), options).unwrap())
    }
}

async fn beside() -> Bench {
    Bench::new(Beside(tempfile::tempdir().unwrap()), false).await
}

/// Makes of each case one out of the engine, and one into it.
macro_rules! both_ways {
    ($($case:ident)+) => {
        pub(crate) mod copying_from {
            use crate::harness::Bench;
            $(pub(crate) async fn $case(b: &mut Bench) { super::$case(b, &mut super::beside().await).await })+
        }
        pub(crate) mod copying_into {
            use crate::harness::Bench;
            $(pub(crate) async fn $case(b: &mut Bench) { super::$case(&mut super::beside().await, b).await })+
        }
    };
}

both_ways! {
    everything_arrives_as_it_was
    copying_again_changes_nothing
    what_the_target_has_done_since_stays_done
    a_job_whose_worker_is_gone_counts_as_taken_over
    what_comes_late_goes_before_what_the_target_accepted_since
    a_source_that_went_on_is_caught_up_with
    a_store_that_has_accepted_events_itself_is_refused
    two_stores_come_together_the_older_first
    a_newer_entry_of_the_directory_stays
    many_pages_arrive_whole_above_the_high_water_mark
    a_dry_run_counts_and_writes_nothing
    the_source_is_held_when_all_is_there
}

const OPTIONS: CopyOptions = CopyOptions { hold_source: false, fresh_id: [7; 16] };

async fn try_copy(from: &mut Bench, to: &mut Bench, now: UnixMs, options: CopyOptions) -> Result<Copied, CopyError> {
    copy(from.s().await, to.s().await, || now, options, |_, _, _| {}).await
}

/// Copies all, and says how much was new.
pub(crate) async fn copy_all(from: &mut Bench, to: &mut Bench, now: UnixMs) -> u64 {
    let copied = try_copy(from, to, now, OPTIONS).await.unwrap();
    assert!(copied.is_whole(), "{copied:?}");
    copied.0.iter().map(|(_, tally)| tally.copied).sum()
}

/// All that can be looked at, without the id of the store.
pub(crate) async fn all_views(b: &mut Bench, people: &[Person], now: UnixMs) -> serde_json::Value {
    let mut views = Vec::new();
    for person in people {
        views.push(serde_json::to_value(b.s().await.person(person).await.unwrap()).unwrap());
    }
    let mut jobs = Vec::new();
    for state in [JobState::Waiting, JobState::Parked, JobState::Dead, JobState::Done, JobState::Running] {
        jobs.push(serde_json::to_value(b.s().await.jobs(state, &first(5_000)).await.unwrap()).unwrap());
    }
    let mut letters = Vec::new();
    for summary in b.s().await.dead_letters(&first(5_000)).await.unwrap() {
        letters.push(serde_json::to_value(b.s().await.dead_letter(summary.id).await.unwrap().unwrap()).unwrap());
    }
    let (stats, holds) = (b.s().await.stats(now).await.unwrap(), b.s().await.holds().await.unwrap());
    serde_json::json!({ "people": views, "jobs": jobs, "dead": letters, "stats": stats, "holds": holds })
}

fn people() -> Vec<Person> {
    ["1", "2", "3", "4", "5", "a/b \"c\""].map(person).to_vec()
}

/// Something of everything.
async fn fill(b: &mut Bench) {
    // Done, with an entry in the directory; then a retry that waits at the head, and one behind it.
    b.accept(at(0), &[hire("1")]).await;
    let claimed = b.claim_one(at(1)).await;
    let settlement = Settlement { verdict: done(), history: Vec::new(), trial: None, directory: Some(entry()) };
    b.s().await.settle(at(2), &claimed.lease, settlement).await.unwrap();
    b.accept(at(3), &[rename("1"), rename("1")]).await;
    let claimed = b.claim_one(at(4)).await;
    let progress = Progress { create_unknown: true, not_found: 2, username_refused: 1 };
    let verdict = Verdict::Retry { at: at(90_000), counted: true, progress };
    let history = vec![scim_bridge::core::job::HistoryEntry {
        at: at(5),
        note: Note::RetryAt { due_at: at(90_000), code: Code::ScimUnavailable },
    }];
    let settlement = Settlement { verdict, history, trial: None, directory: None };
    b.s().await.settle(at(5), &claimed.lease, settlement).await.unwrap();
    // A dead hire, and what is parked behind it; a dead rename, and what is due behind it.
    b.accept(at(6), &[hire("2"), rename("2"), rename("2")]).await;
    b.work_off(at(7), dead()).await;
    b.accept(at(8), &[rename("3"), hire("3")]).await;
    b.work_off(at(9), dead()).await;
    // A lane that is parked with nothing in it; a name that needs escaping; what could not be mapped.
    b.accept(at(10), &[hire("4")]).await;
    assert_eq!(b.claim_up_to(at(10), 9).await.len(), 2);
    let claimed = b.claim_up_to(at(20 + LEASE_MS), 9).await;
    for one in claimed {
        let verdict = if one.job.event.person == person("4") { dead() } else { retry(at(30 + LEASE_MS)) };
        b.settle(at(20 + LEASE_MS), &one.lease, verdict).await;
    }
    b.accept(at(20), &[hire("a/b \"c\"")]).await;
    b.accept_unmapped(at(21), Some(person("5"))).await;
    b.accept_unmapped(at(22), None).await;
    b.s().await.set_hold(at(23), HoldScope::Creates, Code::HoldSeats).await.unwrap();
}

async fn everything_arrives_as_it_was(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    let known = delivery([9; 16], [8; 16], vec![NewJob { id: from.id(), event: rename("1") }]);
    from.s().await.accept(at(30), known.clone()).await.unwrap();
    let now = at(40 + LEASE_MS);
    let before = all_views(from, &people(), now).await;
    assert!(copy_all(from, to, now).await > 15);
    let (after, arrived) = (all_views(from, &people(), now).await, all_views(to, &people(), now).await);
    assert_eq!(before, after, "the source is as it was");
    assert_eq!(before, arrived);
    // Known again, with the ids of the first time; with another body it is a conflict.
    let ids = vec![known.jobs[0].id];
    assert_eq!(to.s().await.accept(now, known.clone()).await.unwrap(), Accepted::Duplicate { jobs: ids });
    let mut other = known;
    other.dedupe.fingerprint = [1; 16];
    assert_eq!(to.s().await.accept(now, other).await.unwrap(), Accepted::Conflict);
}

async fn copying_again_changes_nothing(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    let now = at(40 + LEASE_MS);
    copy_all(from, to, now).await;
    let before = all_views(to, &people(), now).await;
    assert_eq!(copy_all(from, to, now).await, 0);
    assert_eq!(all_views(to, &people(), now).await, before);
}

async fn what_the_target_has_done_since_stays_done(from: &mut Bench, to: &mut Bench) {
    to.with(|options| options.retention.finished_ms = 1_000).await;
    let discarded = from.accept_one(at(0), rename("2")).await;
    from.work_off(at(0), dead()).await;
    let replayed = from.accept_one(at(0), rename("3")).await;
    from.work_off(at(0), dead()).await;
    let trimmed = from.accept_one(at(0), hire("1")).await;
    let record = from.accept_unmapped(at(0), None).await;
    from.s().await.set_hold(at(0), HoldScope::Creates, Code::HoldOperator).await.unwrap();
    copy_all(from, to, at(1)).await;
    to.s().await.lift_hold(at(2), None).await.unwrap();
    for id in [discarded, record] {
        assert_eq!(to.s().await.discard(at(2), id).await.unwrap(), DeadAction::Done);
    }
    assert_eq!(to.s().await.replay(at(2), replayed).await.unwrap(), DeadAction::Done);
    for _ in 0..2 {
        to.work_off(at(3), done()).await;
    }
    while to.s().await.tidy(at(10_000)).await.unwrap() > 0 {}
    assert_eq!(to.state(trimmed).await, None);
    // Long after: they are gone, and stay so.
    let week = at(7 * 86_400_000);
    assert_eq!(copy_all(from, to, week).await, 0);
    for id in [trimmed, discarded, replayed, record] {
        assert_eq!((to.state(id).await, to.s().await.dead_letter(id).await.unwrap()), (None, None));
    }
    assert!(to.s().await.holds().await.unwrap().is_empty());
    assert!(to.claim_up_to(week, 9).await.is_empty());
}

async fn a_job_whose_worker_is_gone_counts_as_taken_over(from: &mut Bench, to: &mut Bench) {
    let id = from.accept(at(0), &[hire("1"), rename("1")]).await[0];
    let lost = from.claim_one(at(1)).await;
    let now = at(2 + LEASE_MS);
    copy_all(from, to, now).await;
    let view = to.s().await.job(id).await.unwrap().unwrap();
    assert_eq!((view.state, view.job.take_overs, view.due_at), (JobState::Waiting, 1, Some(now)));
    assert_eq!(view.job.history.last().map(|entry| entry.note.clone()), Some(Note::TakenOver));
    assert_eq!(view.job.first_attempt_at, Some(at(1)));
    let claimed = to.claim_one(now).await;
    assert_eq!((claimed.job.id, claimed.job.take_overs), (id, 1));
    // The worker that was thought gone has no say in the target.
    assert_eq!(to.settle(now, &claimed.lease, done()).await, scim_bridge::store::Settled::Settled);
    assert_eq!(to.settle(now, &lost.lease, dead()).await, scim_bridge::store::Settled::Stale);
}

/// Takes in a part of what is there, as a copy does that is broken off.
async fn copy_a_part(from: &mut Bench, to: &mut Bench, now: UnixMs, section: Section, records: usize) {
    let origin = from.s().await.origin(OPTIONS.fresh_id).await.unwrap();
    let Room::Kept(base) = to.s().await.make_room(&origin).await.unwrap() else { panic!("no room") };
    let page = from.s().await.export(now, section, None, records).await.unwrap();
    assert_eq!(page.records.len(), records);
    let fates = to.s().await.import(now, base, page.records).await.unwrap();
    assert!(fates.iter().all(|fate| *fate == Fate::Taken));
}

async fn what_comes_late_goes_before_what_the_target_accepted_since(from: &mut Bench, to: &mut Bench) {
    let old = from.accept(at(0), &[hire("1"), rename("1"), rename("1")]).await;
    copy_a_part(from, to, at(1), Section::Waiting, 1).await;
    // It is served by mistake, and takes the same person's next change.
    to.skip_ids(100);
    let new = to.accept_one(at(2), rename("1")).await;
    assert_eq!(to.work_off(at(3), done()).await, old[0]);
    assert_eq!(copy_all(from, to, at(4)).await, 3, "two jobs and the delivery they came with");
    for id in [old[1], old[2], new] {
        assert_eq!(to.work_off(at(5), done()).await, id);
    }
}

async fn a_source_that_went_on_is_caught_up_with(from: &mut Bench, to: &mut Bench) {
    let first = from.accept(at(0), &[hire("1")]).await;
    copy_all(from, to, at(1)).await;
    let more = from.accept(at(2), &[rename("1"), hire("2")]).await;
    copy_all(from, to, at(3)).await;
    let order: Vec<JobId> = [first, more].concat();
    let view = to.s().await.person(&person("1")).await.unwrap().unwrap();
    assert_eq!(
        view.jobs.iter().map(|view| (view.job.id, view.job.seq)).collect::<Vec<_>>(),
        [(order[0], 1), (order[1], 2)]
    );
    // Served on both sides since: nothing is lost, and nobody's jobs take another's place.
    to.skip_ids(100);
    let own = to.accept_one(at(4), hire("3")).await;
    let late = from.accept_one(at(5), hire("4")).await;
    copy_all(from, to, at(6)).await;
    for id in order.into_iter().chain([own, late]) {
        assert_eq!(to.state(id).await, Some(JobState::Waiting));
    }
}

async fn a_store_that_has_accepted_events_itself_is_refused(from: &mut Bench, to: &mut Bench) {
    from.accept_one(at(0), rename("1")).await;
    to.skip_ids(100);
    let own = to.accept_one(at(1), rename("1")).await;
    assert!(matches!(try_copy(from, to, at(2), OPTIONS).await, Err(CopyError::Newer)));
    assert_eq!(to.count(JobState::Waiting).await, 1);
    assert_eq!(to.state(own).await, Some(JobState::Waiting));
    assert!(from.s().await.holds().await.unwrap().is_empty());
    let itself = from.s().await.origin([1; 16]).await.unwrap();
    assert_eq!(itself, Origin { id: [7; 16], next_seq: 2 }, "it keeps the id it got");
    assert_eq!(from.s().await.make_room(&itself).await.unwrap(), Room::Same);
}

async fn two_stores_come_together_the_older_first(from: &mut Bench, to: &mut Bench) {
    let mut younger = beside().await;
    younger.skip_ids(100);
    let old = from.accept(at(0), &[hire("1"), rename("1"), hire("2")]).await;
    let new = younger.accept(at(1), &[rename("1"), rename("2")]).await;
    copy_all(from, to, at(2)).await;
    let options = CopyOptions { fresh_id: [8; 16], ..OPTIONS };
    assert!(try_copy(&mut younger, to, at(2), options).await.unwrap().is_whole());
    assert_eq!(copy_all(from, to, at(3)).await, 0, "the older once more");
    let expected = [("1", vec![old[0], old[1], new[0]]), ("2", vec![old[2], new[1]])];
    for (who, ids) in expected {
        let view = to.s().await.person(&person(who)).await.unwrap().unwrap();
        assert_eq!(view.jobs.iter().map(|view| view.job.id).collect::<Vec<_>>(), ids);
        assert!(view.jobs.is_sorted_by_key(|view| view.job.seq));
    }
}

async fn a_newer_entry_of_the_directory_stays(from: &mut Bench, to: &mut Bench) {
    let known = |ms, name: &str| DirectoryEntry { in_line_at: at(ms), user_name: name.to_owned(), ..entry() };
    for (who, ms) in [("1", 5), ("2", 7)] {
        to.s().await.import(at(0), 0, vec![Record::Person(person(who), known(ms, "there"))]).await.unwrap();
    }
    for (who, ms) in [("1", 6), ("2", 6), ("3", 6)] {
        from.accept_one(at(0), hire(who)).await;
        let claimed = from.claim_one(at(0)).await;
        let directory = Some(known(ms, "\"in_line_at\":99999999999999"));
        let settlement = Settlement { verdict: done(), history: Vec::new(), trial: None, directory };
        from.s().await.settle(at(1), &claimed.lease, settlement).await.unwrap();
    }
    copy_all(from, to, at(9)).await;
    for (who, ms, name) in
        [("1", 6, "\"in_line_at\":99999999999999"), ("2", 7, "there"), ("3", 6, "\"in_line_at\":99999999999999")]
    {
        let view = to.s().await.person(&person(who)).await.unwrap().unwrap();
        assert_eq!(view.directory, Some(known(ms, name)), "{who}");
    }
    assert_eq!(to.s().await.stats(at(9)).await.unwrap().people, 3);
}

async fn many_pages_arrive_whole_above_the_high_water_mark(from: &mut Bench, to: &mut Bench) {
    to.with(|options| options.high_water_jobs = 10).await;
    let mut ids = Vec::new();
    for n in 0..13 {
        let events: Vec<_> = (0..100).map(|m| hire(&format!("{n}-{}", m % 60))).collect();
        ids.extend(from.accept(at(n), &events).await);
    }
    for claimed in from.claim_up_to(at(20), 700).await {
        from.settle(at(21), &claimed.lease, done()).await;
    }
    copy_all(from, to, at(30)).await;
    let none: [Person; 0] = [];
    assert_eq!(all_views(from, &none, at(30)).await, all_views(to, &none, at(30)).await);
    assert_eq!(to.count(JobState::Waiting).await + to.count(JobState::Done).await, ids.len() as u64);
}

async fn a_dry_run_counts_and_writes_nothing(from: &mut Bench, to: &mut Bench) {
    fill(from).await;
    let now = at(40 + LEASE_MS);
    let (before, empty) = (all_views(from, &people(), now).await, all_views(to, &people(), now).await);
    let counted = dry_run(from.s().await, Some(to.s().await), || now, |_, _, _| {}).await.unwrap();
    assert_eq!(all_views(from, &people(), now).await, before);
    assert_eq!(all_views(to, &people(), now).await, empty);
    let copied = try_copy(from, to, now, OPTIONS).await.unwrap();
    for ((section, counted), (_, copied)) in counted.0.iter().zip(&copied.0) {
        assert_eq!((counted.all, counted.copied, counted.known), (copied.all, copied.copied, 0), "{section:?}");
        assert!(copied.all > 0, "{section:?} is tried, too");
    }
    let counted = dry_run(from.s().await, Some(to.s().await), || now, |_, _, _| {}).await.unwrap();
    assert!(counted.0.iter().all(|(_, tally)| tally.copied == 0 && tally.known == tally.all));
}

async fn the_source_is_held_when_all_is_there(from: &mut Bench, to: &mut Bench) {
    from.accept_one(at(0), hire("1")).await;
    from.s().await.set_hold(at(0), HoldScope::All, Code::HoldKey).await.unwrap();
    let options = CopyOptions { hold_source: true, ..OPTIONS };
    for _ in 0..2 {
        assert!(try_copy(from, to, at(1), options).await.unwrap().is_whole());
        let holds = from.s().await.holds().await.unwrap();
        assert_eq!(
            holds.iter().map(|hold| (hold.code, hold.next_probe_at)).collect::<Vec<_>>(),
            [(Code::HoldCopied, None)]
        );
        // The hold that was there came along; the one that says "copied" did not.
        let holds = to.s().await.holds().await.unwrap();
        assert_eq!(holds.iter().map(|hold| hold.code).collect::<Vec<_>>(), [Code::HoldKey]);
    }
    // It gives way to no other.
    assert_eq!(from.s().await.set_hold(at(2), HoldScope::All, Code::HoldPlan).await.unwrap().code, Code::HoldCopied);
    from.claim_none(at(86_400_000)).await;
    from.s().await.lift_hold(at(3), None).await.unwrap();
    from.claim_one(at(3)).await;
}
