//! What strangers can do to the listener: keep it waiting, fill its memory, use up its connections, confuse its parser.
//! A genuine delivery is still answered.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use scim_bridge::core::signature::Scheme;
use scim_bridge::core::tally::{SourceTally, TroubleKind};
use scim_bridge::core::time::UnixMs;
use tokio::net::TcpSocket;

use super::{BODY_BYTES_MAX, Bridge, CONNECTIONS_PER_PEER, SECRET, eventually, hire, message, reply};

/// Longer than any timeout in these tests.
const PATIENCE: Duration = Duration::from_secs(8);

/// Sends `drip` again and again until the peer closes; returns what it sent.
fn until_closed(mut socket: TcpStream, drip: &[u8]) -> String {
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (since, mut received) = (Instant::now(), Vec::new());
    loop {
        assert!(since.elapsed() < PATIENCE, "still open: {}", String::from_utf8_lossy(&received));
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => received.extend_from_slice(&buffer[..bytes]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                if socket.write_all(drip).is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    String::from_utf8(received).unwrap()
}

fn begun(bridge: &Bridge, first: &str) -> TcpStream {
    let mut socket = bridge.connect();
    socket.write_all(first.as_bytes()).unwrap();
    socket
}

fn unfinished(bridge: &Bridge, body_bytes: usize) -> TcpStream {
    let head = format!("POST {} HTTP/1.1\r\nhost: b\r\ncontent-length: {body_bytes}\r\n\r\n", bridge.path());
    let mut socket = begun(bridge, &head);
    socket.write_all(&vec![b' '; body_bytes - 1]).unwrap();
    socket
}

/// A connection from another address of this machine.
fn connect_from(bridge: &Bridge, last: u8) -> TcpStream {
    let connecting = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
        socket.connect(bridge.address).await.unwrap().into_std().unwrap()
    };
    let socket = bridge.runtime.block_on(connecting);
    socket.set_nonblocking(false).unwrap();
    socket
}

fn is_genuine_taken(bridge: &Bridge, id: &str) -> bool {
    bridge.post(id, &hire(id, "ada@example.com")).status == 200
}

#[test]
fn an_answered_request_with_an_endless_body_is_closed() {
    let bridge = Bridge::start();
    let chunked = "host: b\r\ntransfer-encoding: chunked\r\n";
    let source = bridge.path();
    for (line, more, status) in [
        ("GET /livez", "", 200),
        ("GET /nothing", "", 404),
        ("POST /webhooks/nobody", "", 404),
        (&format!("PUT {source}"), "", 405),
        (&format!("POST {source}"), "content-type: text/plain\r\n", 415),
    ] {
        let socket = begun(&bridge, &format!("{line} HTTP/1.1\r\n{chunked}{more}\r\n"));
        let received = until_closed(socket, b"1\r\na\r\n");
        assert!(received.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {received}");
    }
}

#[test]
fn every_head_is_bounded_in_time_and_size_even_on_a_reused_connection() {
    let bridge = Bridge::start();
    for first in ["", "GET /livez HTTP/1.1\r\nhost: b\r\n\r\n"] {
        let since = Instant::now();
        let received = until_closed(begun(&bridge, &format!("{first}POST /webhooks/hr HTTP/1.1\r\nx-a: ")), b"a");
        assert!(received.contains("HTTP/1.1 408 ") && since.elapsed() < Duration::from_secs(4), "{received}");
        let long = format!("{first}POST /webhooks/hr HTTP/1.1\r\nx-a: {}", "a".repeat(17_000));
        let received = until_closed(begun(&bridge, &long), b"a");
        assert!(received.contains("HTTP/1.1 431 "), "{received}");
    }
    assert!(is_genuine_taken(&bridge, "msg_1"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let bridge = Bridge::start();
    let bodies = [hire("E-1", "a@example.com"), hire("E-2", "b@example.com")];
    let mut bytes = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        bytes.extend(message("POST", &bridge.path(), &bridge.signed(&format!("msg_{n}"), body), body.as_bytes()));
        bytes.extend(message("GET", "/livez", &[], b""));
    }
    let mut socket = bridge.connect();
    socket.write_all(&bytes).unwrap();
    let statuses: Vec<_> = (0..4).map(|_| reply(&mut socket).status).collect();
    assert_eq!((statuses, bridge.jobs("waiting")), (vec![200; 4], 2));
}

#[test]
fn requests_in_a_row_whose_bodies_nobody_reads_are_bounded_too() {
    let bridge = Bridge::start();
    let mut socket = bridge.connect();
    let wrong = message("POST", "/webhooks/nobody", &[], b"a");
    // A sender that waits for no answer, and one that waits for each.
    socket.write_all(&wrong.repeat(40)).unwrap();
    let answered = until_closed(socket, b"").matches("HTTP/1.1 404 ").count();
    assert!((1..=8).contains(&answered), "{answered}");
    let mut socket = bridge.connect();
    let mut waited = 0;
    loop {
        waited += 1;
        socket.write_all(&wrong).unwrap();
        if reply(&mut socket).head.contains("connection: close") {
            break;
        }
    }
    assert_eq!(waited, 8);
}

/// Its next request is here before the thread that answered looks again.
#[test]
fn a_quick_sender_that_waits_for_every_answer_keeps_its_connection() {
    let bridge = Bridge::start();
    let mut socket = bridge.connect();
    let request = message("GET", "/livez", &[], b"");
    let mut answer = [0; 4096];
    for n in 0..20_000 {
        socket.write_all(&request).unwrap();
        let length = socket.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(text.starts_with("HTTP/1.1 200 ") && !text.contains("connection: close"), "{n}: {text}");
    }
}

#[test]
fn ambiguous_requests_are_refused_and_the_connection_closed() {
    let bridge = Bridge::start();
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "transfer-encoding: gzip\r\n",
        "host: other\r\n",
    ] {
        let request =
            format!("POST {} HTTP/1.1\r\nhost: b\r\n{fields}\r\n0\r\n\r\nGET /livez HTTP/1.1\r\n\r\n", bridge.path());
        let received = until_closed(begun(&bridge, &request), b"");
        assert!(received.starts_with("HTTP/1.1 400 ") && !received.contains(" 200 "), "{fields}: {received}");
    }
}

#[test]
fn a_bare_line_feed_ends_no_line_and_no_head_and_no_second_request_is_hidden_behind_one() {
    let bridge = Bridge::start();
    let post = format!("POST {} HTTP/1.1\r\nhost: b", bridge.path());
    for request in [
        format!("{post}\ncontent-length: 3\r\n\r\nabcGET /livez HTTP/1.1\r\nhost: b\r\n\r\n"),
        format!("GET /livez HTTP/1.1\r\nhost: b\n\n{post}\r\n\r\n"),
    ] {
        let received = until_closed(begun(&bridge, &request), b"");
        assert_eq!(
            (received.starts_with("HTTP/1.1 400 "), received.matches("HTTP/1.1 ").count()),
            (true, 1),
            "{received}"
        );
    }
}

#[test]
fn a_peer_at_its_connection_bound_loses_its_longest_waiting_one_and_is_answered() {
    let bridge = Bridge::start();
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_PER_PEER {
        let mut socket = begun(&bridge, "GET /livez HTTP/1.1\r\nhost: b\r\n\r\n");
        assert_eq!(reply(&mut socket).status, 200);
        idle.push(socket);
    }
    assert!(is_genuine_taken(&bridge, "msg_1"));
    let first = &mut idle[0];
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(first.read(&mut [0; 16]).unwrap(), 0, "the oldest made room");
    let gauge = || bridge.metrics.render().contains("\nscim_bridge_connections ");
    assert!(gauge());
}

#[test]
fn a_handshake_that_anybody_can_send_hides_no_refusals_and_a_signed_one_ends_them() {
    let scheme: Scheme = toml::from_str(
        "header = 'x'\nhandshake = [{ get = { parameter = 'echo' } }, { ping = { when = { from = 'body', equals = 'Ping test' }, signed = false } }, \
         { ping = { when = { from = { json = '/action' }, equals = 'ping' } } }]",
    )
    .unwrap();
    let bridge = Bridge::with(scheme, SECRET);
    let json = vec![("content-type".to_owned(), "application/json".to_owned())];
    assert_eq!(bridge.request("POST", &bridge.path(), &json, b"{}").status, 401);
    bridge.clock.advance_ms(120_000);
    assert_eq!(bridge.request("GET", &format!("{}?echo=a", bridge.path()), &[], b"").status, 200);
    assert_eq!(bridge.request("POST", &bridge.path(), &json, b"Ping test").status, 200);
    let is_refused = |seen: &SourceTally| {
        let refused = seen.troubles(bridge.clock.now()).into_iter().any(|trouble| trouble.kind == TroubleKind::Refused);
        (seen.good_at(), refused)
    };
    let seen = bridge.seen(|seen| seen.unsigned_handshakes.count == 2);
    assert_eq!((is_refused(&seen), seen.handshakes.count), ((UnixMs(0), true), 0));
    assert_eq!(bridge.post("msg_1", r#"{"action":"ping"}"#).status, 200);
    let seen = bridge.seen(|seen| seen.handshakes.count == 1);
    assert_eq!(is_refused(&seen), (bridge.clock.now(), false));
}

#[test]
fn a_peer_with_only_busy_connections_gets_503_and_is_counted() {
    let bridge = Bridge::start();
    let store = rusqlite::Connection::open(bridge.folder.path().join("store.db")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let at_work = |n: usize| {
        let (id, body) = (format!("msg_{n}"), hire(&format!("E-{n}"), "ada@example.com"));
        let mut socket = bridge.connect();
        socket.write_all(&message("POST", &bridge.path(), &bridge.signed(&id, &body), body.as_bytes())).unwrap();
        socket
    };
    let mut waiting: Vec<_> = (0..CONNECTIONS_PER_PEER).map(at_work).collect();
    let mut refusal = None;
    eventually("one more is refused", || {
        let answer = bridge.request("GET", "/livez", &[], b"");
        let is_refused = answer.status == 503;
        refusal = is_refused.then_some(answer);
        // The request may have cut off one that was not yet being worked on.
        waiting.extend((!is_refused).then(|| at_work(waiting.len())));
        is_refused
    });
    let refusal = refusal.unwrap();
    assert_eq!((refusal.word("bound").as_str(), refusal.header("connection")), ("peer", Some("close")));
    assert!(refusal.header("retry-after").is_some());
    let counted = bridge.metrics.render();
    let counted = counted.lines().find(|line| line.starts_with("scim_bridge_connections_refused_total ")).unwrap();
    assert!(!counted.ends_with(" 0"), "{counted}");
    store.execute_batch("ROLLBACK").unwrap();
    let kept = waiting.iter_mut().filter(|socket| socket.peek(&mut [0]).is_ok_and(|bytes| bytes == 1)).count();
    // Some may have been cut off by earlier requests before all of them were active.
    assert!(kept >= CONNECTIONS_PER_PEER / 2, "{kept}");
    assert!(is_genuine_taken(&bridge, "msg_after"));
}

#[test]
fn unfinished_large_bodies_keep_no_small_one_out_and_the_refusal_names_the_bound() {
    let bridge = Bridge::start();
    let large = BODY_BYTES_MAX;
    let mut strangers: Vec<_> = (0..12).map(|_| unfinished(&bridge, large)).collect();
    eventually("some are sent away", || bridge.counted("full") >= 2);
    for n in 0..10 {
        assert!(is_genuine_taken(&bridge, &format!("msg_{n}")));
    }
    let is_named = strangers.iter_mut().any(|socket| {
        let mut received = String::new();
        let _ = socket.read_to_string(&mut received);
        received.contains("HTTP/1.1 503 ")
            && received.contains("\"bound\":\"large_bodies\"")
            && received.contains("retry-after")
    });
    assert!(is_named, "no answer named the limit");
}

#[test]
fn a_flood_of_bodies_from_one_address_costs_that_address_and_no_slower_sender() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let whole = message("POST", &bridge.path(), &bridge.signed("msg_1", &body), body.as_bytes());
    let (begin, end) = whole.split_at(whole.len() - 10);
    let unfinished = message("POST", &bridge.path(), &[], &vec![b' '; 60_000]);
    for _ in 0..20 {
        let before = bridge.counted("full");
        let mut genuine = bridge.connect();
        genuine.write_all(begin).unwrap();
        let mut flood = Vec::new();
        while bridge.counted("full") < before + 4 {
            flood = (0..12).map(|_| connect_from(&bridge, 2)).collect();
            for socket in &mut flood {
                // It may have been rejected by then.
                let _ = socket.write_all(&unfinished[..unfinished.len() - 1]);
            }
        }
        let _ = genuine.write_all(end);
        match reply(&mut genuine).status {
            // The machine was too slow.
            408 => {}
            status => return assert_eq!(status, 200),
        }
        drop(flood);
    }
    panic!("the body never arrived in time");
}

#[test]
fn slashes_to_spare_and_capitals_are_accepted() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let headers = bridge.signed("msg_1", &body);
    let at = |path: &str| bridge.request("POST", path, &headers, body.as_bytes());
    assert_eq!(at(&format!("{}/", bridge.path())).word("status"), "accepted");
    assert_eq!(at(&bridge.path()).word("status"), "duplicate");
    for path in [format!("/{}//", bridge.path()), bridge.path().replace("/webhooks/", "/webhooks//")] {
        assert_eq!(at(&path).word("status"), "duplicate", "{path}");
    }
    let capitals = bridge.source.to_ascii_uppercase();
    assert_eq!(at(&format!("/webhooks/{capitals}")).word("status"), "duplicate");
    assert_eq!(at("/webhooks/").status, 404);
}

#[test]
fn a_peer_that_never_waits_for_answers_gets_a_few_and_is_closed() {
    let bridge = Bridge::start();
    // Of any length, so that reads may or may not end between two requests.
    for path in ["/nothing-here".to_owned(), format!("/{}", "a".repeat(475)), format!("/{}", "a".repeat(1011))] {
        let requests = message("GET", &path, &[], b"").repeat(1000);
        let mut socket = bridge.connect();
        // It may close before it has taken everything.
        let _ = socket.write_all(&requests);
        let received = until_closed(socket, b"");
        let (answers, closing) =
            (received.matches("HTTP/1.1 404 ").count(), received.matches("connection: close").count());
        assert!(closing == 1 && (8..100).contains(&answers), "{}: {answers} answers, {closing} closing", path.len());
        assert!(is_genuine_taken(&bridge, &format!("msg_{}", path.len())));
    }
}

#[test]
fn a_sender_that_waits_for_each_answer_keeps_its_connection() {
    let bridge = Bridge::start();
    let mut socket = bridge.connect();
    for n in 0..100 {
        // Some fit into the first read, with others a read ends where the body ends.
        let body = hire(&format!("E-{n}"), &format!("{}@example.com", "a".repeat(n * 40)));
        let id = format!("msg_{n}");
        socket.write_all(&message("POST", &bridge.path(), &bridge.signed(&id, &body), body.as_bytes())).unwrap();
        assert_eq!(reply(&mut socket).status, 200, "{n}");
    }
    // Longer than the time for a head that has begun.
    std::thread::sleep(Duration::from_secs(1));
    socket.write_all(&message("GET", "/livez", &[], b"")).unwrap();
    assert_eq!(reply(&mut socket).status, 200);
}
