//! How soon a worker notices what an intake accepted.

use std::time::{Duration, Instant};

use crate::on_both;
use crate::servers::{Make, Server};
use crate::stage::{accept, open};

on_both! {
    a_wake_up_crosses_processes_within_50_ms
}

async fn a_wake_up_crosses_processes_within_50_ms(make: Make) {
    let server = Server::start(make, &[]);
    let (intake, worker) = (open(&server.url(), &[]), open(&server.url(), &[]));
    accept(intake.as_ref()).await.unwrap();
    // The first wake-up shows that the subscription works.
    tokio::time::timeout(Duration::from_mins(1), worker.woken()).await.unwrap();
    let mut late = Vec::new();
    for _ in 0..20 {
        let woken = tokio::spawn({
            let worker = worker.clone();
            async move {
                worker.woken().await;
                Instant::now()
            }
        });
        tokio::task::yield_now().await;
        let began = Instant::now();
        accept(intake.as_ref()).await.unwrap();
        let at = tokio::time::timeout(Duration::from_secs(5), woken).await.expect("it is woken").unwrap();
        late.push(at.saturating_duration_since(began));
    }
    late.sort_unstable();
    // The slowest may have coincided with another test on this machine.
    assert!(late[17] < Duration::from_millis(50), "{late:?}");
}
