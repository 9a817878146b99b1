//! The embedded engine: on a folder of its own, and what is particular to its files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use scim_bridge::core::job::JobId;
use scim_bridge::store::copy::{CopyOptions, copy};
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{NewJob, Store, StoreError, StoreOptions, Transfer};
use tempfile::TempDir;

use crate::harness::{Bench, Engine, Lanes, SeenLane, at, dead, delivery, first, give_back, hire, options, rename};

/// A folder that goes away with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Folder {
    /// The file, to be looked at past the engine.
    pub(crate) fn lanes(&self) -> File {
        File { path: self.path().join("store.db"), db: None }
    }
}

/// The engine's file, opened when it is there.
pub(crate) struct File {
    path: std::path::PathBuf,
    db: Option<rusqlite::Connection>,
}

impl Lanes for File {
    fn look(&mut self, person: &str) -> SeenLane {
        let db = self.db.get_or_insert_with(|| rusqlite::Connection::open(&self.path).unwrap());
        let told = db.query_row(
            "SELECT lane_state, queued, (SELECT count(*) FROM jobs j WHERE j.person = p.person AND j.state = 'live')
             FROM people p WHERE key = ?1",
            [person],
            |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, u32>(1)?, row.get::<_, u32>(2)?)),
        );
        let Ok((state, counted, live)) = told else { return SeenLane::default() };
        let places = ["due", "leased", "parked"].into_iter().filter(|place| state.as_deref() == Some(*place)).collect();
        SeenLane { places, counted: counted.into(), live: live.into() }
    }
}

#[async_trait]
impl Engine for Folder {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(Embedded::open(self.0.path(), options).unwrap())
    }
}

fn refused(folder: &Path) -> StoreError {
    Embedded::open(folder, options()).err().expect("it does not open")
}

#[tokio::test]
async fn folder_and_files_are_for_their_owner_only() {
    let outer = TempDir::new().unwrap();
    let folder = outer.path().join("a/b");
    let store = Embedded::open(&folder, options()).unwrap();
    store.ping().await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(Embedded::open(folder.path(), options()).unwrap());
    let file = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    file.pragma_update(None, "user_version", 7).unwrap();
    assert!(matches!(refused(folder.path()), StoreError::NewerSchema { found: 7, known: 2 }));
    let version: u32 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 7);
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_to_the_newest_with_what_waits_in_it() {
    let folder = Folder::new();
    let path = folder.0.path().join("store.db");
    let mut bench = Bench::new(folder, false).await;
    let id = bench.accept_one(at(0), hire("1")).await;
    // As the first version had it.
    let back = "ALTER TABLE people DROP COLUMN worker; ALTER TABLE people DROP COLUMN claim; PRAGMA user_version = 1";
    rusqlite::Connection::open(&path).unwrap().execute_batch(back).unwrap();
    bench.reopen().await;
    assert_eq!(bench.claim_one(at(1)).await.job.id, id);
    let file = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(file.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).unwrap(), 2);
}

#[test]
fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.db");
    let garbage = "this is no database at all; ".repeat(100);
    std::fs::write(&path, &garbage).unwrap();
    assert!(matches!(refused(folder.path()), StoreError::Damaged(_)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), garbage);
    std::fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE jobs (x)").unwrap();
    drop(other);
    assert!(matches!(refused(folder.path()), StoreError::Damaged(_)));
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file.join("store")), StoreError::Unavailable(_)));
}

#[tokio::test]
async fn a_closed_store_says_so_and_is_one_file() {
    let folder = TempDir::new().unwrap();
    let store = Embedded::open(folder.path(), options()).unwrap();
    store.ping().await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    store.close().await;
    let log = folder.path().join("store.db-wal");
    assert_eq!(log.metadata().map_or(0, |file| file.len()), 0);
}

#[tokio::test]
async fn somebody_is_woken_when_there_may_be_work() {
    async fn assert_woken(b: &mut Bench, by: &str) {
        let woken = tokio::time::timeout(Duration::from_secs(5), b.s().await.woken()).await;
        assert!(woken.is_ok(), "not woken by {by}");
    }
    let mut bench = Bench::new(Folder::new(), false).await;
    let b = &mut bench;
    let ids = b.accept(at(0), &[hire("1"), rename("1")]).await;
    assert_woken(b, "an accepted event").await;
    b.work_off(at(0), give_back()).await;
    assert_woken(b, "a job given back").await;
    b.work_off(at(0), dead()).await;
    b.s().await.replay(at(1), ids[0]).await.unwrap();
    assert_woken(b, "a replay").await;
    b.work_off(at(1), dead()).await;
    b.s().await.discard(at(2), ids[0]).await.unwrap();
    assert_woken(b, "a discard that unparks").await;
    b.accept(at(2), &[hire("2"), rename("2")]).await;
    assert_woken(b, "an accepted event").await;
    b.work_off(at(3), crate::harness::done()).await;
    b.work_off(at(3), crate::harness::done()).await;
    assert_woken(b, "a job that makes the next one due").await;
    let hold = (scim_bridge::core::hold::HoldScope::All, scim_bridge::core::code::Code::HoldOperator);
    b.s().await.set_hold(at(4), hold.0, hold.1).await.unwrap();
    b.s().await.lift_hold(at(4), None).await.unwrap();
    assert_woken(b, "a lifted hold").await;
    assert!(b.s().await.dead_letters(&first(9)).await.unwrap().is_empty());
}

