//! The process that reads the log stops reading: deliveries, people, probes and shutdown do not wait for it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{Home, PATIENCE, http, payload, post, sim, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_log_reader_stops_nothing_and_dropped_lines_are_counted() {
    let sim = sim();
    let home = Home::new(&sim, "[log]\nlevel = 'trace'");
    let mut child = home.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Read up to this line only: then the pipe fills.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let serving = lines.find_map(|line| {
        let parsed: Value = serde_json::from_str(&line.unwrap()).ok()?;
        (parsed["message"] == "serving").then_some(parsed)
    });
    let serving = serving.unwrap();
    let (listen, admin) = (serving["intake"].as_str().unwrap(), serving["admin"].as_str().unwrap());
    let get = async |path: &str| {
        let response = http().get(format!("http://{admin}{path}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (since, client, mut sent) = (Instant::now(), http(), 0);
    let has_dropped = |metrics: &str| {
        let count = metrics.lines().find_map(|line| line.strip_prefix("scim_bridge_log_lines_dropped_total "));
        count.is_some_and(|count| count != "0")
    };
    while !has_dropped(&get("/metrics").await.1) {
        for _ in 0..50 {
            let body = payload("employee.hired", &format!("E-{sent}"), "Ada", "Lovelace");
            let answer = post(&client, listen, &format!("m{sent}"), &body).await;
            assert_eq!(answer.map(|(status, _)| status), Some(200), "delivery {sent}");
            sent += 1;
        }
        assert!(since.elapsed() < PATIENCE, "{sent} deliveries");
    }
    assert_eq!((get("/livez").await.0, get("/readyz").await.0), (200, 200));
    until("all are brought to Postman", async || sim.journal().len() >= sent).await;
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let stopping = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(stopping.elapsed() < Duration::from_mins(1), "the process does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "{status}");
}

#[test]
fn a_process_that_cannot_start_ends_even_if_nobody_reads_its_log() {
    let home = Home::at("http://127.0.0.1:9/scim/v2", "");
    let (_reader, writer) = std::io::pipe().unwrap();
    let (mut full, (writes, is_full)) = (writer.try_clone().unwrap(), std::sync::mpsc::channel());
    // The pipe is full and stays full.
    std::thread::spawn(move || while full.write_all(&[b'x'; 4096]).is_ok() && writes.send(()).is_ok() {});
    while is_full.recv_timeout(Duration::from_millis(500)).is_ok() {}
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let _taken = TcpListener::bind(&taken).unwrap();
    for (key, value, code) in
        [("SCIM_BRIDGE__STORE__URL", "nowhere:", 64), ("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", taken.as_str(), 1)]
    {
        let mut command = home.command(&["serve"]);
        command.env(key, value).stdout(Stdio::null()).stderr(writer.try_clone().unwrap());
        let (mut child, since) = (command.spawn().unwrap(), Instant::now());
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{key}: the process does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(code), "{key}");
    }
}
