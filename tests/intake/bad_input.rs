//! Every kind of bad input: the status, the error word, the metric, and that nothing else is affected.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use scim_bridge::core::person::job::JobId;
use scim_bridge::core::signature::{ToSign, sign};
use scim_bridge::store::Store;
use secrecy::SecretString;

use super::{BODY_BYTES_MAX, Bridge, Headers, eventually, hire, message, reply};

fn without(headers: Headers, name: &str) -> Headers {
    headers.into_iter().filter(|(other, _)| other != name).collect()
}

fn with(headers: Headers, name: &str, value: &str) -> Headers {
    let mut headers = without(headers, name);
    headers.push((name.to_owned(), value.to_owned()));
    headers
}

#[test]
fn a_body_over_the_cap_is_refused_at_once_whether_its_length_is_declared_or_not() {
    let bridge = Bridge::start();
    let mut socket = bridge.connect();
    let head = format!("POST {} HTTP/1.1\r\nhost: b\r\ncontent-length: {}\r\n\r\n", bridge.path(), BODY_BYTES_MAX + 1);
    socket.write_all(head.as_bytes()).unwrap();
    let declared = reply(&mut socket);
    assert_eq!((declared.status, declared.word("error").as_str()), (413, "too_large"));
    assert_eq!(declared.header("connection"), Some("close"));

    let mut socket = bridge.connect();
    let head = format!("POST {} HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n", bridge.path());
    socket.write_all(head.as_bytes()).unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    for _ in 0..=(BODY_BYTES_MAX / 0x1000) {
        socket.write_all(chunk.as_bytes()).unwrap();
    }
    assert_eq!(reply(&mut socket).status, 413);
    assert_eq!(bridge.counted("too_large"), 2);
    bridge.undisturbed(0, 0);
}

#[test]
fn a_genuine_unmapped_record_is_kept_with_the_reason() {
    let bridge = Bridge::start();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let rows = [
        ("MAP-NOT-JSON", "not json at all".to_owned()),
        ("MAP-NOT-JSON", String::new()),
        ("MAP-SHAPE", deep),
        ("MAP-SHAPE", "42".to_owned()),
        ("MAP-FIELD", r#"{"type":"employee.hired","data":{"email":"ada@example.com"}}"#.to_owned()),
    ];
    for (n, (code, body)) in rows.iter().enumerate() {
        let answer = bridge.post(&format!("msg_{n}"), body);
        assert_eq!((answer.status, answer.word("status").as_str()), (200, "unmapped"), "{code} {n}");
        assert_eq!(answer.jobs().len(), 1);
        let id = JobId::parse(&answer.jobs()[0]).unwrap();
        let (dead, payload) = bridge.runtime.block_on(bridge.store.dead_letter(id)).unwrap().unwrap();
        assert_eq!((dead.code.as_str(), dead.unmapped, payload.as_deref()), (*code, true, Some(body.as_bytes())));
        assert!(!dead.detail.contains("example") && !dead.detail.is_empty());
        assert_eq!(bridge.counted("unmapped"), n as u64 + 1);
    }
    bridge.undisturbed(0, rows.len() as u64);
}

#[test]
fn unusable_fields_of_a_record_are_kept_beside_the_usable_ones() {
    let bridge = Bridge::start();
    for (n, first) in ["x".repeat(10_000), "A\u{0}da\n".to_owned()].iter().enumerate() {
        let body = serde_json::json!({"type": "employee.hired", "data": {
            "employee_id": format!("E-{n}"), "email": "ada@example.com", "first_name": first, "last_name": "Lovelace" }});
        let answer = bridge.post(&format!("msg_{n}"), &body.to_string());
        assert_eq!((answer.word("status").as_str(), answer.jobs().len()), ("accepted", 2));
    }
    let answer = bridge.post("msg_2", &hire("E-2", "ada@"));
    assert_eq!((answer.word("status").as_str(), answer.jobs().len()), ("accepted", 2));
    bridge.undisturbed(3, 3);
}

#[test]
fn an_unknown_charset_is_refused_and_a_known_one_is_read() {
    let bridge = Bridge::start();
    let body = b"{\"type\":\"employee.hired\",\"data\":{\"employee_id\":\"E-1\",\"first_name\":\"Jos\xe9\"}}";
    let text: String = body.iter().map(|byte| char::from(*byte)).collect();
    let what = ToSign { method: "POST", url: "", body, id: "msg_1", at: bridge.clock.now() };
    let signed = sign(&bridge.scheme, &SecretString::from(super::SECRET), &what).unwrap();
    let post = |kind: &str| bridge.request("POST", &bridge.path(), &with(signed.clone(), "content-type", kind), body);
    let refused = post("application/json; charset=klingon");
    assert_eq!((refused.status, refused.word("error").as_str()), (415, "unsupported_charset"), "{text}");
    assert_eq!(post("application/json; charset=ISO-8859-1").word("status"), "accepted");
    bridge.undisturbed(1, 0);
}

#[test]
fn an_id_with_slashes_and_quotes_is_an_id_like_any_other() {
    let bridge = Bridge::start();
    let answer = bridge.post("a/b\"c'd", &hire("x/y\"z'w", "ada@example.com"));
    assert_eq!((answer.status, answer.word("status").as_str()), (200, "accepted"));
    assert_eq!(bridge.post("a/b\"c'd", &hire("x/y\"z'w", "ada@example.com")).word("status"), "duplicate");
    bridge.undisturbed(1, 0);
}

#[test]
fn a_missing_repeated_malformed_or_stale_signature_is_401_without_details() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let good = || bridge.signed("msg_1", &body);
    let mut twice = good();
    twice.extend(good().into_iter().filter(|(name, _)| name == "webhook-signature"));
    bridge.clock.advance_ms(600_000);
    let from_the_future = good();
    bridge.clock.advance_ms(600_000);
    let present = good();
    let rows = [
        ("missing_header", without(present.clone(), "webhook-signature")),
        ("missing_header", without(present.clone(), "webhook-timestamp")),
        ("missing_header", without(present.clone(), "webhook-id")),
        ("malformed_signature", with(present.clone(), "webhook-signature", "v1,not base64!!")),
        ("mismatch", with(present.clone(), "webhook-id", "msg_2")),
        ("mismatch", with(present.clone(), "webhook-timestamp", "1795000001")),
        ("repeated_header", twice),
        ("too_old", from_the_future),
    ];
    let mut bodies = Vec::new();
    for (n, (reason, headers)) in rows.iter().enumerate() {
        let before = bridge.refused(reason);
        let answer = bridge.request("POST", &bridge.path(), headers, body.as_bytes());
        assert_eq!((answer.status, answer.word("error").as_str()), (401, "unauthorised"), "{reason}");
        assert_eq!((bridge.refused(reason), bridge.counted("forged")), (before + 1, n as u64 + 1), "{reason}");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one opaque body whatever the reason");
    bridge.undisturbed(0, 0);
}

#[test]
fn a_sender_whose_clock_is_ahead_is_refused_as_too_new() {
    let (bridge, ahead) = (Bridge::start(), Bridge::start());
    ahead.clock.advance_ms(301_000);
    let body = hire("E-1", "ada@example.com");
    let headers = ahead.signed("msg_1", &body);
    assert_eq!(bridge.request("POST", &bridge.path(), &headers, body.as_bytes()).status, 401);
    assert_eq!(bridge.refused("too_new"), 1);
    bridge.undisturbed(0, 0);
}

#[test]
fn an_unknown_source_a_wrong_method_and_a_wrong_type_differ() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let good = bridge.signed("msg_1", &body);
    let post = |headers: &[(String, String)]| bridge.request("POST", &bridge.path(), headers, body.as_bytes());

    let unknown = [("source", "_unknown"), ("result", "unknown_source")];
    let before = bridge.count_of("scim_bridge_deliveries_total", &unknown);
    let answer = bridge.request("POST", "/webhooks/no-such-source", &good, body.as_bytes());
    assert_eq!((answer.status, answer.word("error").as_str()), (404, "unknown_source"));
    assert!(bridge.count_of("scim_bridge_deliveries_total", &unknown) > before);
    assert!(!bridge.metrics.render().contains("no-such-source"));

    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = bridge.request(method, &bridge.path(), &good, body.as_bytes());
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "nonsense"] {
        let answer = post(&with(good.clone(), "content-type", kind));
        assert_eq!((answer.status, answer.word("error").as_str()), (415, "unsupported_content_type"), "{kind}");
    }
    let answer = post(&with(good.clone(), "content-encoding", "gzip"));
    assert_eq!((answer.status, answer.word("error").as_str()), (415, "unsupported_content_encoding"));
    assert_eq!(bridge.counted("bad_request"), 9);
    assert_eq!(post(&without(good, "content-type")).status, 200);
    bridge.undisturbed(1, 0);
}

