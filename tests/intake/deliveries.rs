//! What is accepted, recognised as a duplicate, ignored, kept, or refused for now.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use scim_bridge::core::person::job::JobId;
use scim_bridge::core::person::{Entry, Word};
use scim_bridge::core::signature::Scheme;
use scim_bridge::store::Store;
use secrecy::SecretString;

use super::{Bridge, DEAD_LETTERS_MAX, HIGH_WATER_JOBS, hire, message, reply};

#[test]
fn a_200_means_a_durable_hire_and_names_its_job() {
    let bridge = Bridge::start();
    let reply = bridge.post("msg_1", &hire("E-1", "ada@example.com"));
    assert_eq!((reply.status, reply.word("status").as_str()), (200, "accepted"));
    let id = JobId::parse(&reply.jobs()[0]).unwrap();
    let row = bridge.runtime.block_on(bridge.store.person(id.person())).unwrap().unwrap();
    let entry = Entry::from_bytes(&row.inbox[0].bytes).unwrap();
    let Word::Event { job, event, .. } = entry.word else { panic!("{entry:?}") };
    assert_eq!((job, event.person.to_string()), (id, format!("{}/E-1", bridge.source)));
    assert_eq!((row.inbox_entries, entry.accepted_at), (1, super::NOW));
    assert_eq!(bridge.counted("accepted"), 1);
}

#[test]
fn a_redelivery_gets_the_first_ids_and_queues_nothing() {
    let bridge = Bridge::start();
    let first = bridge.post("msg_1", &hire("E-1", "ada@example.com"));
    bridge.clock.advance_ms(60_000);
    let again = bridge.post("msg_1", &hire("E-1", "ada@example.com"));
    assert_eq!((again.status, again.word("status").as_str()), (200, "duplicate"));
    assert_eq!(again.jobs(), first.jobs());
    assert_eq!((bridge.jobs("waiting"), bridge.counted("duplicate")), (1, 1));
}

#[test]
fn what_could_not_be_used_is_no_duplicate_once_it_is_corrected() {
    let bridge = Bridge::start();
    let good = hire("E-1", "ada@example.com");
    for (id, field, status) in [("msg_1", "employee_id", "unmapped"), ("msg_2", "email", "accepted")] {
        let misread = good.replace(&format!("\"{field}\""), "\"elsewhere\"");
        assert_eq!(bridge.post(id, &misread).word("status"), status);
        assert_eq!(bridge.post(id, &misread).word("status"), "duplicate");
        // The HR system's *send again*, after a field was named correctly there.
        assert_eq!(bridge.post(id, &good).word("status"), "accepted");
        assert_eq!(bridge.post(id, &good).word("status"), "duplicate");
    }
}

#[test]
fn a_repeated_id_with_another_body_is_a_duplicate() {
    let bridge = Bridge::start();
    let first = bridge.post("msg_1", &hire("E-1", "ada@example.com"));
    let again = bridge.post("msg_1", &hire("E-2", "eve@example.com"));
    assert_eq!((again.status, again.word("status").as_str()), (200, "duplicate"));
    assert_eq!((again.jobs(), bridge.counted("duplicate")), (first.jobs(), 1));
    bridge.undisturbed(1, 0);
}

#[test]
fn an_unknown_type_is_ignored_and_stores_nothing() {
    let bridge = Bridge::start();
    let reply = bridge.post("msg_1", r#"{"type":"payroll.run","data":{}}"#);
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"status":"ignored","jobs":[]}"#));
    assert_eq!(bridge.counted("ignored"), 1);
    bridge.undisturbed(0, 0);
}

#[test]
fn above_the_high_water_mark_the_sender_gets_503() {
    let bridge = Bridge::start();
    for n in 0..HIGH_WATER_JOBS {
        assert_eq!(bridge.post(&format!("msg_{n}"), &hire(&format!("E-{n}"), "ada@example.com")).status, 200);
    }
    let reply = bridge.post("msg_over", &hire("E-over", "ada@example.com"));
    assert_eq!((reply.status, reply.word("error").as_str()), (503, "full"));
    assert_eq!((reply.word("bound").as_str(), reply.header("retry-after")), ("entries", Some("10")));
    assert_eq!((bridge.counted("full"), bridge.jobs("waiting")), (1, HIGH_WATER_JOBS));
}

#[test]
fn at_the_bound_of_dead_letters_only_new_ones_are_put_off() {
    let bridge = Bridge::start();
    for n in 0..DEAD_LETTERS_MAX {
        assert_eq!(bridge.post(&format!("msg_{n}"), "no json").word("status"), "unmapped");
    }
    let reply = bridge.post("msg_over", "no json");
    assert_eq!((reply.status, reply.word("bound").as_str()), (503, "dead_letters"));
    assert_eq!(bridge.post("msg_good", &hire("E-1", "ada@example.com")).word("status"), "accepted");
}

#[test]
fn without_a_signed_id_only_the_newest_body_is_known_and_a_notice_never() {
    let by_body: Scheme = toml::from_str("auth = 'static_header'\nheader = 'x-token'").unwrap();
    let notices = toml::from_str("notice = ['employee.changed']").unwrap();
    let bridge = Bridge::mapped(by_body, "a-token", notices);
    let headers = vec![("x-token".to_owned(), "a-token".to_owned())];
    let post = |body: &str| bridge.request("POST", &bridge.path(), &headers, body.as_bytes()).word("status");
    let (one, other) = (hire("E-1", "ada@example.com"), hire("E-1", "ada.king@example.com"));
    assert_eq!([post(&one), post(&one), post(&other), post(&one)], ["accepted", "duplicate", "accepted", "accepted"]);
    let notice = r#"{"type":"employee.changed","data":{"employee_id":"E-1"}}"#;
    assert_eq!([post(notice), post(notice)], ["accepted", "accepted"]);
}

