//! The embedded store and processes: a second one is refused, and one that is killed at any moment loses nothing that
//! it had acknowledged.
//!
//! The other process is this test binary, started again with a single test that only acts in a child process:
//! [`FOLDER`] passes it the folder.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use scim_bridge::core::person::PersonId;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{Accepted, Claim, Commit, Committed, LaneState, NewEntry, Store, StoreError};
use tempfile::TempDir;

use crate::harness::{at, commit, delivery, idle, options, person, request};

/// The variable that passes the folder to the child process.
const FOLDER: &str = "SCIM_BRIDGE_TEST_STORE_FOLDER";

/// Starts a child process that runs one of the tests below.
fn start(test: &str, folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

/// The folder that the parent passes; none in any other process.
fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Sends the parent something, in one write.
fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The child process of `a_second_process_is_refused_at_once`.
#[test]
fn the_owning_process() {
    let Some(folder) = folder() else { return };
    let store = Embedded::open(&folder, options()).unwrap();
    print("open");
    // Until it is killed.
    let _ = std::io::stdin().read_line(&mut String::new());
    drop(store);
}

#[tokio::test]
async fn a_second_process_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let (mut child, stdout) = start("processes::the_owning_process", folder.path());
    assert!(stdout.lines().any(|line| line.unwrap() == "open"));
    let refused = Embedded::open(folder.path(), options()).err();
    assert!(matches!(refused, Some(StoreError::InUse { .. })), "{refused:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    Embedded::open(folder.path(), options()).unwrap().check().await.unwrap();
}

#[test]
fn a_second_handle_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let first = Embedded::open(folder.path(), options()).unwrap();
    let refused = Embedded::open(folder.path(), options()).err().unwrap();
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    drop(first);
    Embedded::open(folder.path(), options()).unwrap();
}

/// The child process of `answered_deliveries_survive_a_kill`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_killed_process() {
    let Some(folder) = folder() else { return };
    let store = Arc::new(Embedded::open(&folder, options()).unwrap());
    let mut senders = Vec::new();
    for sender in 0..4_u8 {
        let store = Arc::clone(&store);
        senders.push(tokio::spawn(async move {
            for n in 0_u64.. {
                let person = person(&format!("{}-{sender}-{n}", std::process::id()));
                let (id, job) = (person.id(), scim_bridge::clock::new_job_id(person.id()));
                let entry = NewEntry { job, person, bytes: id.to_string().into() };
                let stored = store.accept(at(0), delivery(job.0.to_be_bytes(), vec![entry])).await;
                assert_eq!(stored.unwrap(), Accepted::Stored);
                print(&format!("accepted {id}"));
            }
        }));
    }
    loop {
        if let Claim::People(people) = store.claim(at(1), &request(3)).await.unwrap() {
            for claimed in people {
                let id = claimed.lease.person;
                let folded = Commit {
                    document: Some(id.to_string().into()),
                    consumed_to: claimed.inbox.last().map(|entry| entry.seq),
                    ..commit("x", idle())
                };
                assert_eq!(store.commit(at(1), &claimed.lease, folded).await.unwrap(), Committed::Committed);
                print(&format!("finished {id}"));
            }
        }
        assert!(senders.iter().all(|sender| !sender.is_finished()), "a sender failed");
    }
}

#[tokio::test]
async fn answered_deliveries_survive_a_kill() {
    let folder = TempDir::new().unwrap();
    let (mut accepted, mut finished) = (Vec::new(), Vec::new());
    for lines in [1, 40, 333, 1_200] {
        let (mut child, printed) = start("processes::the_killed_process", folder.path());
        let mut printed = printed.lines();
        let mut heard = 0;
        while let Some(Ok(line)) = printed.next() {
            if let Some(id) = line.strip_prefix("accepted ") {
                accepted.push(PersonId::parse(id).unwrap());
            } else if let Some(id) = line.strip_prefix("finished ") {
                finished.push(PersonId::parse(id).unwrap());
            } else {
                continue;
            }
            heard += 1;
            if heard == lines {
                // What it wrote before it died is read as well.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= lines, "it ended by itself after {heard} lines");
        check(folder.path(), &accepted, &finished).await;
    }
}

async fn check(folder: &Path, accepted: &[PersonId], finished: &[PersonId]) {
    let store = Embedded::open(folder, options()).unwrap();
    for id in accepted {
        let row = store.person(*id).await.unwrap().expect("what was accepted is there");
        let is_waiting = row.inbox.iter().any(|entry| entry.bytes == id.to_string());
        assert!(is_waiting || row.document.is_some_and(|document| document == id.to_string()), "{id} is lost");
    }
    for id in finished {
        let row = store.person(*id).await.unwrap().unwrap();
        assert_eq!((row.lane.state, row.inbox_entries), (LaneState::Idle, 0), "{id} was finished");
    }
    let stats = store.stats().await.unwrap();
    let waiting: u64 = stats.entries.values().sum();
    assert!(stats.people + waiting >= accepted.len() as u64);
    store.close().await;
    drop(store);
    let file = rusqlite::Connection::open(folder.join("store.db")).unwrap();
    let found: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
    // The statistics match the content.
    let entries: u64 =
        file.query_row("SELECT count(*) FROM inbox", [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs();
    let people: u64 =
        file.query_row("SELECT count(document) FROM person", [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs();
    assert_eq!((waiting, stats.people), (entries, people));
}
