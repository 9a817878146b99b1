//! The embedded engine in a folder of its own, and the particulars of its files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use scim_bridge::clock::LeaseClock;
use scim_bridge::core::limiter::{CallKind, Rate};
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::transfer::Transfer;
use scim_bridge::store::{
    Claim, ClaimRequest, Commit, Lane, LaneState, NewEntry, Store, StoreError, StoreOptions, Token,
};
use tempfile::TempDir;

use crate::harness::{
    Bench, Engine, REMEMBER_MS, at, commit, contents, delivery, first, held, idle, options, person, request, retry,
};

/// A folder that is removed with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

#[async_trait]
impl Engine for Folder {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(Embedded::open_with(self.0.path(), options, LeaseClock::Caller).unwrap())
    }
}

fn refused(folder: &Path) -> StoreError {
    Embedded::open(folder, options()).err().expect("it does not open")
}

/// The file, opened around the engine to inspect and damage it.
fn file(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("store.db")).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn moved_replaced_or_removed_files_accept_nothing_until_they_are_back() {
    for name in ["store.db", "lock"] {
        let folder = TempDir::new().unwrap();
        let store = Embedded::open(folder.path(), options()).unwrap();
        let (file, aside) = (folder.path().join(name), folder.path().join("aside"));
        let is_refused = async || {
            let checked = store.check().await;
            assert!(matches!(checked, Err(StoreError::Unavailable(_))), "{name}: {checked:?}");
            let accepted = store.accept(at(0), delivery([1; 16], Vec::new())).await;
            assert!(matches!(accepted, Err(StoreError::Unavailable(_))), "{name}: {accepted:?}");
        };
        std::fs::rename(&file, &aside).unwrap();
        is_refused().await;
        std::fs::copy(&aside, &file).unwrap();
        is_refused().await;
        std::fs::rename(&aside, &file).unwrap();
        store.check().await.unwrap();
        store.accept(at(0), delivery([1; 16], Vec::new())).await.unwrap();
        std::fs::remove_dir_all(folder.path()).unwrap();
        is_refused().await;
    }
}

#[tokio::test]
async fn only_the_owner_may_read_folder_and_files() {
    let outer = TempDir::new().unwrap();
    let folder = outer.path().join("a/b");
    let store = Embedded::open(&folder, options()).unwrap();
    store.check().await.unwrap();
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_store_of_another_layout_is_refused_and_left_alone() {
    for version in [1, 2, 4, 77] {
        let folder = TempDir::new().unwrap();
        drop(Embedded::open(folder.path(), options()).unwrap());
        file(folder.path()).pragma_update(None, "user_version", version).unwrap();
        match refused(folder.path()) {
            StoreError::OlderSchema { found } => assert!(found == version && version < 3),
            StoreError::NewerSchema { found, known: 3 } => assert!(found == version && version > 3),
            other => panic!("{other}"),
        }
        let found: u32 = file(folder.path()).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(found, version);
    }
}

#[test]
fn a_foreign_database_is_refused_and_left_alone() {
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

/// SQLite would take it for a new database, and nobody would notice that everything is missing.
#[test]
fn an_empty_file_is_refused_and_a_draft_of_a_new_one_is_replaced() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, "").unwrap();
    assert!(matches!(refused(folder.path()), StoreError::Damaged(_)));
    assert!(matches!(Embedded::examine(folder.path(), Duration::from_secs(9)), Err(StoreError::Damaged(_))));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    std::fs::remove_file(&path).unwrap();
    let draft = folder.path().join("store.db.new");
    std::fs::write(&draft, "half of it").unwrap();
    drop(Embedded::open(folder.path(), options()).unwrap());
    assert!(Embedded::examine(folder.path(), Duration::from_secs(9)).unwrap() && !draft.exists());
}

/// SQLite would write it into the new file: people who are long gone come back, or the file is damaged.
#[test]
fn a_log_without_its_file_is_refused() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("store.db-wal");
    std::fs::write(&log, "what was not in the file yet").unwrap();
    let StoreError::Damaged(reason) = refused(folder.path()) else { panic!("it was taken") };
    assert!(reason.contains("store.db is missing") && log.exists(), "{reason}");
    assert!(!folder.path().join("store.db").exists());
    std::fs::write(&log, "").unwrap();
    drop(Embedded::open(folder.path(), options()).unwrap());
}

