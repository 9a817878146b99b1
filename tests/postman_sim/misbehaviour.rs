//! What can go wrong with the connection itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::client::{Client, KEY, user};

/// Sends a create over a bare socket and reads until the end.
fn raw_create(client: &Client, user_name: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let mut socket = TcpStream::connect(client.sim.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let body = user(user_name, "Ada", "Lovelace").to_string();
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body.as_bytes()).unwrap();
    let mut got = Vec::new();
    let end = socket.read_to_end(&mut got).err().map(|e| e.kind());
    (got, end)
}

#[tokio::test]
async fn a_reset_is_a_real_one_and_comes_before_or_after_the_change() {
    for (fault, changed) in [("create:reset", false), ("create:reset:after", true)] {
        let client = Client::new();
        client.inject(fault);
        let (got, end) = raw_create(&client, "ada@example.test");
        assert_eq!((got.as_slice(), end), (&b""[..], Some(ErrorKind::ConnectionReset)), "{fault}");
        assert_eq!(client.sim.members_named("ada@example.test").len(), usize::from(changed), "{fault}");
        let entry = client.sim.journal().pop().unwrap();
        assert_eq!((entry.status, entry.applied, entry.fault.unwrap().as_str()), (None, changed, fault));
    }
}

#[tokio::test]
async fn a_close_sends_no_byte() {
    let client = Client::new();
    client.inject("create:close:after");
    assert_eq!(raw_create(&client, "ada@example.test"), (Vec::new(), None));
    assert_eq!(client.sim.members_named("ada@example.test").len(), 1);
}

#[tokio::test]
async fn an_http_client_sees_resets_and_closes_as_errors_and_recovers() {
    let client = Client::new();
    for fault in ["create:reset", "create:close", "create:garbage", "create:half-body"] {
        client.inject(fault);
        let request = client.request("POST", "/Users").body(user("x@example.test", "A", "B").to_string());
        assert!(client.try_send(request).await.is_err(), "{fault}");
        assert_eq!(client.get("/Users").await.status, 200, "{fault}");
    }
}

#[tokio::test]
async fn half_a_body_promises_more_than_it_sends_and_the_change_is_made() {
    let client = Client::new();
    client.inject("create:half-body");
    let (got, end) = raw_create(&client, "ada@example.test");
    let text = String::from_utf8(got).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 201 Created\r\n"), "{head}");
    let promised: usize = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert!(!body.is_empty() && body.len() < promised);
    assert_eq!(end, None);
    assert_eq!(client.sim.members_named("ada@example.test").len(), 1);
}

#[tokio::test]
async fn bodies_can_be_empty_mislabelled_or_invalid_with_the_true_status() {
    let client = Client::new();
    client.inject("create:empty");
    let reply = client.create("a@example.test").await;
    assert_eq!((reply.status, reply.text.as_str()), (201, ""));
    client.inject("create:wrong-type");
    let reply = client.create("b@example.test").await;
    assert_eq!((reply.status, reply.header("content-type")), (201, Some("text/plain")));
    assert_eq!(reply.json()["userName"], "b@example.test");
    client.inject("create:not-json");
    let reply = client.create("c@example.test").await;
    assert_eq!(reply.status, 201);
    assert!(serde_json::from_str::<serde_json::Value>(&reply.text).is_err());
    assert_eq!(client.sim.members().len(), 3);
}

#[tokio::test]
async fn gateways_and_redirects_come_before_any_change() {
    let client = Client::new();
    client.inject("create:html");
    let reply = client.create("a@example.test").await;
    assert_eq!((reply.status, reply.header("content-type")), (502, Some("text/html")));
    client.inject("create:redirect");
    let reply = client.create("a@example.test").await;
    assert_eq!((reply.status, reply.header("location")), (302, Some("/scim/v2/elsewhere")));
    client.inject("create:502");
    assert_eq!(client.create("a@example.test").await.status, 502);
    assert!(client.sim.members().is_empty());
}

#[tokio::test]
async fn garbage_is_not_http() {
    let client = Client::new();
    client.inject("create:garbage");
    let (got, _) = raw_create(&client, "a@example.test");
    assert!(!got.is_empty() && !got.starts_with(b"HTTP/"));
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_leaves_and_holds_nobody_else_up() {
    let client = Client::new();
    client.inject("create:hang:after");
    let request = client.request("POST", "/Users").body(user("a@example.test", "A", "B").to_string());
    let error = client.try_send(request.timeout(Duration::from_millis(100))).await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(client.find("a@example.test").await.len(), 1);
}

#[tokio::test]
async fn a_delayed_change_may_land_after_the_client_gave_up() {
    let client = Client::new();
    client.inject("create:delay:delay=600");
    let request = client.request("POST", "/Users").body(user("a@example.test", "A", "B").to_string());
    assert!(client.try_send(request.timeout(Duration::from_millis(30))).await.unwrap_err().is_timeout());
    assert!(client.sim.members().is_empty(), "not yet");
    let deadline = Instant::now() + Duration::from_mins(2);
    while client.sim.members().is_empty() {
        assert!(Instant::now() < deadline, "it never took effect");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_delay_after_the_change_only_holds_back_the_answer() {
    let client = Client::new();
    client.inject("create:delay:delay=100:after");
    let started = Instant::now();
    assert_eq!(client.create("a@example.test").await.status, 201);
    assert!(started.elapsed() >= Duration::from_millis(100));
}

/// Sends raw bytes and returns the first line of the response.
fn first_line(client: &Client, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(client.sim.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for piece in bytes.chunks(7) {
        socket.write_all(piece).unwrap();
    }
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut got = Vec::new();
    let _ = socket.read_to_end(&mut got);
    String::from_utf8_lossy(&got).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_chunked_body_in_small_pieces_is_understood() {
    let client = Client::new();
    let body = user("ada@example.test", "Ada", "Lovelace").to_string();
    let (a, b) = body.split_at(20);
    let request = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nauthorization: Bearer {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{a}\r\n{:x}\r\n{b}\r\n0\r\n\r\n",
        a.len(),
        b.len()
    );
    assert_eq!(first_line(&client, request.as_bytes()), "HTTP/1.1 201 Created");
}

#[tokio::test]
async fn a_non_http_request_is_refused() {
    let client = Client::new();
    assert_eq!(first_line(&client, b"hello\x00 there\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    let large = format!("POST /scim/v2/Users HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 10_000_000);
    assert_eq!(first_line(&client, large.as_bytes()), "HTTP/1.1 413 Content Too Large");
    let coded = b"POST /scim/v2/Users HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n";
    assert_eq!(first_line(&client, coded), "HTTP/1.1 501 Not Implemented");
}
