//! A company grows: what the embedded store holds is taken along to Redis, and nothing is lost, doubled or
//! put out of order by it, wherever the copying is cut off.

use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use scim_bridge::app;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::config::Config;
use scim_bridge::core::event::{Change, Email, Event, Names, Person, SourceName};
use scim_bridge::core::job::{Finished, JobState, Progress};
use scim_bridge::postman_sim::Fault;
use scim_bridge::store::{Claim, ClaimRequest, Dedupe, NewDelivery, NewJob, Page, Settlement, Store, Verdict};
use serde_json::Value;

use crate::oracle::{Accepted, every_event_is_applied_once_and_in_order};
use crate::process::{Bridge, Home, KEY, http, payload, post, sim};
use crate::redis_server::RedisServer;

const TOKEN: &str = "[server]\nadmin_token = \"the-token-of-the-tests-which-is-long\"";

fn embedded(home: &Home) -> String {
    format!("embedded:{}", home.path().join("data").display())
}

fn copy(home: &Home, from: &str, to: &str, more: &[&str]) -> Output {
    let arguments = [&["store", "copy", "--json", "--from", from, "--to", to], more].concat();
    home.command(&arguments).output().unwrap()
}

/// What a copy that went well says.
fn copied(home: &Home, from: &str, to: &str, more: &[&str]) -> Value {
    let output = copy(home, from, to, more);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&said).unwrap();
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

/// Posts the event number `n` of a person: a hire (0), then renames.
async fn send(bridge: &Bridge, accepted: &mut Accepted, person: &str, n: u32) -> Value {
    let kind = if n == 0 { "employee.hired" } else { "employee.renamed" };
    let body = payload(kind, person, &format!("Name{n}"), "Of");
    let (status, answer) = post(&http(), &bridge.listen, &format!("{person}-{n}"), &body).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    accepted.insert(person.to_owned(), n + 1);
    answer
}

