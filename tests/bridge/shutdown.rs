//! SIGTERM stops in good order; a second signal stops at once; nothing is lost either way.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use scim_bridge::postman_sim::{Fault, PostmanSim};

use crate::process::{Bridge, Home, http, payload, post, sim};

async fn hire_that_hangs(sim: &PostmanSim, bridge: &Bridge, fault: &str) {
    sim.order(fault.parse::<Fault>().unwrap()).unwrap();
    let body = payload("employee.hired", "E-1", "Ada", "Lovelace");
    assert_eq!(post(&http(), &bridge.listen, "m1", &body).await.unwrap().0, 200);
    while sim.journal().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    hire_that_hangs(&sim, &bridge, "create:delay:1:delay=700").await;
    bridge.signal(Signal::TERM);
    let client = http();
    let body = payload("employee.hired", "E-2", "Grace", "Hopper");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let response = client.get(format!("http://{}/readyz", bridge.admin)).send().await.unwrap();
        if response.status() == 503 {
            break;
        }
        assert!(Instant::now() < deadline);
    }
    let (status, _) = post(&client, &bridge.listen, "m2", &body).await.unwrap();
    assert_eq!(status, 503);
    let (status, log) = bridge.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(sim.journal().len(), 1);
    // Done, not given back: there is nothing left to call.
    let bridge = home.serve();
    assert_eq!(bridge.jobs(&["done"]).await, 1);
    assert_eq!(bridge.jobs(&["waiting", "running", "dead"]).await, 0, "what was answered 503 is not there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_within_the_grace_is_given_back() {
    let sim = sim();
    let home = Home::new(&sim, "[server]\nshutdown_grace_s = 1\n[postman]\ntimeout_s = 20\n[worker]\nlease_s = 60");
    let bridge = home.serve();
    hire_that_hangs(&sim, &bridge, "create:hang:1:after").await;
    let began = Instant::now();
    bridge.signal(Signal::TERM);
    let (status, log) = bridge.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    // The next process goes on at once: it looks, and finds what the broken-off call had done.
    let bridge = home.serve();
    bridge.settled().await;
    assert_eq!(sim.members().len(), 1);
    assert_eq!(bridge.jobs(&["done"]).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once() {
    let sim = sim();
    let home = Home::new(&sim, "[postman]\ntimeout_s = 20\n[worker]\nlease_s = 60");
    let bridge = home.serve();
    hire_that_hangs(&sim, &bridge, "create:hang:1").await;
    bridge.signal(Signal::TERM);
    let began = Instant::now();
    while !bridge.log().contains("stopping") {
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bridge.signal(Signal::TERM);
    let (_, log) = bridge.ended();
    assert!(began.elapsed() < Duration::from_secs(5), "{log}");
    let bridge = home.serve();
    bridge.settled().await;
    assert_eq!(sim.members().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_store_says_so_and_stops() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let _first = home.serve();
    let second = home.command(&["serve"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use by another process"), "{said}");
}
