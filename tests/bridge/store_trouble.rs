//! A store that is damaged, full or gone: reported by `status`, `/readyz`, metrics and alerts, until it is repaired.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::alerts::{ALERT_SECRET, Receiver};
use crate::process::{Bridge, Home, PATIENCE, http, payload, post, sim};
use crate::redis_server::RedisServer;

fn with_alert(url: &str) -> String {
    format!("[[alert]]\nurl = \"{url}/a\"\nsecret = \"{ALERT_SECRET}\"\n")
}

async fn hire(bridge: &Bridge, employee: &str) -> u16 {
    let body = payload("employee.hired", employee, "Ada", "Lovelace");
    post(&http(), &bridge.listen, &format!("hired-{employee}"), &body).await.unwrap().0
}

/// Overwrites the first page of a table or an index, as a failing disk does.
fn damage(home: &Home, name: &str) {
    let path = home.path().join("data/store.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    let bytes: u32 = db.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: u32 = db.query_row(sql, [name], |row| row.get(0)).unwrap();
    drop(db);
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(u64::from(page - 1) * u64::from(bytes))).unwrap();
    file.write_all(&vec![0x5a; usize::try_from(bytes).unwrap()]).unwrap();
}

/// A bridge on a store with this damage, after one person came in sync.
async fn damaged(home: &Home, name: &str) -> Bridge {
    let bridge = home.serve();
    assert_eq!(hire(&bridge, "E-1").await, 200);
    bridge.settled().await;
    bridge.signal(Signal::TERM);
    bridge.ended();
    damage(home, name);
    home.serve()
}