#[test]
fn a_trailing_slash_is_the_same_url() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let path = format!("{}/", bridge.path());
    let answer = bridge.request("POST", &path, &bridge.signed("msg_1", &body), body.as_bytes());
    assert_eq!((answer.status, answer.word("status").as_str()), (200, "accepted"));
}

#[test]
fn a_get_is_answered_with_its_own_parameter_if_the_scheme_says_so() {
    let scheme: Scheme = toml::from_str("header = 'x'\nhandshake = [{ get = { parameter = 'echo' } }]").unwrap();
    let bridge = Bridge::with(scheme, "0123456789abcdef");
    let get = |query: &str| bridge.request("GET", &format!("{}{query}", bridge.path()), &[], b"");
    let echo = get("?echo=5e2f-00a1");
    assert_eq!(
        (echo.status, echo.body.as_str(), echo.header("content-type")),
        (200, "5e2f-00a1", Some("text/plain; charset=utf-8"))
    );
    assert_eq!((get("").status, get("?other=1").status), (405, 405));
    assert_eq!(Bridge::start().request("GET", &format!("{}?echo=1", bridge.path()), &[], b"").status, 404);
}

#[test]
fn without_a_store_the_sender_gets_503() {
    let bridge = Bridge::start();
    bridge.runtime.block_on(bridge.store.close());
    let reply = bridge.post("msg_1", &hire("E-1", "ada@example.com"));
    assert_eq!((reply.status, reply.word("error").as_str()), (503, "unavailable"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(bridge.counted("unavailable"), 1);
}

#[test]
fn a_stopping_process_accepts_nothing_and_closes_the_connection() {
    let bridge = Bridge::start();
    bridge.lifecycle.stop();
    let reply = bridge.post("msg_1", &hire("E-1", "ada@example.com"));
    assert_eq!((reply.status, reply.word("error").as_str()), (503, "stopping"));
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!((bridge.counted("stopping"), bridge.jobs("waiting")), (1, 0));
}

#[test]
fn only_webhooks_and_livez_are_served() {
    let bridge = Bridge::start();
    assert_eq!(bridge.request("GET", "/livez", &[], b"").body, "ok\n");
    let reply = bridge.request("POST", "/livez", &[], b"");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
    for path in ["/", "/metrics", "/readyz", "/webhooks", "/webhooks/", "/webhooks/a/b", "/api/v1/status"] {
        let reply = bridge.request("GET", path, &[], b"");
        assert_eq!((reply.status, reply.word("error").as_str()), (404, "not_found"), "{path}");
    }
}

#[test]
fn a_sender_that_expects_100_continue_gets_it() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let mut headers = bridge.signed("msg_1", &body);
    headers.push(("expect".to_owned(), "100-continue".to_owned()));
    let whole = message("POST", &bridge.path(), &headers, body.as_bytes());
    let (head, rest) = whole.split_at(whole.len() - body.len());
    let mut socket = bridge.connect();
    socket.write_all(head).unwrap();
    let mut interim = [0; 25];
    std::io::Read::read_exact(&mut socket, &mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(rest).unwrap();
    assert_eq!(reply(&mut socket).status, 200);
}

#[test]
fn a_replaced_secret_counts_at_once_and_without_one_the_sender_gets_503() {
    let bridge = Bridge::start();
    bridge.secret.replace(SecretString::from("whsec_AAAA"));
    assert_eq!(bridge.post("msg_1", &hire("E-1", "ada@example.com")).status, 401);
    bridge.secret.replace(SecretString::from(""));
    let reply = bridge.post("msg_1", &hire("E-1", "ada@example.com"));
    assert_eq!((reply.status, bridge.refused("no_usable_secret")), (503, 1));
    bridge.secret.replace(SecretString::from(super::SECRET));
    bridge.undisturbed(0, 0);
}

#[test]
fn a_challenge_is_echoed_and_a_token_is_captured_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let scheme: Scheme = toml::from_str(&format!(
        "header = 'x-gusto-signature'\n\
         handshake = [{{ capture = {{ token = '/verification_token', file = '{}' }} }}, {{ echo = {{ challenge = '/challenge', signed = false }} }}]",
        file.display()
    ))
    .unwrap();
    let bridge = Bridge::with(scheme, "");
    let json = vec![("content-type".to_owned(), "application/json".to_owned())];
    let post = |body: &str| bridge.request("POST", &bridge.path(), &json, body.as_bytes());
    let echo = post(r#"{"challenge":"abc"}"#);
    assert_eq!((echo.status, echo.body.as_str()), (200, "abc"));
    assert_eq!(echo.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(post(r#"{"verification_token":"token-number-one"}"#).status, 200);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "token-number-one");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(post(r#"{"verification_token":"token-number-two"}"#).status, 401);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "token-number-one");
    assert_eq!((bridge.counted("handshake"), bridge.jobs("waiting")), (2, 0));
    assert!(bridge.folder.path().exists());
}
