//! What the intake shares about each source with all processes.

use scim_bridge::core::activity::{Counts, Happening};
use scim_bridge::core::deliveries::{self, Deliveries};
use scim_bridge::core::tally::{DOCUMENT, Ledger, SourceTally, TroubleKind};
use scim_bridge::store::Store;

use super::{Bridge, NOW, eventually, hire};

fn troubles(seen: &SourceTally) -> Vec<(TroubleKind, String, u64)> {
    seen.troubles(NOW).into_iter().map(|trouble| (trouble.kind, trouble.what, trouble.seen.count)).collect()
}

#[test]
fn unknown_types_and_unusable_fields_are_reported_by_name() {
    let bridge = Bridge::start();
    for n in 0..3 {
        let body = format!(r#"{{"type":"employee.created","data":{{"employee_id":"E-{n}"}}}}"#);
        assert_eq!(bridge.post(&format!("msg_{n}"), &body).word("status"), "ignored");
    }
    let body = hire("E-1", "ada@example.com").replace("2026-11-22T10:00:00Z", "yesterday");
    assert_eq!(bridge.post("msg_t", &body).word("status"), "accepted");
    let seen = bridge.seen(|seen| seen.accepted.count == 1);
    assert_eq!((seen.ignored.count, seen.unnamed_types["employee.created"].count), (3, 3));
    let expected = [
        (TroubleKind::UnnamedType, "employee.created".to_owned(), 3),
        (TroubleKind::Dropped, "occurred_at".to_owned(), 1),
    ];
    assert_eq!(troubles(&seen), expected);
}

#[test]
fn refusals_are_reported_by_reason_even_before_the_body() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    for _ in 0..2 {
        let mut headers = bridge.signed("msg_1", &body);
        headers.iter_mut().filter(|(name, _)| name == "webhook-id").for_each(|(_, value)| value.push('x'));
        assert_eq!(bridge.request("POST", &bridge.path(), &headers, body.as_bytes()).status, 401);
    }
    let mut headers = bridge.signed("msg_1", &body);
    headers
        .iter_mut()
        .filter(|(name, _)| name == "content-type")
        .for_each(|(_, value)| *value = "text/plain".to_owned());
    assert_eq!(bridge.request("POST", &bridge.path(), &headers, body.as_bytes()).status, 415);
    let headers = bridge.signed("msg_1", &body);
    assert_eq!(bridge.request("PUT", &bridge.path(), &headers, body.as_bytes()).status, 405);
    assert_eq!(bridge.request("GET", &bridge.path(), &[], b"").status, 405, "a browser's visit is not a delivery");
    let expected = ["content_type", "method", "mismatch"].map(|why| (TroubleKind::Refused, why.to_owned()));
    let expected = [1, 1, 2].into_iter().zip(expected).map(|(count, (kind, why))| (kind, why, count));
    assert_eq!(troubles(&bridge.seen(|seen| seen.refused.len() == 3)), expected.collect::<Vec<_>>());
}

#[test]
fn a_delivery_from_a_foreign_address_is_reported_and_a_browsers_visit_is_not() {
    let bridge = Bridge::open_to(&["192.0.2.0/24"]);
    let body = hire("E-1", "ada@example.com");
    for method in ["GET", "OPTIONS"] {
        assert_eq!(bridge.request(method, &bridge.path(), &[], b"").status, 401, "{method}");
    }
    assert_eq!(bridge.post("msg_1", &body).status, 401);
    let seen = bridge.seen(|seen| !seen.refused.is_empty());
    assert_eq!(troubles(&seen), [(TroubleKind::Refused, "address".to_owned(), 1)]);
}

#[test]
fn the_last_delivery_is_reported_even_if_the_process_stops() {
    let mut bridge = Bridge::start();
    // The periodic write has just happened, so the next one is a while away.
    eventually("it is written", || {
        let stored = bridge.runtime.block_on(bridge.store.shared(DOCUMENT)).unwrap();
        !Ledger::from_bytes(&stored.bytes).processes.is_empty()
    });
    assert_eq!(bridge.post("msg_1", &hire("E-1", "ada@example.com")).word("status"), "accepted");
    bridge.end();
    let stored = |name: &str| bridge.runtime.block_on(bridge.store.shared(name)).unwrap().bytes;
    let seen = Ledger::from_bytes(&stored(DOCUMENT)).by_source();
    assert_eq!(seen[&bridge.source].accepted.count, 1);
    let last: Deliveries = serde_json::from_slice(&stored(&deliveries::document(&bridge.source))).unwrap();
    assert_eq!(last.newest_first().len(), 1);
}