/// Whether an alert mentions this.
fn says(change: &'static str) -> impl Fn(&[crate::alerts::Received]) -> bool {
    move |all| {
        all.iter().any(|one| one.is_genuine && one.changes().iter().any(|one_change| one_change.starts_with(change)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_that_a_damaged_store_refuses_are_reported_everywhere() {
    let (receiver, url) = Receiver::start(&[]);
    let sim = sim();
    let home = Home::new(&sim, &with_alert(&url));
    let bridge = damaged(&home, "inbox").await;
    assert_eq!(bridge.get("/readyz").await.0, 200, "nobody has noticed it yet");
    for employee in ["E-2", "E-3", "E-4", "E-5", "E-6"] {
        assert_eq!(hire(&bridge, employee).await, 503);
    }
    let (ready, body) = bridge.get("/readyz").await;
    assert!(ready == 503 && body.contains("STORE-DAMAGED"), "{body}");
    assert_eq!(bridge.get("/livez").await.0, 200);
    let problem = bridge.problem("STORE-DAMAGED").await;
    assert_eq!(problem["count"], 5, "{problem}");
    assert!(problem["what"].as_str().unwrap().contains("5 deliveries were answered 503"), "{problem}");
    let metrics = bridge.get("/metrics").await.1;
    for line in ["scim_bridge_store_errors_total{code=\"STORE-DAMAGED\"} 5", "scim_bridge_problems 1"] {
        assert!(metrics.lines().any(|shown| shown == line), "{line}: {metrics}");
    }
    receiver.until(&bridge, says("opened STORE-DAMAGED")).await;

    let checked = home.command(&["check"]).output().unwrap();
    let printed = String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success() && printed.contains("FAIL store file"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_blocked_by_a_damaged_store_are_reported() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = damaged(&home, "owner").await;
    assert_eq!(hire(&bridge, "E-2").await, 200);
    let problem = bridge.problem("STORE-DAMAGED").await;
    assert!(problem["what"].as_str().unwrap().contains("People do not reach Postman"), "{problem}");
    assert_eq!(bridge.get("/readyz").await.0, 200, "deliveries are accepted");
    // The lane is not tried again before its lease expires: the problem is listed all that time.
    let deadline = Instant::now() + Duration::from_secs(15);
    while Instant::now() < deadline {
        assert!(bridge.get("/api/v1/status").await.1.contains("STORE-DAMAGED"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(sim.members().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_index_hides_nothing_else_and_a_copy_repairs_it() {
    let (receiver, url) = Receiver::start(&[]);
    let sim = sim();
    let home = Home::new(&sim, &with_alert(&url));
    let bridge = damaged(&home, "person_due").await;
    bridge.problem("STORE-DAMAGED").await;
    bridge
        .answers("/metrics", |_, body| {
            body.contains("\nscim_bridge_store_up 0\n") && !body.contains("\nscim_bridge_problems 0\n")
        })
        .await;
    // Not everything can be judged, so it is reported without the store.
    let all = receiver.until(&bridge, says("opened STORE-DAMAGED")).await;
    assert!(all.iter().all(|one| one.id.starts_with("msg_store_")), "{all:#?}");
    bridge.signal(Signal::TERM);
    bridge.ended();

    let backup = home.path().join("backup.db");
    let taken = home.command(&["store", "backup", backup.to_str().unwrap()]).output().unwrap();
    assert!(!taken.status.success() && !backup.exists(), "{taken:?}");
    let [from, to] = ["data", "copy"].map(|name| format!("embedded:{}", home.path().join(name).display()));
    let copied = home.command(&["store", "copy", "--no-hold", "--from", &from, "--to", &to]).output().unwrap();
    assert!(copied.status.success(), "{copied:?}");
    std::fs::rename(home.path().join("data"), home.path().join("before")).unwrap();
    std::fs::rename(home.path().join("copy"), home.path().join("data")).unwrap();
    let checked = home.command(&["check"]).output().unwrap();
    let printed = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && printed.contains("read completely, and nothing is damaged"), "{printed}");
    let bridge = home.serve();
    assert_eq!(hire(&bridge, "E-2").await, 200);
    bridge.settled().await;
    assert_eq!(bridge.api("/api/v1/status").await["problems"].as_array().map(Vec::len), Some(0));
    assert_eq!(sim.members().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_are_alerted_to_a_full_disk_and_its_end() {
    let (receiver, url) = Receiver::start(&[]);
    let sim = sim();
    let home = Home::new(&sim, &with_alert(&url));
    // With the limit, a write fails instead of ending the process.
    let mut command = Command::new("/bin/sh");
    command.env_clear().current_dir(home.path()).args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    command.arg(env!("CARGO_BIN_EXE_scim-bridge")).arg("--config").arg(home.config()).arg("serve");
    let bridge = home.started(command);
    assert_eq!(hire(&bridge, "E-1").await, 200);
    bridge.settled().await;
    let limit = |bytes| prlimit(Some(bridge.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    limit(Some(std::fs::metadata(home.path().join("data/store.db-wal")).unwrap().len()));
    let deadline = Instant::now() + PATIENCE;
    let mut n = 2;
    while hire(&bridge, &format!("E-{n}")).await != 503 {
        assert!(Instant::now() < deadline, "the store holds more than it has room for");
        n += 1;
    }
    receiver.until(&bridge, says("opened STORE-UNWRITABLE")).await;
    bridge.problem("STORE-UNWRITABLE").await;
    assert!(!bridge.get("/metrics").await.1.contains("\nscim_bridge_problems 0\n"));
    limit(None);
    receiver.until(&bridge, says("closed STORE-UNWRITABLE")).await;
    assert_eq!(hire(&bridge, &format!("E-{n}")).await, 200);
    bridge.answers("/readyz", |status, _| status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_are_alerted_to_a_hung_redis_and_its_end() {
    let (receiver, url) = Receiver::start(&[]);
    let (sim, redis) = (sim(), RedisServer::start());
    let more = format!(
        "[server]\nadmin_token = \"a-token-that-nobody-guesses\"\n[store]\nurl = \"{}\"\n{}",
        redis.url(),
        with_alert(&url)
    );
    let home = Home::new(&sim, &more);
    let bridge = home.serve();
    assert_eq!(hire(&bridge, "E-1").await, 200);
    bridge.settled().await;
    let info = redis.command(&["INFO", "server"]);
    let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().trim().parse().unwrap();
    let server = Pid::from_raw(pid).unwrap();
    kill_process(server, Signal::STOP).unwrap();
    let stopped_at = Instant::now();
    let all = receiver.until(&bridge, says("opened STORE-")).await;
    assert!(stopped_at.elapsed() >= Duration::from_secs(15), "a fail-over would have been reported");
    let id = all.iter().find(|one| says("opened STORE-")(std::slice::from_ref(one))).unwrap().id.clone();
    assert!(id.starts_with("msg_store_"), "{id}");
    bridge.answers("/metrics", |_, body| body.contains("\nscim_bridge_problems 1\n")).await;
    // What needs no store is explained, and why the rest is missing comes first.
    std::fs::write(home.path().join("hire.json"), payload("employee.hired", "E-1", "Ada", "Lovelace")).unwrap();
    let mut explain = home.command(&["explain", "--source", "hr", "--file", "hire.json"]);
    let explained = explain.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap();
    let said = String::from_utf8_lossy(&explained.stdout);
    let first: Vec<_> = said.lines().take(3).collect();
    assert!(first[0].contains("cannot read its store") && first[1].contains("STORE-"), "{said}");
    assert!(first[2].contains("what to do: ") && said.contains("call: POST /Users"), "{said}");
    assert!(explained.status.success() && !said.contains("is not known yet"), "{said}");
    kill_process(server, Signal::CONT).unwrap();
    let all = receiver.until(&bridge, says("closed STORE-")).await;
    assert_eq!(all.iter().filter(|one| one.id == id).count(), 1, "{all:#?}");
    assert_eq!(hire(&bridge, "E-2").await, 200);
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_redis_value_is_skipped_and_reported() {
    let (sim, redis) = (sim(), RedisServer::start());
    let more = format!("[server]\nadmin_token = \"a-token-that-nobody-guesses\"\n[store]\nurl = \"{}\"\n", redis.url());
    let bridge = Home::new(&sim, &more).serve();
    assert_eq!(hire(&bridge, "E-1").await, 200);
    bridge.settled().await;
    redis.command(&["DEL", "{scim-bridge}:leased"]);
    redis.command(&["SET", "{scim-bridge}:leased", "x"]);
    assert_eq!(hire(&bridge, "E-2").await, 200);
    let problem = bridge.problem("STORE-DAMAGED").await;
    assert!(problem["what"].as_str().unwrap().contains("the log says whom it concerns"), "{problem}");
    // And what cannot be read at all does not hide other problems.
    redis.command(&["HSET", "{scim-bridge}:dead:count", "MAP-FIELD", "many"]);
    bridge.answers("/api/v1/status", |status, body| status == 200 && body.contains("cannot be read or changed")).await;
}