#[test]
fn a_folder_that_cannot_be_created_is_reported() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file.join("store")), StoreError::Unavailable(_)));
}

#[tokio::test]
async fn a_closed_store_refuses_calls_and_is_one_file() {
    let folder = TempDir::new().unwrap();
    let store = Embedded::open(folder.path(), options()).unwrap();
    store.check().await.unwrap();
    store.close().await;
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    store.close().await;
    let log = folder.path().join("store.db-wal");
    assert_eq!(log.metadata().map_or(0, |file| file.len()), 0);
}

#[tokio::test]
async fn setting_the_wall_clock_ends_and_prolongs_no_lease() {
    let folder = TempDir::new().unwrap();
    let store = Embedded::open(folder.path(), options()).unwrap();
    let mut bench = Bench::new(Folder::new(), false).await;
    let sent = delivery([1; 16], vec![bench.entry("1", "x")]);
    store.accept(at(0), sent).await.unwrap();
    let year = 365 * 86_400_000;
    let claim = async |now, lease_ms| {
        let ask = ClaimRequest { lease_ms, ..request(1) };
        match store.claim(now, &ask).await.unwrap() {
            Claim::People(mut people) => Some(people.remove(0)),
            Claim::Nobody { .. } => None,
        }
    };
    let claimed = claim(at(year), 60_000).await.unwrap();
    assert_eq!(claimed.lease.until, at(year + 60_000), "as the worker's clock has it");
    assert!(claim(at(2 * year), 60_000).await.is_none(), "a year ahead, a moment later");
    assert!(claim(at(0), 60_000).await.is_none());
    // A lease of zero length expires at once, whatever the clock says.
    store.renew(at(2 * year), &claimed.lease, 0).await.unwrap().unwrap();
    assert!(claim(at(0), 60_000).await.unwrap().taken_over);
}

#[tokio::test]
async fn an_unreadable_person_is_set_aside_and_the_others_go_on() {
    let folder = Folder::new();
    let path = folder.path().to_owned();
    let mut bench = Bench::new(folder, false).await;
    bench.accept(at(0), &[("broken", "x")]).await;
    bench.accept(at(1), &[("whole", "y"), ("other", "z")]).await;
    let number = i64::try_from(person("broken").id().0).unwrap();
    for (column, value) in [("state", "'garbage'"), ("document", "17"), ("newest", "x'00'"), ("due", "0.5")] {
        file(&path).execute(&format!("UPDATE person SET {column} = {value} WHERE id = ?1"), [number]).unwrap();
        let claimed = bench.claim_one(at(2)).await;
        assert_ne!(contents(&claimed), ["x"], "{column}");
        assert_eq!(bench.claim(at(2), 9).await.len(), 1, "{column}");
        // They are left out of listings, and their neighbours are listed.
        let listed = bench.store().await.people(&first(9)).await.unwrap();
        assert!(listed.rows.len() >= 2, "{column}");
        bench.store().await.end_leases(at(2)).await.unwrap();
        // Once repaired, they are found again within the hour.
        let mend = "UPDATE person SET state = 'waiting', document = NULL, newest = NULL, due = 0 WHERE id = ?1";
        file(&path).execute(mend, [number]).unwrap();
        assert_eq!(contents(&bench.claim_one(at(3)).await), ["x"], "{column}");
        bench.store().await.end_leases(at(3)).await.unwrap();
        file(&path).execute("UPDATE person SET due = ?2 WHERE id = ?1", [number, at(0).0]).unwrap();
    }
}

#[tokio::test]
async fn unreadable_figures_are_counted_anew() {
    for damage in ["UPDATE control SET value = 'garbage'", "DELETE FROM control", "UPDATE control SET value = x'00'"] {
        let folder = Folder::new();
        let path = folder.path().to_owned();
        let mut bench = Bench::new(folder, false).await;
        bench.settled(at(0), "idle", idle()).await;
        bench.settled(at(0), "held", held("all")).await;
        bench.accept_unmapped(at(0), None, "payload").await;
        bench.accept(at(1), &[("1", "a"), ("1", "b")]).await;
        let before = bench.store().await.stats().await.unwrap();
        file(&path).execute_batch(damage).unwrap();
        bench.reopen().await;
        assert_eq!(bench.store().await.stats().await.unwrap(), before, "{damage}");
        bench.accept(at(2), &[("1", "c")]).await;
        assert_eq!(contents(&bench.claim_one(at(2)).await), ["a", "b", "c"]);
    }
}

