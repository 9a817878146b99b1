//! The gate of the admin listener: rate limits, allowed host names, trusted proxies.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{Answer, send, send_from};
use crate::stage::{Stage, TOKEN};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// The proxy that the stage trusts.
const PROXY: &str = "127.0.0.2";

async fn status_from(stage: &Stage, from: &str, token: &str, more: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [&[("Authorization", bearer.as_str())], more].concat();
    send_from(from, stage.address, "GET", "/api/v1/status", &headers, "").await
}

async fn called(stage: &Stage, target: &str, host: &str) -> Answer {
    let bearer = format!("Bearer {TOKEN}");
    send(stage.address, "GET", target, &[("Host", host), ("Authorization", &bearer)], "").await
}

async fn log_in_from(stage: &Stage, from: &str, more: &[(&str, &str)]) -> Answer {
    let headers = [&[FORM], more].concat();
    send_from(from, stage.address, "POST", "/login", &headers, &format!("token={TOKEN}")).await
}

#[tokio::test]
async fn guesses_are_rate_limited_and_another_peers_valid_token_is_not() {
    let stage = Stage::set();
    let guesses = (0..80).map(|_| status_from(&stage, "127.0.0.9", "guess", &[]));
    let guesses = futures_util::future::join_all(guesses);
    let others = async {
        let since = Instant::now();
        for _ in 0..10 {
            assert_eq!(status_from(&stage, "127.0.0.8", TOKEN, &[]).await.status, 200);
        }
        since.elapsed()
    };
    let (guesses, others) = tokio::join!(guesses, others);
    assert!(others < Duration::from_secs(2), "{others:?}");
    let put_off: Vec<_> = guesses.iter().filter(|answer| answer.status == 429).collect();
    assert!(
        put_off.len() >= 30 && guesses.iter().all(|answer| [401, 429].contains(&answer.status)),
        "{}",
        put_off.len()
    );
    assert_eq!((put_off[0].json()["error"].as_str(), put_off[0].header("retry-after")), (Some("put_off"), Some("2")));
    let metrics = stage.get("/metrics").await.body;
    for result in ["refused", "put_off"] {
        assert!(metrics.contains(&format!("scim_bridge_admin_guesses_total{{result=\"{result}\"}}")), "{result}");
    }
}

#[tokio::test]
async fn peers_behind_a_trusted_proxy_are_distinguished_by_the_address_it_names() {
    let stage = Stage::set();
    let guesses = (0..80).map(|_| status_from(&stage, PROXY, "guess", &[("X-Forwarded-For", "198.51.100.1")]));
    let guesses = futures_util::future::join_all(guesses).await;
    assert!(guesses.iter().any(|answer| answer.status == 429));
    assert_eq!(status_from(&stage, PROXY, TOKEN, &[("X-Forwarded-For", "198.51.100.2")]).await.status, 200);
}

#[tokio::test]
async fn a_foreign_name_opens_nothing_but_health_and_metrics() {
    let stage = Stage::set();
    for (host, status) in
        [("127.0.0.1:1", 200), ("localhost", 200), ("[::1]:1", 200), ("bridge.example.com", 200), ("evil.example", 421)]
    {
        assert_eq!(called(&stage, "/api/v1/status", host).await.status, status, "{host}");
        assert_eq!(called(&stage, "/login", host).await.status, status, "{host}");
    }
    for target in ["/livez", "/metrics"] {
        assert_eq!(called(&stage, target, "scim-bridge.any").await.status, 200, "{target}");
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_may_state_https_and_names() {
    let stage = Stage::set();
    let https = [("X-Forwarded-Proto", "https")];
    let cookie = |answer: &Answer| answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie(&log_in_from(&stage, PROXY, &https).await).ends_with("; Secure"));
    assert!(!cookie(&log_in_from(&stage, "127.0.0.1", &https).await).contains("Secure"));
    let named = [("X-Forwarded-Host", "bridge.example.com"), ("Origin", "https://bridge.example.com")];
    assert_eq!(log_in_from(&stage, PROXY, &named).await.status, 303);
    assert_eq!(log_in_from(&stage, "127.0.0.1", &named).await.status, 403);
    let foreign = [("X-Forwarded-Host", "evil.example"), ("Origin", "https://evil.example")];
    assert_eq!(log_in_from(&stage, PROXY, &foreign).await.status, 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_silent_or_endless_connections_keep_nobody_out() {
    let stage = Stage::set();
    let unfinished =
        format!("POST /login HTTP/1.1\r\nHost: localhost\r\n{}: {}\r\nContent-Length: 9000\r\n\r\na", FORM.0, FORM.1);
    for sent in ["", "GET /livez HT", unfinished.as_str()] {
        let mut held = Vec::new();
        for _ in 0..1_000 {
            let mut stream = TcpStream::connect(stage.address).await.unwrap();
            // Connections that were closed already cannot send.
            let _ = stream.write_all(sent.as_bytes()).await;
            held.push(stream);
        }
        let since = Instant::now();
        for target in ["/livez", "/metrics", "/api/v1/status"] {
            assert_eq!(called(&stage, target, "localhost").await.status, 200, "{target}");
        }
        // Without room being made, each would take about five seconds.
        assert!(since.elapsed() < Duration::from_secs(3), "{sent:?}: {:?}", since.elapsed());
        drop(held);
    }
}

#[tokio::test]
async fn pipelined_requests_are_all_answered_and_a_peer_that_reads_no_answer_keeps_nobody_waiting() {
    let stage = Stage::set();
    let requests = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3000);
    let mut deaf = TcpStream::connect(stage.address).await.unwrap();
    let untaken = tokio::time::timeout(Duration::from_secs(3), deaf.write_all(&requests.repeat(500))).await;
    assert!(untaken.is_err(), "60 MB of requests were read although no answer was");
    let mut pipelined = TcpStream::connect(stage.address).await.unwrap();
    let (mut reader, mut writer) = pipelined.split();
    let write = writer.write_all(&requests);
    let read = async {
        let (mut answers, mut rest, mut piece) = (0, Vec::new(), vec![0; 1 << 16]);
        while answers < 3000 {
            let more = reader.read(&mut piece).await.unwrap();
            assert!(more > 0, "closed after {answers} answers");
            rest.extend_from_slice(&piece[..more]);
            let marks: Vec<_> = rest.windows(15).enumerate().filter(|(_, text)| text == b"HTTP/1.1 200 OK").collect();
            answers += marks.len();
            let kept = marks
                .last()
                .map_or(rest.len().saturating_sub(14), |(at, _)| (at + 15).max(rest.len().saturating_sub(14)));
            rest.drain(..kept.min(rest.len()));
        }
    };
    let (written, ()) =
        tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(write, read) }).await.unwrap();
    written.unwrap();
}