/// A folder whose every opening is by a process that comes after one that died.
struct Inherited(Folder);

#[async_trait]
impl Engine for Inherited {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        let store = Embedded::open(self.0.path(), options).unwrap();
        store.end_leases(at(0)).await.unwrap();
        Arc::new(store)
    }
}

#[tokio::test]
async fn a_process_ends_the_leases_of_the_one_before_and_need_not_wait_for_them() {
    let mut bench = Bench::new(Inherited(Folder::new()), false).await;
    bench.accept_one(at(0), hire("E-1")).await;
    let before = bench.claim_one(at(1)).await;
    bench.claim_none(at(2)).await;
    bench.reopen().await;
    let claimed = bench.claim_one(at(3)).await;
    assert_eq!(claimed.job.take_overs, 1);
    assert_eq!(bench.settle(at(4), &before.lease, dead()).await, scim_bridge::store::Settled::Stale);
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_set_aside_and_the_others_run() {
    let folder = Folder::new();
    let path = folder.path().to_owned();
    let mut bench = Bench::new(folder, false).await;
    let broken = bench.accept_one(at(0), hire("E-1")).await;
    let whole = bench.accept_one(at(0), hire("E-2")).await;
    let spoil = |column: &str, value: &str| {
        let db = rusqlite::Connection::open(path.join("store.db")).unwrap();
        let statement = format!("UPDATE jobs SET {column} = ?1 WHERE id = ?2");
        db.execute(&statement, rusqlite::params![value, broken.0.to_be_bytes()]).unwrap();
    };
    spoil("event", "x");
    let ids = |claimed: Vec<scim_bridge::store::ClaimedJob>| claimed.iter().map(|one| one.job.id).collect::<Vec<_>>();
    assert_eq!(ids(bench.claim_up_to(at(1), 8).await), [whole]);
    bench.claim_none(at(2)).await;
    spoil("event", &serde_json::to_string(&hire("E-1")).unwrap());
    spoil("history", "of another version");
    assert!(ids(bench.claim_up_to(at(3_600_001), 8).await).contains(&broken));
    assert_eq!(bench.count(scim_bridge::core::job::JobState::Running).await, 2);
}

#[tokio::test]
async fn what_a_wrong_clock_put_off_is_due_for_the_next_process() {
    let mut bench = Bench::new(Inherited(Folder::new()), false).await;
    bench.accept_one(at(0), hire("E-1")).await;
    let claimed = bench.claim_one(at(0)).await;
    let year = at(365 * 86_400_000);
    bench.settle(at(1), &claimed.lease, crate::harness::retry(year)).await;
    bench.claim_none(at(2)).await;
    bench.reopen().await;
    bench.claim_one(at(3)).await;
}

#[tokio::test]
async fn two_states_of_one_store_that_went_on_apart_do_not_displace_each_other() {
    let (one, other, target) = (Folder::new(), Folder::new(), Folder::new());
    let open = |folder: &Folder| Embedded::open(folder.path(), options()).unwrap();
    let put = async |store: &Embedded, n: u128| {
        let job = NewJob { id: JobId(n), event: rename("1") };
        store.accept(at(0), delivery(n.to_be_bytes(), [0; 16], vec![job])).await.unwrap();
    };
    let how = CopyOptions { hold_source: true, fresh_id: [7; 16] };
    let move_to = async |from: &Embedded| {
        let to = open(&target);
        copy(from, &to, || at(1), how, |_, _, _| {}).await.unwrap()
    };
    let store = open(&one);
    put(&store, 1).await;
    assert!(move_to(&store).await.is_whole());
    drop(store);
    // A backup, put in service somewhere else.
    std::fs::copy(one.path().join("store.db"), other.path().join("store.db")).unwrap();
    let (store, restored) = (open(&one), open(&other));
    restored.lift_hold(at(1), None).await.unwrap();
    put(&store, 2).await;
    put(&restored, 3).await;
    assert!(move_to(&store).await.is_whole());
    let copied = move_to(&restored).await;
    assert!(!copied.is_whole());
    assert_eq!(copied.0.iter().map(|(_, tally)| tally.displaced).sum::<u64>(), 1);
    assert!(restored.holds().await.unwrap().is_empty(), "it is not held: not all of it is there");
    let to = open(&target);
    assert!(to.job(JobId(2)).await.unwrap().is_some());
    assert!(to.job(JobId(3)).await.unwrap().is_none());
}