async fn until(bridge: &Bridge, state: &str, jobs: u64) {
    let deadline = std::time::Instant::now() + crate::process::PATIENCE;
    while bridge.jobs(&[state]).await != jobs {
        assert!(std::time::Instant::now() < deadline, "{}", bridge.api("/api/v1/status").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn stop(bridge: Bridge) {
    bridge.signal(Signal::TERM);
    let (status, log) = bridge.ended();
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_company_that_grows_takes_everything_along() {
    let (sim, redis) = (sim(), RedisServer::start());
    let home = Home::new(&sim, TOKEN);
    let (old, new) = (embedded(&home), redis.url());
    let mut accepted = Accepted::new();

    // Done; dead, with a change parked behind it; unmapped; and what waits because the key is refused.
    let bridge = home.serve();
    send(&bridge, &mut accepted, "DONE", 0).await;
    send(&bridge, &mut accepted, "DONE", 1).await;
    bridge.settled().await;
    sim.order("create:invalid-syntax:1".parse::<Fault>().unwrap()).unwrap();
    send(&bridge, &mut accepted, "DEAD", 0).await;
    until(&bridge, "dead", 1).await;
    send(&bridge, &mut accepted, "DEAD", 1).await;
    let (_, answer) = post(&http(), &bridge.listen, "broken", "{\"private-tell\"").await.unwrap();
    assert_eq!(answer["status"], "unmapped");
    sim.set_key("another");
    for n in 0..3 {
        send(&bridge, &mut accepted, "WAITS", n).await;
    }
    send(&bridge, &mut accepted, "DONE", 2).await;
    until(&bridge, "waiting", 4).await;
    let refused = copy(&home, &old, &new, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("in use"), "the store is being served");
    stop(bridge);

    let counted = copied(&home, &old, &new, &["--dry-run"]);
    assert_eq!((sum(&counted, "known"), sum(&counted, "verified")), (0, 0));
    let report = copied(&home, &old, &new, &[]);
    assert_eq!(sum(&report, "copied"), sum(&counted, "copied"));
    let told = ["waiting", "dead", "finished", "people", "holds", "deliveries"].map(|name| section(&report, name));
    assert_eq!(told, [5, 2, 2, 1, 1, 9]);
    assert_eq!(sum(&copied(&home, &old, &new, &[]), "copied"), 0);

    // The old one started by mistake, with the right key again: it applies nothing.
    sim.set_key(KEY);
    let calls = sim.stats().calls;
    let mistake = home.serve();
    let hold = mistake.api("/api/v1/hold").await;
    assert_eq!(hold["holds"][0]["code"], "HOLD-COPIED", "{hold}");
    stop(mistake);
    assert_eq!(sim.stats().calls, calls);

    let bridge = home.serve_with(&[("SCIM_BRIDGE__STORE__URL", &new)]);
    bridge.settled().await;
    assert_eq!(bridge.jobs(&["dead"]).await, 2);
    let dead = bridge.api("/api/v1/dead").await;
    let hire = dead["dead"].as_array().unwrap().iter().find(|dead| dead["code"] == "SCIM-400-SYNTAX").unwrap();
    let replay = format!("http://{}/api/v1/dead/{}/replay", bridge.admin, hire["id"].as_str().unwrap());
    let answer = http().post(replay).bearer_auth(&bridge.token).send().await.unwrap();
    assert!(answer.status().is_success());
    bridge.settled().await;
    for person in ["DONE", "DEAD", "WAITS"] {
        assert_eq!(send(&bridge, &mut Accepted::new(), person, 1).await["status"], "duplicate");
    }
    send(&bridge, &mut accepted, "WAITS", 3).await;
    bridge.settled().await;
    every_event_is_applied_once_and_in_order(&sim, &accepted);

    // Once more: not while the new one is at work; and after, nothing comes back.
    let before = bridge.api("/api/v1/status").await["jobs"].clone();
    let in_use = |output: &Output| String::from_utf8_lossy(&output.stdout).contains("the store to copy to is in use");
    assert!(in_use(&copy(&home, &old, &new, &[])));
    stop(bridge);
    // Redis takes a moment to see that nobody listens any more.
    let deadline = Instant::now() + Duration::from_secs(30);
    while in_use(&copy(&home, &old, &new, &["--no-hold"])) {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(sum(&copied(&home, &old, &new, &[]), "copied"), 0);
    let bridge = home.serve_with(&[("SCIM_BRIDGE__STORE__URL", &new)]);
    bridge.settled().await;
    assert_eq!(bridge.api("/api/v1/status").await["jobs"], before);
    every_event_is_applied_once_and_in_order(&sim, &accepted);
    stop(bridge);

    // And as a backup: the source may go on.
    let backup = format!("embedded:{}", home.path().join("backup").display());
    let report = copied(&home, &new, &backup, &["--no-hold"]);
    assert_eq!((section(&report, "finished"), section(&report, "deliveries")), (9, 10), "marks are not copied");
    stop(home.serve_with(&[("SCIM_BRIDGE__STORE__URL", &new)]));
}

fn open(home: &Home, url: &str) -> Arc<dyn Store> {
    let env = [("SCIM_BRIDGE__STORE__URL".to_owned(), url.to_owned())];
    app::open_store(&Config::load(Some(&home.config()), env.into_iter()).unwrap()).unwrap()
}

const PEOPLE: usize = 600;

fn person(n: usize) -> Person {
    Person::parse(SourceName::parse("hr").unwrap(), &format!("E-{n}")).unwrap()
}

/// Some thousand jobs in every state.
async fn fill(store: &dyn Store) {
    let now = Clock::System.now();
    let names = Names::parse(Some("Ada"), Some("Lovelace")).unwrap();
    for round in 0..8 {
        let accepting = (0..PEOPLE).step_by(20).map(|first| {
            let jobs = (first..first + 20).map(|n| {
                let email = Email::parse("ada@example.com").unwrap();
                let change = match round {
                    0 => Change::Hire { email, names: names.clone() },
                    _ => Change::Rename { email: None, names: names.clone() },
                };
                let event = Event { person: person(n), change, locale: None, occurred_at: None };
                NewJob { id: new_job_id(), event }
            });
            let source = SourceName::parse("hr").unwrap();
            let key = new_job_id().0.to_be_bytes();
            let dedupe = Dedupe { key, fingerprint: [0; 16], remember_ms: 86_400_000 };
            store.accept(now, NewDelivery { source, dedupe, jobs: jobs.collect(), unmapped: Vec::new() })
        });
        for stored in futures_util::future::join_all(accepting).await {
            stored.unwrap();
        }
    }
    let request = ClaimRequest { worker: "w".into(), number: 1, lost_from: None, jobs_max: 400, lease_ms: 1 };
    let Claim::Jobs(jobs) = store.claim(now, &request).await.unwrap() else { panic!("nothing is due") };
    for (n, one) in jobs.iter().enumerate() {
        let verdict = match n % 4 {
            0 | 1 => Verdict::Done(Finished::Created),
            2 => Verdict::Retry { at: now.plus_ms(3_600_000), counted: true, progress: Progress::default() },
            _ => {
                let code = scim_bridge::core::code::Code::ScimSyntax;
                Verdict::Dead { code, detail: "name: too long".to_owned(), progress: Progress::default() }
            }
        };
        let settlement = Settlement { verdict, history: Vec::new(), trial: None, directory: None };
        store.settle(now, &one.lease, settlement).await.unwrap();
    }
}

/// Everybody's jobs and dead letters, and the newest of each state.
async fn views(store: &dyn Store) -> Vec<Value> {
    let mut views = Vec::new();
    for n in 0..PEOPLE {
        views.push(serde_json::to_value(store.person(&person(n)).await.unwrap().unwrap()).unwrap());
    }
    let page = Page { rows_max: 200, before: None };
    for state in [JobState::Waiting, JobState::Parked, JobState::Done] {
        views.push(serde_json::to_value(store.jobs(state, &page).await.unwrap()).unwrap());
    }
    views.push(serde_json::to_value(store.stats(Clock::System.now()).await.unwrap().jobs).unwrap());
    views
}

/// Kills the copying later and later, until it is through before that.
async fn copy_with_kills(home: &Home, from: &str, to: &str) {
    let store = open(home, from);
    fill(store.as_ref()).await;
    let before = views(store.as_ref()).await;
    drop(store);
    let (mut kills, mut halves, mut last) = (0, 0, 0);
    loop {
        let mut child = home.command(&["store", "copy", "--from", from, "--to", to]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(60 + 40 * kills));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 1_000, "it is never through");
        let report = copied(home, from, to, &["--dry-run"]);
        let (all, known) = (sum(&report, "all"), sum(&report, "known"));
        assert!(known >= last, "what was there is gone: {known} of {last}");
        halves += u32::from(known > last && known < all);
        last = known;
    }
    assert!(halves > 0, "none of {kills} kills met it in the middle");
    assert_eq!(sum(&copied(home, from, to, &[]), "copied"), 0);
    let store = open(home, to);
    let after = views(store.as_ref()).await;
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was, is);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_killed_again_and_again_ends_the_same() {
    let (sim, redis) = (sim(), RedisServer::start());
    let home = Home::new(&sim, TOKEN);
    let (old, backup) = (embedded(&home), format!("embedded:{}", home.path().join("backup").display()));
    copy_with_kills(&home, &old, &redis.url()).await;
    // And back, into an empty one.
    let (store, from) = (open(&home, &redis.url()), redis.url());
    store.lift_hold(Clock::System.now(), None).await.unwrap();
    let before = views(store.as_ref()).await;
    drop(store);
    copied(&home, &from, &backup, &[]);
    assert_eq!(views(open(&home, &backup).as_ref()).await, before);
}

#[test]
fn what_is_no_store_or_the_same_one_is_refused_and_no_secret_is_told() {
    let (sim, redis) = (sim(), RedisServer::start());
    let home = Home::new(&sim, TOKEN);
    let (old, url) = (embedded(&home), redis.url());
    let said = |output: &Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let nothing_there = copy(&home, &old, &url, &[]);
    assert_eq!(nothing_there.status.code(), Some(1));
    assert!(said(&nothing_there).contains("no store in this directory"), "{}", said(&nothing_there));
    assert!(!home.path().join("data").exists(), "none is made");
    let empty = copy(&home, &url, &old, &["--dry-run"]);
    assert!(said(&empty).contains("there is nothing in the store"), "{}", said(&empty));
    assert!(!home.path().join("data").exists(), "none is made");
    let wrong = copy(&home, "redis://user:tell-nobody@host:port", &url, &[]);
    assert!(said(&wrong).contains("--from") && !said(&wrong).contains("tell-nobody"), "{}", said(&wrong));
    let login = url.replace("redis://", "redis://user:tell-nobody@");
    let refused = copy(&home, &login, &old, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("STORE-AUTH") && !said(&refused).contains("tell-nobody"), "{}", said(&refused));
    // A prefix of its own is another store.
    let other = copy(&home, &url, &url, &["--to-prefix", "other"]);
    assert!(said(&other).contains("there is nothing"), "{}", said(&other));
    assert_eq!(home.command(&["store", "copy", "--from", &url]).output().unwrap().status.code(), Some(2));
}
