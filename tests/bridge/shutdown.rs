//! SIGTERM shuts down gracefully; a second signal stops immediately; nothing is lost either way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use scim_bridge::postman_sim::{Fault, PostmanSim};

use crate::process::{Bridge, Home, PATIENCE, called, http, job_id, payload, post, sim, until};

/// The id of the job of a hire whose call hangs.
async fn hire_that_hangs(sim: &PostmanSim, bridge: &Bridge, fault: &str) -> String {
    sim.inject(fault.parse::<Fault>().unwrap()).unwrap();
    let body = payload("employee.hired", "E-1", "Ada", "Lovelace");
    let (status, answer) = post(&http(), &bridge.listen, "m1", &body).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    called(sim).await;
    job_id(&answer).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_requests_in_flight_and_refuses_new_ones() {
    for signal in [Signal::TERM, Signal::HUP] {
        stops_in_good_order(signal).await;
    }
}

async fn stops_in_good_order(signal: Signal) {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let job = hire_that_hangs(&sim, &bridge, "create:delay:1:delay=700").await;
    bridge.signal(signal);
    let client = http();
    let body = payload("employee.hired", "E-2", "Grace", "Hopper");
    bridge.answers("/readyz", |status, _| status == 503).await;
    let (status, _) = post(&client, &bridge.listen, "m2", &body).await.unwrap();
    assert_eq!(status, 503);
    let (status, log) = bridge.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(sim.journal().len(), 1);
    // Finished, not handed back: no calls are left to make.
    let bridge = home.serve();
    assert_eq!(bridge.outcome(&job).await, "created");
    assert_eq!(bridge.jobs(&["waiting", "running", "held", "dead"]).await, 0);
    assert_eq!(bridge.api("/api/v1/status").await["people"], 1, "a delivery answered 503 was not stored");
}

/// The head of an answer on a keep-alive connection.
fn asked(connection: &mut BufReader<TcpStream>, path: &str) -> String {
    write!(connection.get_mut(), "GET {path} HTTP/1.1\r\nhost: bridge\r\n\r\n").unwrap();
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let begin = head.len();
        assert_ne!(connection.read_line(&mut head).unwrap(), 0, "closed without an answer: {head}");
        if let Some(value) = head[begin..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
    head.to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_is_told_to_close_on_its_last_answer() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    hire_that_hangs(&sim, &bridge, "create:delay:1:delay=1500").await;
    let mut kept = BufReader::new(TcpStream::connect(&bridge.listen).unwrap());
    for _ in 0..2 {
        assert!(!asked(&mut kept, "/livez").contains("connection: close"));
    }
    bridge.signal(Signal::TERM);
    until("it stops", async || bridge.log().contains("stopping")).await;
    let last = asked(&mut kept, "/livez");
    assert!(last.starts_with("http/1.1 200") && last.contains("connection: close"), "{last}");
    assert_eq!(kept.read(&mut [0]).unwrap(), 0, "the connection is closed");
    assert!(bridge.ended().0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_unfinished_after_the_grace_is_given_back() {
    let sim = sim();
    let home = Home::new(&sim, "[server]\nshutdown_grace_s = 1\n[postman]\ntimeout_s = 20\n[worker]\nlease_s = 60");
    let bridge = home.serve();
    let job = hire_that_hangs(&sim, &bridge, "create:hang:1:after").await;
    let began = Instant::now();
    bridge.signal(Signal::TERM);
    let (status, log) = bridge.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    // The next process continues at once: it searches, and finds that the interrupted call took effect.
    let bridge = home.serve();
    bridge.settled().await;
    assert_eq!(sim.members().len(), 1);
    assert_eq!(bridge.outcome(&job).await, "created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once() {
    let sim = sim();
    let home = Home::new(&sim, "[postman]\ntimeout_s = 20\n[worker]\nlease_s = 60");
    let bridge = home.serve();
    hire_that_hangs(&sim, &bridge, "create:hang:1").await;
    bridge.signal(Signal::TERM);
    let began = Instant::now();
    until("it stops", async || bridge.log().contains("stopping")).await;
    bridge.signal(Signal::TERM);
    let (_, log) = bridge.ended();
    assert!(began.elapsed() < Duration::from_secs(5), "{log}");
    let bridge = home.serve();
    bridge.settled().await;
    assert_eq!(sim.members().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_store_waits_for_the_first_to_end() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let first = home.serve();
    let hire = payload("employee.hired", "E-1", "Ada", "Lovelace");
    post(&http(), &first.listen, "m1", &hire).await.unwrap();
    first.settled().await;
    let first_ends = |log: &Mutex<String>| {
        let since = Instant::now();
        while !log.lock().unwrap().contains("another process has the store") {
            assert!(since.elapsed() < PATIENCE, "{}", log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        first.signal(Signal::TERM);
        assert!(first.ended().0.success());
    };
    let second = tokio::task::block_in_place(|| home.started_after(home.command(&["serve"]), first_ends));
    assert_eq!(post(&http(), &second.listen, "m1", &hire).await.unwrap().1["status"], "duplicate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_that_waits_too_long_says_so_and_stops() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let _first = home.serve();
    let second = tokio::task::block_in_place(|| home.command(&["serve"]).output().unwrap());
    assert_eq!(second.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&second.stderr);
    assert!(printed.contains("in use by another process"), "{printed}");
}