#[tokio::test]
async fn deleted_data_leaves_the_file_and_the_file_shrinks() {
    let folder = Folder::new();
    let path = folder.path().join("store.db");
    let mut bench = Bench::new(folder, false).await;
    let marks = ["Ada-Lovelace-in-the-inbox", "Ada-Lovelace-in-the-document"];
    for batch in 0..20 {
        let people: Vec<_> = (0..500).map(|n| format!("{batch}-{n}")).collect();
        let long = format!("{} {}", marks[0], "x".repeat(2_000));
        let entries: Vec<_> = people.iter().map(|who| (who.as_str(), long.as_str())).collect();
        bench.accept(at(0), &entries).await;
    }
    for claimed in bench.claim(at(0), 100).await {
        let full = Commit { document: Some(marks[1].into()), ..commit("x", idle()) };
        bench.commit(at(0), &claimed.lease, full).await;
    }
    // Once closed, everything is in the one file.
    bench.reopen().await;
    let holds = |mark: &str| {
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    let full = path.metadata().unwrap().len();
    assert!(full > 20_000_000 && holds(marks[0]) && holds(marks[1]));
    for batch in 0..20 {
        for n in 0..500 {
            assert!(bench.store().await.erase(at(1), &person(&format!("{batch}-{n}")), &[]).await.unwrap());
        }
    }
    while bench.store().await.tidy(at(REMEMBER_MS)).await.unwrap() > 0 {}
    bench.reopen().await;
    let left = path.metadata().unwrap().len();
    assert!(left < full / 3, "{left} of {full} bytes");
    assert!(!holds(marks[0]) && !holds(marks[1]), "what was erased is overwritten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_during_writes_has_every_answered_delivery() {
    let (folder, outer) = (Folder::new(), TempDir::new().unwrap());
    let from = folder.path().to_owned();
    let store = Arc::new(Embedded::open(&from, options()).unwrap());
    let accept = async |store: &Embedded, n: u32| {
        let person = person(&n.to_string());
        let entry =
            NewEntry { job: scim_bridge::clock::new_job_id(person.id()), person, bytes: vec![b'x'; 400].into() };
        store.accept(at(0), delivery(u128::from(n).to_be_bytes(), vec![entry])).await.unwrap();
    };
    for n in 0..200 {
        accept(&store, n).await;
    }
    let writing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 200..600 {
                accept(&store, n).await;
            }
        })
    };
    let restored = outer.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    let copy = restored.join("store.db");
    // Somebody was killed during one.
    std::fs::write(restored.join("store.db.partial"), "a part").unwrap();
    // As another process does, despite the lock.
    tokio::task::spawn_blocking({
        let (from, copy) = (from.clone(), copy.clone());
        move || Embedded::backup_of(&from, &copy).unwrap()
    })
    .await
    .unwrap();
    writing.await.unwrap();
    assert_eq!(mode(&copy), 0o600);
    assert_eq!(std::fs::read_dir(&restored).unwrap().count(), 1, "only the whole file is left");
    let again = store.backup(&copy).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))), "a backup goes over no file: {again:?}");
    let there = Embedded::open(&restored, options()).unwrap();
    let entries: u64 = there.stats().await.unwrap().entries.values().sum();
    assert!((200..=600).contains(&entries), "{entries}");
    let whole: String = file(&restored).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    assert!(Embedded::backup_of(&outer.path().join("nowhere"), &outer.path().join("x")).is_err());
    assert!(!outer.path().join("x").exists());
}

/// How far the clock is set back.
const HOUR: u64 = 3_600_000;

