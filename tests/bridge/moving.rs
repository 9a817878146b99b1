//! A company grows: the content of the embedded store moves to Redis. Nothing is lost, doubled or reordered, wherever
//! the copy is interrupted.

use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use scim_bridge::app;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::config::Config;
use scim_bridge::core::person::{EventKind, Person, SourceName};
use scim_bridge::postman_sim::Fault;
use scim_bridge::store::transfer::Transfer;
use scim_bridge::store::{
    Accepted as Fate, Claim, ClaimRequest, Claimed, Commit, Committed, DeadChange, DeadFilter, DeadRow, Dedupe, Lane,
    LaneState, NewDelivery, NewEntry, NewUnmapped, Page,
};
use serde_json::Value;

use crate::oracle::{Accepted, the_newest_facts_took_effect_once};
use crate::process::{Bridge, Home, KEY, http, job_id, post, sim, until};
use crate::redis_server::RedisServer;
use crate::words::{Truth, body};

const TOKEN: &str = "[server]\nadmin_token = \"the-token-of-the-tests-which-is-long\"";

fn embedded(home: &Home) -> String {
    format!("embedded:{}", home.path().join("data").display())
}

fn copy(home: &Home, from: &str, to: &str, more: &[&str]) -> Output {
    let arguments = [&["store", "copy", "--json", "--from", from, "--to", to], more].concat();
    home.command(&arguments).output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The report of a copy that succeeded.
fn copied(home: &Home, from: &str, to: &str, more: &[&str]) -> Value {
    let output = copy(home, from, to, more);
    assert!(output.status.success(), "{}", printed(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true);
    report
}

fn sum(report: &Value, column: &str) -> u64 {
    report["sections"].as_array().unwrap().iter().map(|line| line[column].as_u64().unwrap()).sum()
}

fn section(report: &Value, name: &str) -> u64 {
    let line = report["sections"].as_array().unwrap().iter().find(|line| line["section"] == name).unwrap();
    assert_eq!(line["all"], line["verified"], "{name}");
    line["all"].as_u64().unwrap()
}

/// Posts event number `n` about a person.
async fn send(bridge: &Bridge, accepted: &mut Accepted, person: &str, n: u32) -> Value {
    let (status, answer) = post(&http(), &bridge.listen, &format!("{person}-{n}"), &body(person, n)).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    accepted.insert(person.to_owned(), n + 1);
    answer
}

fn stop(bridge: Bridge) {
    bridge.signal(Signal::TERM);
    let (status, log) = bridge.ended();
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_growing_company_takes_everything_to_redis() {
    let (sim, redis) = (sim(), RedisServer::start());
    let home = Home::new(&sim, TOKEN);
    let (old, new) = (embedded(&home), redis.url());
    let mut accepted = Accepted::new();

    // In sync; blocked by a dead letter; unmapped; and waiting because the key is refused.
    let bridge = home.serve();
    send(&bridge, &mut accepted, "DONE", 0).await;
    send(&bridge, &mut accepted, "DONE", 1).await;
    bridge.settled().await;
    sim.inject("create:invalid-syntax:forever:user=dead.0@example.com".parse::<Fault>().unwrap()).unwrap();
    let dead = send(&bridge, &mut accepted, "DEAD", 0).await;
    send(&bridge, &mut accepted, "DEAD", 1).await;
    bridge.settled().await;
    bridge.until("dead", 1).await;
    let (_, answer) = post(&http(), &bridge.listen, "broken", "{\"private-tell\"").await.unwrap();
    assert_eq!(answer["status"], "unmapped");
    sim.set_key("another");
    let mut waiting = Vec::new();
    for n in 0..4 {
        waiting.push(job_id(&send(&bridge, &mut accepted, "WAITS", n).await).to_owned());
    }
    send(&bridge, &mut accepted, "DONE", 2).await;
    let is_held = async || !bridge.api("/api/v1/hold").await["holds"].as_array().unwrap().is_empty();
    until("all is held", is_held).await;
    let refused = copy(&home, &old, &new, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(printed(&refused).contains("in use"), "the store is being served");
    stop(bridge);

    let counted = copied(&home, &old, &new, &["--dry-run"]);
    assert_eq!((sum(&counted, "known"), sum(&counted, "verified")), (0, 0));
    let report = copied(&home, &old, &new, &[]);
    assert_eq!(sum(&report, "copied"), sum(&counted, "copied"));
    for name in ["marks", "inbox", "shared"] {
        section(&report, name);
    }
    assert_eq!(["people", "remembered", "unmapped"].map(|name| section(&report, name)), [3, 10, 1]);
    assert_eq!(sum(&copied(&home, &old, &new, &[]), "copied"), 0);

    // The old bridge is started by mistake, with the right key again: it applies nothing.
    sim.set_key(KEY);
    let calls = sim.stats().calls;
    let mistake = home.serve();
    let hold = mistake.api("/api/v1/hold").await;
    assert!(hold["holds"].as_array().unwrap().iter().any(|hold| hold["code"] == "HOLD-COPIED"), "{hold}");
    stop(mistake);
    assert_eq!(sim.stats().calls, calls);

    let bridge = home.serve_with(&[("SCIM_BRIDGE__STORE__URL", &new)]);
    bridge.settled().await;
    assert_eq!(bridge.jobs(&["dead"]).await, 2);
    bridge.all_have_ended(&waiting).await;
    sim.clear_faults();
    let letters = bridge.api("/api/v1/dead").await;
    let blocked = letters["dead"].as_array().unwrap().iter().find(|dead| dead["code"] == "SCIM-400-SYNTAX").unwrap();
    assert_eq!(blocked["person"]["employee_id"], "DEAD");
    let replay = format!("http://{}/api/v1/dead/{}/replay", bridge.admin, blocked["id"].as_str().unwrap());
    let answer = http().post(replay).bearer_auth(&bridge.token).send().await.unwrap();
    assert!(answer.status().is_success());
    bridge.settled().await;
    assert_eq!(bridge.outcome(job_id(&dead)).await, "created");
    for person in ["DONE", "DEAD", "WAITS"] {
        assert_eq!(send(&bridge, &mut Accepted::new(), person, 1).await["status"], "duplicate");
    }
    send(&bridge, &mut accepted, "WAITS", 4).await;
    bridge.settled().await;
    assert!(accepted.iter().all(|(person, count)| Truth::after(person, *count).employed), "the test proves little");
    the_newest_facts_took_effect_once(&sim, &accepted);

    // A second copy fails, both while the new bridge runs and afterwards.
    assert!(printed(&copy(&home, &old, &new, &[])).contains("in use"));
    stop(bridge);
    let refused = copy(&home, &old, &new, &[]);
    assert!(!refused.status.success() && printed(&refused).contains("was served since"), "{}", printed(&refused));
    the_newest_facts_took_effect_once(&sim, &accepted);

    // As a backup: the source may continue.
    let backup = format!("embedded:{}", home.path().join("backup").display());
    let report = copied(&home, &new, &backup, &["--no-hold"]);
    assert_eq!(["people", "remembered", "unmapped"].map(|name| section(&report, name)), [3, 11, 1]);
    let calls = sim.stats().calls;
    let bridge = home.serve_with(&[("SCIM_BRIDGE__STORE__URL", &new)]);
    assert_eq!(bridge.api("/api/v1/hold").await["holds"].as_array().map(Vec::len), Some(0));
    bridge.settled().await;
    stop(bridge);
    assert_eq!(sim.stats().calls, calls, "everybody was in sync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_taken_while_serving_and_is_a_complete_store() {
    let sim = sim();
    let home = Home::new(&sim, TOKEN);
    let bridge = home.serve();
    let mut accepted = Accepted::new();
    send(&bridge, &mut accepted, "DONE", 0).await;
    bridge.settled().await;
    sim.set_key("another");
    let waiting = send(&bridge, &mut accepted, "WAITS", 0).await;

    let restored = home.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    let file = restored.join("store.db");
    let backup = || home.command(&["store", "backup", "--json", file.to_str().unwrap()]).output().unwrap();
    let taken = backup();
    assert!(taken.status.success(), "{}", printed(&taken));
    let report: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(report["bytes"].as_u64().unwrap(), std::fs::metadata(&file).unwrap().len());
    let again = backup();
    assert_eq!(again.status.code(), Some(1));
    assert!(printed(&again).contains("already exists"), "{}", printed(&again));
    // The disk is lost, with everything since the backup.
    bridge.signal(Signal::KILL);
    bridge.ended();
    sim.set_key(KEY);
    let bridge = home.serve_with(&[("SCIM_BRIDGE__STORE__URL", &format!("embedded:{}", restored.display()))]);
    bridge.settled().await;
    assert_eq!(bridge.outcome(job_id(&waiting)).await, "created");
    assert_eq!(send(&bridge, &mut accepted, "DONE", 0).await["status"], "duplicate");
    the_newest_facts_took_effect_once(&sim, &accepted);

    let mut of_redis = home.command(&["store", "backup", "elsewhere"]);
    let of_redis = of_redis.env("SCIM_BRIDGE__STORE__URL", "redis://127.0.0.1:9").output().unwrap();
    assert_eq!(of_redis.status.code(), Some(1));
    assert!(printed(&of_redis).contains("docs/redis.md"), "{}", printed(&of_redis));
}

fn open(home: &Home, url: &str) -> Arc<dyn Transfer> {
    let env = [("SCIM_BRIDGE__STORE__URL".to_owned(), url.to_owned())];
    app::open_store(&Config::load(Some(&home.config()), env.into_iter()).unwrap()).unwrap()
}

const PEOPLE: usize = 600;
const PAGE: usize = 200;

fn source() -> SourceName {
    SourceName::parse("hr").unwrap()
}

fn person(n: usize) -> Person {
    Person::parse(source(), &format!("E-{n}")).unwrap()
}

/// A delivery with events about a few people; opaque to the store.
fn delivery(first: usize, round: usize) -> NewDelivery {
    let entry = |n: usize| {
        let person = person(n);
        let job = new_job_id(person.id());
        NewEntry { job, person, bytes: Bytes::from(format!("{{\"word\":{round}}}")) }
    };
    let key = new_job_id(person(first).id()).0.to_be_bytes();
    let dedupe = Some(Dedupe { key, only_while_newest: false, remember_ms: 86_400_000, says: 0 });
    let unmapped = NewUnmapped { row: dead_row(first, true), payload: Bytes::from_static(b"{\"broken\"") };
    let unmapped = if round == 0 { vec![unmapped] } else { Vec::new() };
    NewDelivery { source: source(), dedupe, entries: (first..first + 20).map(entry).collect(), unmapped }
}

fn dead_row(n: usize, unmapped: bool) -> DeadRow {
    DeadRow {
        id: new_job_id(person(n).id()),
        source: source(),
        person: Some(person(n)),
        event: (!unmapped).then_some(EventKind::Hire),
        died_at: Clock::System.now(),
        code: if unmapped { "MAP-FIELD" } else { "SCIM-400-SYNTAX" }.to_owned(),
        detail: "name: too long".to_owned(),
        unmapped,
    }
}

/// How an attempt with a person ends: a quarter each waits, is in sync, is held, is blocked.
fn ending(n: usize, claimed: &Claimed) -> Commit {
    let lane = |state, due, tag: Option<&str>| Lane { state, due, wakes: true, tag: tag.map(str::to_owned) };
    let lane = match n % 4 {
        0 => lane(LaneState::Waiting, Some(Clock::System.now().plus_ms(3_600_000)), None),
        1 => lane(LaneState::Idle, None, None),
        2 => lane(LaneState::Held, None, Some("creates")),
        _ => lane(LaneState::Blocked, None, None),
    };
    let dead =
        if lane.state == LaneState::Blocked { DeadChange::Is(Box::new(dead_row(n, false))) } else { DeadChange::None };
    Commit {
        document: Some(Bytes::from(format!("{{\"document\":{n}}}"))),
        person: person(n),
        consumed_to: claimed.inbox.last().map(|entry| entry.seq),
        lane,
        story: vec![Bytes::from_static(b"{\"note\":1}"), Bytes::from_static(b"{\"note\":2}")],
        terms_added: vec![format!("name{n}"), "ada".to_owned()],
        terms_removed: Vec::new(),
        disowned: Vec::new(),
        released: Vec::new(),
        outgoing: Vec::new(),
        dead,
    }
}

/// Some thousand events, about people in every state.
async fn fill(store: &dyn Transfer) {
    let now = Clock::System.now();
    for round in 0..8 {
        let accepting = (0..PEOPLE).step_by(20).map(|first| store.accept(now, delivery(first, round)));
        for stored in futures_util::future::join_all(accepting).await {
            assert_eq!(stored.unwrap(), Fate::Stored);
        }
    }
    let request = ClaimRequest {
        worker: "w".into(),
        number: 1,
        lost_from: None,
        people_max: 400,
        lease_ms: 60_000,
        entries_max: 6,
        parked: None,
    };
    let Claim::People(people) = store.claim(now, &request).await.unwrap() else { panic!("nobody is due") };
    let number = |claimed: &Claimed| (0..PEOPLE).find(|n| person(*n).id() == claimed.lease.person).unwrap();
    for claimed in people {
        let ending = ending(number(&claimed), &claimed);
        assert_eq!(store.commit(now, &claimed.lease, ending).await.unwrap(), Committed::Committed);
    }
}

/// Everybody with inbox and story, every dead letter, and the statistics.
async fn views(store: &dyn Transfer) -> Vec<String> {
    let mut views = Vec::new();
    let mut page = Page { rows_max: PAGE, after: None };
    loop {
        let listed = store.people(&page).await.unwrap();
        for row in listed.rows {
            let story = store.story(row.id).await.unwrap();
            views.push(format!("{row:?} {story:?}"));
        }
        page.after = listed.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(views.len(), PEOPLE);
    loop {
        let listed = store.dead(&DeadFilter::default(), &page).await.unwrap();
        for row in listed.rows {
            views.push(format!("{:?}", store.dead_letter(row.id).await.unwrap()));
        }
        page.after = listed.next;
        if page.after.is_none() {
            break;
        }
    }
    let found = store.search("name17", &Page { rows_max: PAGE, after: None }).await.unwrap();
    views.push(format!("{:?}", found.rows.iter().map(|row| row.id).collect::<Vec<_>>()));
    views.push(format!("{:?}", store.stats().await.unwrap()));
    views
}

/// Kills the copy later and later, each time by a seventh, until it finishes first.
async fn copy_with_kills(home: &Home, from: &str, to: &str) {
    let store = open(home, from);
    fill(store.as_ref()).await;
    let before = views(store.as_ref()).await;
    drop(store);
    let (mut kills, mut halves, mut last) = (0, 0, 0);
    let mut pause = Duration::from_millis(60);
    loop {
        let mut child = home.command(&["store", "copy", "--from", from, "--to", to]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(pause);
        pause += pause / 7;
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 1_000, "it never finishes");
        let report = copied(home, from, to, &["--dry-run"]);
        let (all, known) = (sum(&report, "all"), sum(&report, "known"));
        assert!(known >= last, "something that was there is gone: {known} of {last}");
        halves += u32::from(known > last && known < all);
        last = known;
    }
    assert!(halves > 0, "none of {kills} kills interrupted it");
    assert_eq!(sum(&copied(home, from, to, &[]), "copied"), 0);
    let store = open(home, to);
    let after = views(store.as_ref()).await;
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was, is);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_killed_again_and_again_ends_the_same() {
    let (sim, redis) = (sim(), RedisServer::start());
    let home = Home::new(&sim, TOKEN);
    let (old, backup) = (embedded(&home), format!("embedded:{}", home.path().join("backup").display()));
    copy_with_kills(&home, &old, &redis.url()).await;
    // And back, into an empty store.
    let (store, from) = (open(&home, &redis.url()), redis.url());
    let before = views(store.as_ref()).await;
    drop(store);
    copied(&home, &from, &backup, &[]);
    assert_eq!(views(open(&home, &backup).as_ref()).await, before);
}

#[test]
fn an_invalid_or_identical_store_is_refused_without_showing_a_secret() {
    let (sim, redis) = (sim(), RedisServer::start());
    let home = Home::new(&sim, TOKEN);
    let (old, url) = (embedded(&home), redis.url());
    let nothing_there = copy(&home, &old, &url, &[]);
    assert_eq!(nothing_there.status.code(), Some(1));
    assert!(printed(&nothing_there).contains("no store in this directory"), "{}", printed(&nothing_there));
    assert!(!home.path().join("data").exists(), "none is made");
    let empty = copy(&home, &url, &old, &["--dry-run"]);
    assert!(printed(&empty).contains("there is nothing in the store"), "{}", printed(&empty));
    assert!(!home.path().join("data").exists(), "none is made");
    let wrong = copy(&home, "redis://user:tell-nobody@host:port", &url, &[]);
    assert!(printed(&wrong).contains("--from") && !printed(&wrong).contains("tell-nobody"), "{}", printed(&wrong));
    let login = url.replace("redis://", "redis://user:tell-nobody@");
    let refused = copy(&home, &login, &old, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        printed(&refused).contains("STORE-AUTH") && !printed(&refused).contains("tell-nobody"),
        "{}",
        printed(&refused)
    );
    // Another prefix is another store.
    let other = copy(&home, &url, &url, &["--to-prefix", "other"]);
    assert!(printed(&other).contains("there is nothing"), "{}", printed(&other));
    assert_eq!(home.command(&["store", "copy", "--from", &url]).output().unwrap().status.code(), Some(2));
}