#[test]
fn an_unconfigured_source_is_reported_by_name() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let path = format!("{}-2", bridge.path());
    assert_eq!(bridge.request("POST", &path, &bridge.signed("msg_1", &body), body.as_bytes()).status, 404);
    let seen = bridge.seen_of(&format!("{}-2", bridge.source), |seen| !seen.refused.is_empty());
    assert_eq!(troubles(&seen), [(TroubleKind::Refused, "unknown_source".to_owned(), 1)]);
}

#[test]
fn deliveries_to_another_path_are_reported_if_they_are_signed_as_the_sources_are() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let signed = bridge.signed("msg_1", &body);
    for path in ["/".to_owned(), "/webhooks".to_owned(), bridge.path().replace("webhooks", "webhook")] {
        assert_eq!(bridge.request("POST", &path, &signed, body.as_bytes()).status, 404, "{path}");
        assert_eq!(bridge.request("POST", &path, &[], body.as_bytes()).status, 404, "{path}");
        assert_eq!(bridge.request("GET", &path, &signed, b"").status, 404, "{path}");
    }
    let seen = bridge.seen(|seen| seen.refused.get("path").is_some_and(|seen| seen.count >= 3));
    assert_eq!(troubles(&seen), [(TroubleKind::Refused, "path".to_owned(), 3)]);
}

#[test]
fn times_far_ahead_are_reported_until_one_is_plausible() {
    let bridge = Bridge::start();
    let ahead = hire("E-1", "ada@example.com");
    assert_eq!(bridge.post("msg_1", &ahead).word("status"), "accepted");
    let seen = bridge.seen(|seen| seen.ahead.count == 1);
    assert_eq!(troubles(&seen), [(TroubleKind::Ahead, String::new(), 1)]);
    assert_eq!(seen.in_time_at, scim_bridge::core::time::UnixMs(0));
    bridge.post("msg_2", &ahead.replace("2026-11-22", "2026-11-17"));
    assert_eq!(bridge.seen(|seen| seen.accepted.count == 2).in_time_at, NOW);
}

#[test]
fn other_content_under_a_known_id_is_a_reported_duplicate_and_a_numbered_retry_is_not() {
    let bridge = Bridge::start();
    let in_time = |body: String| body.replace("2026-11-22", "2026-11-17");
    let body = in_time(hire("E-1", "ada@example.com"));
    bridge.post("msg_1", &body);
    let retried = body.replacen('{', "{\"attempt\":2,", 1);
    assert_eq!(bridge.post("msg_1", &retried).word("status"), "duplicate");
    assert_eq!(bridge.seen(|seen| seen.duplicates.count == 1).conflicts.count, 0);
    assert_eq!(bridge.post("msg_1", &in_time(hire("E-2", "bob@example.com"))).word("status"), "duplicate");
    let seen = bridge.seen(|seen| seen.duplicates.count == 2);
    assert_eq!(troubles(&seen), [(TroubleKind::Conflict, String::new(), 1)]);
}

#[test]
fn an_orderly_stop_saves_the_tallies() {
    let mut bridge = Bridge::start();
    bridge.post("msg_1", r#"{"type":"payroll.run"}"#);
    bridge.stop.cancel();
    bridge.thread.take().unwrap().join().unwrap();
    assert_eq!(bridge.seen(|seen| seen.ignored.count == 1).unnamed_types.len(), 1);
}

#[test]
fn every_delivery_is_counted_once_in_the_activity() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    bridge.post("msg_1", &body);
    bridge.post("msg_1", &body);
    bridge.post("msg_2", r#"{"type":"payroll.run"}"#);
    assert_eq!(bridge.request("POST", &bridge.path(), &[], b"{}").status, 401);
    let mut counts = Counts::new();
    let expected = [Happening::Accepted, Happening::Duplicate, Happening::Ignored, Happening::Refused];
    eventually("all are counted", || {
        for (what, n) in bridge.activity.take().counts {
            *counts.entry(what).or_default() += n;
        }
        counts.len() == expected.len()
    });
    assert_eq!(counts, Counts::from(expected.map(|what| (what, 1))));
}