#[test]
fn a_dripping_sender_is_cut_off_in_time_and_delays_nobody() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let whole = message("POST", &bridge.path(), &bridge.signed("msg_1", &body), body.as_bytes());
    let (start, rest) = whole.split_at(whole.len() - body.len());
    let mut slow = bridge.connect();
    slow.write_all(start).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let since = Instant::now();
    let mut answer = Vec::new();
    let mut unsent = rest.iter();
    // Until the peer closes: one byte every 20 ms at most.
    loop {
        if let Some(byte) = unsent.next()
            && slow.write_all(&[*byte]).is_err()
        {
            break;
        }
        let mut buffer = [0; 1024];
        match slow.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        assert!(since.elapsed() < Duration::from_secs(8), "not cut off");
        assert_eq!(bridge.request("GET", "/livez", &[], b"").status, 200);
    }
    let heard = String::from_utf8(answer).unwrap();
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
    assert!(heard.contains("connection: close"), "{heard}");
    assert_eq!(bridge.counted("timed_out"), 1);
    bridge.undisturbed(0, 0);
}

#[test]
fn strangers_bodies_stay_within_their_share_of_memory() {
    // The tests' memory budget is four bodies of the largest size.
    let bridge = Bridge::start();
    let part = vec![b' '; BODY_BYTES_MAX - 10];
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {BODY_BYTES_MAX}\r\n\r\n",
        bridge.path()
    );
    let mut strangers: Vec<_> = (0..5).map(|_| bridge.connect()).collect();
    for stranger in &mut strangers {
        stranger.write_all(head.as_bytes()).unwrap();
        stranger.write_all(&part).unwrap();
    }
    eventually("one of them is sent away", || bridge.counted("full") >= 1);
    eventually("the others are cut off in time", || bridge.counted("timed_out") + bridge.counted("full") == 5);
    assert_eq!(bridge.post("msg_1", &hire("E-1", "ada@example.com")).status, 200, "the memory is released");
}
