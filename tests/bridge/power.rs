//! Power cuts: a library preloaded before libc (`power_cut.c`) undoes whatever was not flushed to disk, and kills the
//! process. Everything answered 200 must still be there afterwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::power_cut::{library, moments};
use crate::process::{Bridge, Home, http, payload, post, sim};

const SENDERS: usize = 6;

/// Sends until nobody answers; returns the ids of the jobs that were answered 200.
async fn send_on(listen: String, sender: usize, acknowledged: Arc<Mutex<Vec<String>>>) {
    for n in 0.. {
        let body = payload("employee.hired", &format!("E-{sender}-{n}"), "Ada", "Lovelace");
        let Some((status, answer)) = post(&http(), &listen, &format!("m-{sender}-{n}"), &body).await else { return };
        if status == 200 {
            let id = answer["jobs"][0].as_str().unwrap().to_owned();
            acknowledged.lock().unwrap().push(id);
        }
    }
}

async fn knows(bridge: &Bridge, id: &str) -> bool {
    let url = format!("http://{}/api/v1/jobs/{id}", bridge.admin);
    http().get(url).bearer_auth(&bridge.token).send().await.unwrap().status() == 200
}

/// How many were acknowledged before the cut, and how many of them are lost.
async fn cut_after(busy: Duration, more: &[(&str, &str)]) -> (usize, usize) {
    let sim = sim();
    // No worker runs: accepted events wait.
    let home = Home::new(&sim, "[postman]\nbase_url = 'http://127.0.0.1:9/scim/v2'");
    let (data, library) = (home.path().join("data"), library(home.path()));
    std::fs::create_dir(&data).unwrap();
    let disk = [("LD_PRELOAD", library.to_str().unwrap()), ("POWER_CUT_DIR", data.to_str().unwrap())];
    let bridge = home.serve_with(&[&disk, more].concat());
    let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
    let senders: Vec<_> =
        (0..SENDERS).map(|n| tokio::spawn(send_on(bridge.listen.clone(), n, Arc::clone(&acknowledged)))).collect();
    // Counted from the first acknowledgement: on a busy machine that may take longer than all the rest.
    while acknowledged.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(busy).await;
    std::fs::write(data.join("cut"), "").unwrap();
    assert!(!bridge.ended().0.success());
    for sender in senders {
        sender.await.unwrap();
    }
    std::fs::remove_file(data.join("cut")).unwrap();
    let bridge = home.serve();
    let acknowledged = acknowledged.lock().unwrap().clone();
    let mut lost = 0;
    for id in &acknowledged {
        lost += usize::from(!knows(&bridge, id).await);
    }
    (acknowledged.len(), lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_no_delivery_answered_200() {
    for busy in moments("embedded", 3, 0, 2_000) {
        let (acknowledged, lost) = cut_after(busy, &[]).await;
        assert!(acknowledged > 0 && lost == 0, "{lost} of {acknowledged} lost after {busy:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_flush_before_the_200_the_same_cut_would_lose_some() {
    let (acknowledged, lost) = cut_after(Duration::from_millis(700), &[("POWER_CUT_NO_FLUSH", "1")]).await;
    assert!(lost > 0, "none of {acknowledged} lost: the test proves nothing");
}