#[tokio::test]
async fn retries_do_not_wait_for_a_clock_set_back() {
    for reopens in [false, true] {
        let mut b = Bench::new(Folder::new(), false).await;
        for (who, lane) in [
            ("tried again", retry(at(2 * HOUR + 60_000))),
            ("announced", Lane { state: LaneState::Scheduled, ..retry(at(2 * HOUR + 60_000)) }),
            ("held", held("all")),
        ] {
            b.settled(at(2 * HOUR), who, lane).await;
        }
        b.accept(at(2 * HOUR), &[("due", "x")]).await;
        if reopens {
            b.reopen().await;
        }
        b.claim_none(at(2 * HOUR - 1_000)).await;
        let claimed = b.claim(at(HOUR), 9).await;
        let mut people: Vec<_> = claimed.iter().map(|claimed| claimed.lease.person).collect();
        people.sort_unstable();
        let mut expected = [person("tried again").id(), person("due").id()];
        expected.sort_unstable();
        assert_eq!(people, expected, "what HR announced keeps its date");
        for claimed in claimed {
            let consumed_to = claimed.inbox.last().map(|entry| entry.seq);
            let later = Commit { consumed_to, ..commit("1", retry(at(HOUR + 60_000))) };
            b.commit(at(HOUR), &claimed.lease, later).await;
        }
        b.claim_none(at(HOUR)).await;
        b.claim_none(at(HOUR + 59_999)).await;
        assert_eq!(b.claim(at(HOUR + 60_000), 1).await.len(), 1, "one after another, each once");
        assert_eq!(b.claim(at(HOUR + 60_000), 9).await.len(), 1);
        assert_eq!(b.claim(at(2 * HOUR + 60_000), 9).await.len(), 3, "expired leases, and the announced leave");
    }
}

#[tokio::test]
async fn tokens_do_not_wait_for_a_clock_set_back() {
    for reopens in [false, true] {
        let mut b = Bench::new(Folder::new(), false).await;
        b.with(|options| options.writes = Rate { calls: 10, window_ms: 60_000 }).await;
        let take = async |b: &mut Bench, ms| b.store().await.take_token(at(ms), CallKind::Write).await.unwrap();
        assert_eq!(take(&mut b, 2 * HOUR).await, Token::Granted);
        b.store().await.back_off(at(2 * HOUR), at(2 * HOUR + 40_000)).await.unwrap();
        if reopens {
            b.reopen().await;
        }
        assert_eq!(take(&mut b, HOUR).await, Token::NotBefore(at(HOUR + 40_000)));
        assert_eq!(take(&mut b, HOUR + 39_999).await, Token::NotBefore(at(HOUR + 40_000)));
        assert_eq!(take(&mut b, HOUR + 40_000).await, Token::Granted);
        assert!(matches!(take(&mut b, HOUR + 40_001).await, Token::NotBefore(_)));
    }
}

#[tokio::test]
async fn a_wall_clock_that_leaps_ahead_gives_no_token_and_forgets_nothing() {
    let folder = TempDir::new().unwrap();
    let ten = Rate { calls: 10, window_ms: 60_000 };
    let options = StoreOptions { writes: ten, ..options() };
    let opened_at = |ms| LeaseClock::Steady { started: std::time::Instant::now(), at: at(ms) };
    let store = Embedded::open_with(folder.path(), options.clone(), opened_at(0)).unwrap();
    store.accept(at(0), delivery([1; 16], Vec::new())).await.unwrap();
    store.back_off(at(0), at(30_000)).await.unwrap();
    for ms in [1, HOUR, 2 * REMEMBER_MS, 9] {
        assert_eq!(store.tidy(at(ms)).await.unwrap(), 0, "{ms}");
        let Token::NotBefore(then) = store.take_token(at(ms), CallKind::Write).await.unwrap() else { panic!("{ms}") };
        assert!((at(ms + 20_000)..=at(ms + 30_000)).contains(&then), "{ms}: {then}");
    }
    drop(store);
    // Opened while the clock may be wrong: there is time to correct it.
    let late = 2 * REMEMBER_MS;
    let store = Embedded::open_with(folder.path(), options.clone(), opened_at(late)).unwrap();
    assert_eq!(store.tidy(at(late)).await.unwrap(), 0);
    drop(store);
    // As after an hour.
    let store = Embedded::open_with(folder.path(), options, LeaseClock::Caller).unwrap();
    assert_eq!(store.tidy(at(late)).await.unwrap(), 1);
}
