use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::core::code::Code;
use crate::core::delivery::{Delivery, Verified};
use crate::core::json::Charset;
use crate::core::person::EmploymentState::{Employed, Left};
use crate::core::person::{Event, Problem, SourceName, Stated};
use crate::core::time::UnixMs;

fn source() -> SourceName {
    SourceName::parse("hr").unwrap()
}

pub(super) fn mapping(toml: &str) -> Mapping {
    toml::from_str(toml).unwrap()
}

fn map_with(mapping: &Mapping, content_type: &str, body: &[u8]) -> Vec<Record> {
    let body = Bytes::copy_from_slice(body);
    let headers = vec![("content-type".to_owned(), content_type.as_bytes().to_vec())];
    let delivery = Delivery { method: "POST".into(), url: "/webhooks/hr".into(), headers, body };
    map(mapping, &source(), &Verified::attest(delivery))
}

pub(super) fn map_bytes(mapping: &Mapping, body: &[u8]) -> Vec<Record> {
    map_with(mapping, "application/json", body)
}

pub(super) fn map_json(mapping: &Mapping, body: &serde_json::Value) -> Vec<Record> {
    map_bytes(mapping, body.to_string().as_bytes())
}

pub(super) fn only_event(records: &[Record]) -> &Event {
    match records {
        [Record::Event { event, .. }] => event,
        other => panic!("{other:?}"),
    }
}

fn only_trouble(records: &[Record]) -> (Code, &str, &[u8]) {
    match records {
        [Record::Unmapped { code, detail, payload, .. }] => (*code, detail, payload),
        other => panic!("{other:?}"),
    }
}

fn why(records: &[Record]) -> (IgnoredWhy, Option<&str>) {
    match records {
        [Record::Ignored(ignored)] => (ignored.why, ignored.type_value.as_deref()),
        other => panic!("{other:?}"),
    }
}

fn names(event: &Event) -> (Option<&'static str>, Option<&'static str>) {
    let text = |name: &'_ Option<Stated<crate::core::person::Name>>| {
        name.as_ref().map(|name| name.value().map_or("", |name| name.as_str()).to_owned())
    };
    let leak = |text: Option<String>| text.map(|text| -> &'static str { text.leak() });
    (leak(text(&event.facts.given_name)), leak(text(&event.facts.family_name)))
}

#[expect(clippy::needless_pass_by_value, reason = "`json!` as it is")]
fn record(kind: &str, data: serde_json::Value) -> serde_json::Value {
    json!({"type": kind, "data": data})
}

#[test]
fn whom_a_condition_that_cannot_be_judged_might_keep_out_is_not_let_in() {
    let data = json!({"employee_id": "E-1", "email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace", "tags": 5});
    let body = record("employee.hired", data);
    for conditions in
        ["only_if = [{ jq = '.tags[]' }]", "except_if = [{ jq = '.tags[]' }]", "in_scope_if = [{ jq = '.tags[]' }]"]
    {
        let found = map_json(&mapping(conditions), &body);
        assert_eq!(only_trouble(&found).0, Code::MapField, "{conditions}");
    }
    let found = map_json(&mapping("email = { path = '/data/email', except_if = [{ jq = '.tags[]' }] }"), &body);
    let [Record::Event { event, .. }, Record::Unmapped { code: Code::MapField, .. }] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(event.facts.unusable_email && event.facts.email.is_none());
    only_event(&map_json(&mapping("except_if = [{ jq = '.tags > 9' }]"), &body));
}

#[test]
fn the_default_payload_needs_no_key_at_all() {
    let body = json!({"type": "employee.hired", "timestamp": "2026-11-22T10:00:00Z", "data":
        {"employee_id": "E-1001", "email": "Ada@example.com", "first_name": "Ada", "last_name": "Lovelace"}});
    let records = map_json(&mapping(""), &body);
    let event = only_event(&records);
    assert_eq!((event.person.to_string().as_str(), event.kind), ("hr/E-1001", EventKind::Hire));
    assert_eq!(event.at, UnixMs::parse_rfc3339("2026-11-22T10:00:00Z"));
    assert_eq!(event.facts.email.as_ref().unwrap().lower(), "ada@example.com");
    assert_eq!((names(event), event.facts.employment), ((Some("Ada"), Some("Lovelace")), Some((Employed, None))));

    for kind in ["employee.renamed", "employee.updated"] {
        let records = map_json(&mapping(""), &record(kind, json!({"employee_id": 7, "last_name": "King"})));
        let event = only_event(&records);
        assert_eq!((event.person.to_string().as_str(), event.kind), ("hr/7", EventKind::Update));
        assert_eq!(event.facts.names(), ["family_name"]);
    }
    let records =
        map_json(&mapping(""), &record("employee.left", json!({"employee_id": "1", "effective_at": "2026-12-31"})));
    let ends = UnixMs::parse_rfc3339("2027-01-01T00:00:00Z");
    assert_eq!(only_event(&records).facts.employment, Some((Left, ends)));
    let records = map_json(&mapping(""), &record("employee.left", json!({"employee_id": "1"})));
    assert_eq!(only_event(&records).facts.employment, Some((Left, None)));
}

#[test]
fn a_hire_without_an_address_or_names_is_an_event() {
    let records = map_json(&mapping(""), &record("employee.hired", json!({"employee_id": "1", "email": null})));
    assert_eq!(only_event(&records).facts.names(), ["employed"]);
}

#[test]
fn empty_says_no_such_name_and_absent_or_null_says_nothing() {
    let update = |toml: &str, data: serde_json::Value| {
        let mut data = data;
        data["employee_id"] = json!("1");
        names(only_event(&map_json(&mapping(toml), &record("employee.updated", data))))
    };
    assert_eq!(update("", json!({"first_name": "", "last_name": "K"})), (Some(""), Some("K")));
    assert_eq!(update("", json!({"first_name": "\u{200b}", "last_name": "K"})), (Some(""), Some("K")));
    assert_eq!(update("", json!({"first_name": null, "last_name": "K"})), (None, Some("K")));
    assert_eq!(update("null_clears = true", json!({"first_name": null, "last_name": "K"})), (Some(""), Some("K")));
    assert_eq!(update("", json!({"first_name": "", "given_name": "A"})), (Some("A"), None));
}

#[test]
fn what_is_not_needed_never_kills_a_record() {
    let body = json!({"type": "employee.hired", "timestamp": "yesterday-ish", "data":
        {"employee_id": "1", "email": "a@b.co", "first_name": "A", "locale": {"code": "en-US"}}});
    let records = map_json(&mapping(""), &body);
    let [Record::Event { event, dropped }] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((event.at, event.facts.names()), (None, vec!["employed", "email", "given_name"]));
    assert_eq!(dropped.iter().map(|problem| problem.field).collect::<Vec<_>>(), ["occurred_at", "locale"]);
}

#[test]
fn a_time_of_no_clock_is_not_told_and_a_date_that_stands_for_none_is_none() {
    for never in
        [json!("0001-01-01T00:00:00Z"), json!("1970-01-01T00:00:00Z"), json!(0), json!("1989-12-31"), json!(-5)]
    {
        let mut body = record("employee.left", json!({"employee_id": "1", "effective_at": "0001-01-01T00:00:00"}));
        body["timestamp"] = never.clone();
        let records = map_json(&mapping(""), &body);
        let [Record::Event { event, dropped }] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((event.at, event.facts.employment), (None, Some((Left, None))), "{never}");
        assert_eq!(dropped.as_slice(), [Problem::LongPast.of("occurred_at")], "{never}");
    }
    let dated = mapping(
        "status = '/data/status'\nactive_values = ['active']\nends_at = '/data/end'\npast_end = 'left'\ninvite = 'at_start'",
    );
    let of = |kind: &str, data: serde_json::Value| {
        let records = map_json(&dated, &record(kind, data));
        only_event(&records).facts.employment
    };
    let at = |text: &str| UnixMs::parse_rfc3339(text);
    for none in [json!("0001-01-01"), json!("1900-01-01T00:00:00Z"), json!("1970-01-01T00:00:00Z"), json!(0)] {
        let ends = json!({"employee_id": 1, "status": "active", "end": none});
        assert_eq!(of("employee.updated", ends), Some((Employed, None)), "{none}");
        let starts = json!({"employee_id": 1, "starts_at": none});
        assert_eq!(of("employee.hired", starts), Some((Employed, None)), "{none}");
        let renamed = json!({"employee_id": 1, "last_name": "King", "end": none});
        assert_eq!(of("employee.updated", renamed), None, "{none}");
    }
    // Somebody was hired in 1985, and somebody left then.
    let starts = json!({"employee_id": 1, "starts_at": "1985-04-01"});
    assert_eq!(of("employee.hired", starts), Some((Employed, at("1985-04-01T00:00:00Z"))));
    let left = json!({"employee_id": 1, "effective_at": "1985-03-31"});
    assert_eq!(of("employee.left", left), Some((Left, at("1985-04-01T00:00:00Z"))));
}

#[test]
fn a_leave_whose_date_cannot_be_read_is_kept_whole_and_counts_once_it_can() {
    let leave = |date: serde_json::Value| {
        let mut body = record("employee.left", json!({"employee_id": "E-1", "effective_at": date, "last_name": "K"}));
        body["timestamp"] = json!("2026-11-22T10:00:00Z");
        body
    };
    for date in [json!("31/12/2026"), json!("2026-13-01"), json!({"date": "2026-12-31"}), json!(true)] {
        let records = map_json(&mapping(""), &leave(date.clone()));
        let (code, detail, _) = only_trouble(&records);
        assert!(code == Code::MapField && detail.starts_with("effective_at: "), "{date} {detail}");
        assert!(!detail.contains("in effect"), "{date} {detail}");
    }
    let records = map_json(&mapping(""), &leave(json!("31/12/2026")));
    let right = mapping("effective_at = [{ path = '/data/effective_at', format = '%d/%m/%Y' }]");
    let again = remap(&right, &source(), &Bytes::copy_from_slice(only_trouble(&records).2));
    let ends = UnixMs::parse_rfc3339("2027-01-01T00:00:00Z");
    assert_eq!(only_event(&again).facts.employment, Some((Left, ends)));
    // Nor is anybody out of scope before they are.
    let scoped = mapping("in_scope_if = [{ path = '/data/department', equals = 'Sales' }]\nout_of_scope = 'leave'");
    let moved = json!({"employee_id": "E-1", "department": "IT", "effective_at": "31/12/2026"});
    assert_eq!(only_trouble(&map_json(&scoped, &record("employee.updated", moved))).0, Code::MapField);
    // A status beside other facts: only the leave waits.
    let status = mapping("status = '/data/status'\nleft_values = ['ended']\nends_at = '/data/end'");
    let ended = json!({"employee_id": "E-1", "status": "ended", "end": "31/12/2026", "last_name": "King"});
    let records = map_json(&status, &record("employee.updated", ended));
    assert_eq!(only_event(&records[..1]).facts.names(), ["family_name"]);
    assert!(matches!(&records[1..], [Record::Unmapped { code: Code::MapField, .. }]), "{records:?}");
}

#[test]
fn an_end_that_never_comes_is_no_end_and_a_leave_then_waits() {
    let open = mapping("status = '/data/status'\nactive_values = ['active']\nends_at = '/data/end'");
    for never in ["9999-12-31", "9999-12-31T00:00:00Z", "9999-12-30"] {
        let data = json!({"employee_id": 1, "status": "active", "end": never});
        let records = map_json(&open, &record("employee.hired", data));
        assert_eq!(only_event(&records).facts.employment, Some((Employed, None)), "{never}");
        let left = map_json(&open, &record("employee.left", json!({"employee_id": 1, "end": never})));
        assert_eq!(only_event(&left).facts.employment, Some((Left, None)), "{never}: it says that they left");
        // It may put off an end that was announced.
        let told = map_json(&open, &record("employee.updated", json!({"employee_id": 1, "end": never})));
        let waits = map_json(&open, &record("employee.left", json!({"employee_id": 1, "effective_at": never})));
        for records in [told, waits] {
            let Some((Left, Some(from))) = only_event(&records).facts.employment else { panic!("{records:?}") };
            assert!(from.to_string().starts_with("9999-12-3"), "{never}: {from}");
        }
    }
}

#[test]
fn nobody_is_hired_under_a_bad_address_and_a_change_goes_on_without_it() {
    let records = map_json(
        &mapping(""),
        &record("employee.hired", json!({"employee_id": "1", "email": "eve\u{200b}line@x.com"})),
    );
    let [Record::Event { event, .. }, Record::Unmapped { code, detail, .. }] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!(event.facts.names(), ["employed", "unusable_email"]);
    assert!(
        *code == Code::MapField && detail.starts_with("email: contains an invisible character (looked at "),
        "{detail}"
    );

    let data = json!({"employee_id": "1", "email": "none", "last_name": "King"});
    let records = map_json(&mapping(""), &record("employee.updated", data.clone()));
    let [Record::Event { event, .. }, Record::Unmapped { person, detail, payload, .. }] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!(event.facts.names(), ["family_name"]);
    assert_eq!(person.as_ref(), Some(&event.person));
    assert!(detail.ends_with("the rest of it is in effect"), "{detail}");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(payload).unwrap()["data"], data);
    let alone = map_json(&mapping(""), &record("employee.updated", json!({"employee_id": "1", "email": "none"})));
    assert_eq!(only_trouble(&alone).0, Code::MapField);
}

#[test]
fn a_change_that_says_nothing_that_is_followed_is_ignored() {
    let records = map_json(&mapping(""), &record("employee.updated", json!({"employee_id": "1", "job_title": "Lead"})));
    assert_eq!(why(&records), (IgnoredWhy::StatesNothing, Some("employee.updated")));
}

#[test]
fn a_type_that_nothing_names_is_told_apart_from_one_that_is_ignored() {
    let of = |kind: &str| map_json(&mapping("ignore = ['payroll.run']"), &record(kind, json!({})));
    assert_eq!(why(&of("payroll.run")), (IgnoredWhy::Listed, Some("payroll.run")));
    assert_eq!(why(&of("employee.created")), (IgnoredWhy::NotNamed, Some("employee.created")));
    let odd = of(&format!("a\u{0}\n{}", "x".repeat(500)));
    assert_eq!(why(&odd).1.unwrap().len(), 80);
    assert_eq!(
        only_trouble(&map_json(&mapping(""), &json!({"data": {"employee_id": "1"}}))).1.split(" (").next(),
        Some("type: missing or blank")
    );
}

#[test]
fn what_somebody_told_of_types_takes_the_place_of_the_defaults() {
    let hired = mapping("hire = ['employee.updated']");
    assert_eq!(
        (hired.meaning("employee.updated"), hired.meaning("employee.renamed")),
        (Some(Meaning::Hire), Some(Meaning::Update))
    );
    let renamed = mapping("rename = ['x']");
    assert_eq!((renamed.meaning("x"), renamed.meaning("employee.updated")), (Some(Meaning::Update), None));
    let both = mapping("rename = ['x']\nupdate = ['y']\nnotice = ['z']");
    assert_eq!(
        (both.meaning("x"), both.meaning("y"), both.meaning("z")),
        (Some(Meaning::Update), Some(Meaning::Update), Some(Meaning::Notice))
    );
}

#[test]
fn ids_as_numbers_keep_their_digits_and_fractions_are_refused() {
    let id = |raw: &str| {
        let body = format!(r#"{{"type":"employee.left","data":{{"employee_id":{raw}}}}}"#);
        match map_bytes(&mapping(""), body.as_bytes()).remove(0) {
            Record::Event { event, .. } => event.person.employee_id,
            Record::Unmapped { detail, payload, .. } => {
                assert_eq!(payload, body.as_bytes(), "numbers are kept");
                detail.split(" (").next().unwrap().to_owned()
            }
            Record::Ignored(_) => "ignored".to_owned(),
        }
    };
    assert_eq!(
        (id("1001"), id("\"1001\""), id("18446744073709551615")),
        ("1001".into(), "1001".into(), u64::MAX.to_string())
    );
    for refused in ["1001.0", "1e3", "18446744073709551616", "123456789012345678901234567890"] {
        assert_eq!(
            id(refused),
            "employee_id: expected text or a whole number, found a fraction or a number beyond 64 bits"
        );
    }
}

#[test]
fn a_batch_keeps_its_order_and_one_bad_record_does_not_lose_the_others() {
    let mapping = mapping("records = \"/employees\"\nhire = [\"created\"]\nrename = [\"updated\"]\ntype = \"/action\"");
    let body = r#"{"account":"A","employees": [
        {"action":"created","employee_id":"1","email":"a@b.co","first_name":"A"},
        {"action":"created","employee_id":"2","email":"b@","n":12345678901234567890.10},
        {"action":"terminated"}, "text",
        {"action":"updated","employee_id":"1","last_name":"C"}] ,"z":1.0}"#;
    let records = map_bytes(&mapping, body.as_bytes());
    assert_eq!(records.len(), 6);
    assert!(matches!(&records[0], Record::Event { event, .. } if event.person.employee_id == "1"));
    assert!(matches!(&records[1], Record::Event { event, .. } if event.person.employee_id == "2"));
    let Record::Unmapped { person, code, detail, payload, .. } = &records[2] else { panic!("{records:?}") };
    assert_eq!((person.as_ref().unwrap().employee_id.as_str(), *code), ("2", Code::MapField));
    assert!(detail.starts_with("record 2 of 5: email: not an e-mail address"), "{detail}");
    let kept = r#"{"account":"A","employees": [{"action":"created","employee_id":"2","email":"b@","n":12345678901234567890.10}] ,"z":1.0}"#;
    assert_eq!(payload, kept.as_bytes());
    assert_eq!(why(&records[3..4]), (IgnoredWhy::NotNamed, Some("terminated")));
    assert!(matches!(&records[4], Record::Unmapped { code: Code::MapShape, .. }));
    assert!(matches!(&records[5], Record::Event { event, .. } if event.person.employee_id == "1"));
}

#[test]
fn a_bad_escape_kills_neither_its_batch_nor_its_record() {
    let body = br#"[{"type":"employee.hired","data":{"employee_id":"1","email":"a@b.co","first_name":"A"}},
        {"type":"employee.hired","data":{"employee_id":"2","email":"b@b.co","first_name":"Bob \ud83d"}},
        {"type":"employee.hired","data":{"employee_id":"3","email":"bad@","first_name":"C"}}]"#;
    let records = map_bytes(&mapping(""), body);
    let [Record::Event { .. }, Record::Event { event, .. }, Record::Event { .. }, Record::Unmapped { payload, .. }] =
        records.as_slice()
    else {
        panic!("{records:?}")
    };
    assert_eq!(names(event).0, Some("Bob \u{fffd}"));
    assert_eq!(remap(&mapping("email = '/other'"), &source(), payload).len(), 1);
}

#[test]
fn a_kept_record_of_a_batch_maps_again_with_a_corrected_mapping() {
    let wrong = mapping("records = \"/people\"\nemail = \"/mail\"\nemployee_id = '/id'");
    let right = mapping("records = \"/people\"\nemail = [\"/mail\", \"/work_mail\"]\nemployee_id = ['/id', '/no']");
    let body = json!({"type": "employee.hired", "timestamp": 1_700_000_000, "people": [
        {"id": "1", "mail": "a@b.co", "first_name": "A"},
        {"no": "2", "work_mail": "b@b.co", "first_name": "B"},
    ]});
    let records = map_json(&wrong, &body);
    let Record::Unmapped { payload, .. } = &records[1] else { panic!("{records:?}") };
    let again = remap(&right, &source(), payload);
    let event = only_event(&again);
    assert_eq!((event.person.employee_id.as_str(), event.at), ("2", Some(UnixMs(1_700_000_000_000))));
}

#[test]
fn what_is_kept_of_a_batch_stays_in_proportion_to_its_body_and_loses_nothing() {
    let people: Vec<_> = (0..3000).map(|n| json!({"person": n})).collect();
    let body = json!({"type": "employee.hired", "padding": "x".repeat(100_000), "data": people}).to_string();
    let records = map_bytes(&mapping("records = \"/data\""), body.as_bytes());
    let kept: usize =
        records.iter().map(|r| if let Record::Unmapped { payload, .. } = r { payload.len() } else { 0 }).sum();
    assert!(kept < 6 * body.len().max(1 << 20), "{kept}");
    let right = mapping("records = \"/data\"\nemployee_id = \"/person\"");
    let again = records.iter().map(|r| match r {
        Record::Unmapped { payload, .. } => remap(&right, &source(), payload).len(),
        Record::Event { .. } | Record::Ignored(_) => 0,
    });
    assert_eq!(again.sum::<usize>(), 3000);
}

#[test]
fn what_is_not_json_is_told_apart_from_what_has_another_shape() {
    let plain = mapping("records = \"/data\"");
    let deep = "[".repeat(100_000);
    for body in ["", "  ", "{", "a=b&c=d", "{}{}", &deep, "\u{feff}\u{feff}{}"] {
        assert_eq!(only_trouble(&map_bytes(&plain, body.as_bytes())).0, Code::MapNotJson, "{body:.20}");
    }
    let latin = b"{\"data\":\"Jos\xe9\"}";
    let records = map_bytes(&plain, latin);
    assert_eq!((only_trouble(&records).0, only_trouble(&records).2), (Code::MapNotJson, &latin[..]));
    for body in ["{}", "[]", "1", "null", "{\"data\":null}", "{\"data\":\"x\"}", "{\"data\":[1]}"] {
        let records = map_bytes(&plain, body.as_bytes());
        let (code, _, payload) = only_trouble(&records);
        assert_eq!((code, payload), (Code::MapShape, body.as_bytes()));
    }
    assert!(map_bytes(&plain, b"{\"data\":[]}").is_empty());
    assert!(map_bytes(&mapping(""), b"[]").is_empty());
}

#[test]
fn a_body_is_read_in_its_charset() {
    let body = b"{\"type\":\"employee.hired\",\"data\":{\"employee_id\":\"1\",\"first_name\":\"Jos\xe9\",\"last_name\":\"N\xfa\xf1ez\"}}";
    let records = map_with(&mapping(""), "application/json; charset=ISO-8859-1", body);
    assert_eq!(names(only_event(&records)), (Some("José"), Some("Núñez")));
    let bad = b"{\"type\":\"employee.hired\",\"data\":{\"first_name\":\"Jos\xe9\"}}";
    let records = map_with(&mapping(""), "application/json; charset=ISO-8859-1", bad);
    let again = remap(
        &mapping("employee_id = '/data/first_name'"),
        &source(),
        &Bytes::copy_from_slice(only_trouble(&records).2),
    );
    assert_eq!(only_event(&again).person.employee_id, "José");
}

#[test]
fn more_records_than_a_delivery_may_have_are_kept_whole_and_replayed_whole() {
    let record = json!({"type": "employee.renamed", "employee_id": "1", "last_name": "K"});
    let body = serde_json::Value::Array(vec![record; RECORDS_MAX + 1]).to_string();
    let records = map_bytes(&mapping(""), body.as_bytes());
    let (code, detail, payload) = only_trouble(&records);
    assert_eq!(code, Code::MapShape);
    assert!(detail.starts_with("10001 records"), "{detail}");
    assert_eq!(remap(&mapping(""), &source(), &Bytes::copy_from_slice(payload)).len(), RECORDS_MAX + 1);
}

#[test]
fn a_status_states_employment_and_an_end_beside_it_is_a_second_event() {
    let mapping = mapping(
        "update = ['changed']\nstatus = '/status'\nactive_values = ['active']\nleft_values = ['inactive']\nother_values = ['pending']\n\
         ends_at = '/end'\nemployee_id = '/id'\noccurred_at = '/at'\nzone = 'Europe/Berlin'",
    );
    let of = |body: &str| map_bytes(&mapping, body.as_bytes());
    let stated = |records: &[Record]| only_event(records).facts.employment;
    let midnight = UnixMs::parse_rfc3339("2026-12-31T23:00:00Z");
    assert_eq!(stated(&of(r#"{"type":"changed","id":1,"status":"ACTIVE"}"#)), Some((Employed, None)));
    assert_eq!(
        stated(&of(r#"{"type":"changed","id":1,"status":"Inactive","end":"2026-12-31"}"#)),
        Some((Left, midnight))
    );
    assert_eq!(stated(&of(r#"{"type":"changed","id":1,"end":"2026-12-31"}"#)), Some((Left, midnight)));
    assert_eq!(why(&of(r#"{"type":"changed","id":1,"status":"pending"}"#)).0, IgnoredWhy::StatesNothing);
    let records = of(r#"{"type":"changed","id":1,"status":"sleeping","last_name":"K"}"#);
    let Record::Event { dropped, .. } = &records[0] else { panic!("{records:?}") };
    assert_eq!(dropped[0].problem, Problem::UnknownValue { chars: 8 });

    let records = of(r#"{"type":"changed","id":1,"at":"2026-06-01","status":"active","end":"2026-12-31"}"#);
    let [Record::Event { event, .. }, Record::Event { event: end, .. }] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!((event.facts.employment, end.facts.employment), (Some((Employed, None)), Some((Left, midnight))));
    assert_eq!((end.kind, end.at), (EventKind::Leave, event.at));
    // The end of an employment before this one.
    assert_eq!(
        stated(&of(r#"{"type":"changed","id":1,"at":"2026-06-01","status":"active","end":"2025-12-31"}"#)),
        Some((Employed, None))
    );
}

#[test]
fn whether_an_end_is_told_of_is_told_and_one_that_cannot_be_read_tells_nothing() {
    let mapping = mapping(
        "update = ['changed']\nstatus = '/status'\nactive_values = ['active']\nends_at = '/end'\nemployee_id = '/id'",
    );
    for (end, tells_end) in
        [(r#""2999-12-31""#, true), ("null", true), (r#"" ""#, true), (r#""0000-00-00""#, true), (r#""soon""#, false)]
    {
        let body = format!(r#"{{"type":"changed","id":1,"status":"active","end":{end}}}"#);
        let records = map_bytes(&mapping, body.as_bytes());
        let Record::Event { event, .. } = &records[0] else { panic!("{records:?}") };
        assert_eq!(event.facts.tells_end, tells_end, "{end}");
    }
    let records = map_bytes(&mapping, br#"{"type":"changed","id":1,"status":"active"}"#);
    assert!(!only_event(&records).facts.tells_end);
}

#[test]
fn an_end_that_is_over_may_mean_a_leave_and_a_later_start_takes_that_back() {
    let mapping = mapping(
        "update = ['changed']\nstatus = '/status'\nactive_values = ['active']\nends_at = '/end'\nstarts_at = '/start'\n\
         past_end = 'left'\nemployee_id = '/id'\noccurred_at = '/at'",
    );
    let of = |start: &str, end: &str| {
        let body =
            json!({"type": "changed", "id": 1, "at": "2026-06-01", "status": "active", "start": start, "end": end});
        let records = map_bytes(&mapping, body.to_string().as_bytes());
        let states = records.iter().map(|record| match record {
            Record::Event { event, .. } => event.facts.employment.map(|(state, _)| state),
            other => panic!("{other:?}"),
        });
        states.collect::<Vec<_>>()
    };
    assert_eq!(of("2020-01-01", "2025-12-31"), [Some(Left)]);
    assert_eq!(of("2026-01-01", "2025-12-31"), [Some(Employed)]);
    assert_eq!(of("2026-09-01", "2026-07-31"), [Some(Employed), Some(Left)], "they leave first");
}

#[test]
fn a_leave_takes_effect_at_the_time_of_day_and_a_hire_some_days_before_the_start() {
    let mapping = mapping(
        "leave_at = '17:30'\nzone = 'Europe/Berlin'\ninvite = 'at_start'\nlead_days = 2\nstarts_at = '/data/start'",
    );
    let employment = |kind: &str, data| only_event(&map_json(&mapping, &record(kind, data))).facts.employment;
    let at = |text: &str| UnixMs::parse_rfc3339(text);
    assert_eq!(
        employment("employee.left", json!({"employee_id": 1, "effective_at": "2026-07-31"})),
        Some((Left, at("2026-07-31T15:30:00Z")))
    );
    assert_eq!(
        employment("employee.left", json!({"employee_id": 1, "effective_at": "2026-07-31T10:00:00Z"})),
        Some((Left, at("2026-07-31T10:00:00Z")))
    );
    assert_eq!(
        employment("employee.hired", json!({"employee_id": 1, "start": "2026-04-01"})),
        Some((Employed, at("2026-03-29T22:00:00Z")))
    );
    assert_eq!(employment("employee.hired", json!({"employee_id": 1})), Some((Employed, None)));
}

#[test]
fn conditions_say_which_records_and_which_people_are_meant() {
    let mapping = mapping(
        "only_if = [{ path = '/data/kind', equals = 'employee' }]\nin_scope_if = [{ path = '/data/department', in = ['sales'] }]\nout_of_scope = 'leave'",
    );
    let of = |data: serde_json::Value| map_json(&mapping, &record("employee.updated", data));
    assert_eq!(why(&of(json!({"employee_id": 1, "kind": "contractor", "last_name": "K"}))).0, IgnoredWhy::Condition);
    let inside = of(json!({"employee_id": 1, "kind": "employee", "department": "sales", "last_name": "K"}));
    assert_eq!(only_event(&inside).facts.names(), ["in_scope", "family_name"]);
    // It may bring somebody back who was out of scope.
    let nothing_else = of(json!({"employee_id": 1, "kind": "employee", "department": "sales"}));
    assert_eq!(only_event(&nothing_else).facts.names(), ["in_scope"]);
    let outside = of(json!({"employee_id": 1, "kind": "employee", "department": "it", "last_name": "K"}));
    assert_eq!(only_event(&outside).kind, EventKind::Leave);
    assert_eq!(only_event(&outside).facts.names(), ["out_of_scope", "family_name"], "it says nothing of employment");
    let untold = of(json!({"employee_id": 1, "kind": "employee", "last_name": "K"}));
    assert_eq!(only_event(&untold).kind, EventKind::Update);
    assert_eq!(only_event(&untold).facts.names(), ["family_name"], "a record that does not tell moves nobody");
    let hired = json!({"employee_id": 1, "kind": "employee", "department": "it", "email": "not an address"});
    let hired = map_json(&mapping, &record("employee.hired", hired));
    let Record::Event { event, .. } = &hired[0] else { panic!("{hired:?}") };
    assert_eq!(event.facts.names(), ["employed", "out_of_scope"], "nobody is invited under it: the rest counts");
    let ignores = "in_scope_if = [{ path = '/data/department', in = ['sales'] }]";
    let inside = record("employee.updated", json!({"employee_id": 1, "department": "sales", "last_name": "K"}));
    assert_eq!(only_event(&map_json(&self::mapping(ignores), &inside)).facts.names(), ["family_name"]);
}

#[test]
fn rules_tell_the_kind_where_the_type_does_not() {
    let mapping = mapping(
        "assume = 'notice'\ntype = []\nkinds = [{ is = 'leave', only_if = [{ path = '/end', exists = true }] }, { is = 'hire', only_if = [{ path = '/start', exists = true }] }]\n\
         employee_id = { template = '{/company}-{/id}' }\nends_at = '/end'",
    );
    let of = |body: serde_json::Value| {
        let records = map_json(&mapping, &body);
        let event = only_event(&records);
        (event.kind, event.person.employee_id.clone(), event.facts.employment.is_some())
    };
    assert_eq!(of(json!({"company": "C", "id": 1, "start": "2026-01-01"})), (EventKind::Hire, "C-1".into(), true));
    assert_eq!(
        of(json!({"company": "C", "id": "1", "end": "2026-01-01", "start": "2025-01-01"})),
        (EventKind::Leave, "C-1".into(), true)
    );
    assert_eq!(of(json!({"company": "C", "id": "1"})), (EventKind::Notice, "C-1".into(), false));
}

#[test]
fn private_addresses_stay_out() {
    let mapping =
        mapping("address_domains = ['example.com', '*.example.org']\nemail = ['/data/work', '/data/private']");
    let of = |data: serde_json::Value| map_json(&mapping, &record("employee.hired", data));
    let address = |records: &[Record]| only_event(records).facts.email.as_ref().map(|email| email.lower().to_owned());
    assert_eq!(
        address(&of(json!({"employee_id": 1, "work": "a@gmail.com", "private": "A@Example.com"}))).as_deref(),
        Some("a@example.com")
    );
    assert_eq!(
        address(&of(json!({"employee_id": 1, "work": "a@eu.example.org"}))).as_deref(),
        Some("a@eu.example.org")
    );
    let records = of(json!({"employee_id": 1, "work": "a@notexample.com"}));
    let [Record::Event { event, dropped }] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((event.facts.email.is_none(), &dropped[0].problem), (true, &Problem::OtherDomain));
}

#[test]
fn a_private_address_of_another_domain_is_no_problem_of_anybodys() {
    let private = mapping("address_domains = ['example.com']\nemail = { path = '/data/private', private = true }");
    let records = map_json(&private, &record("employee.hired", json!({"employee_id": 1, "private": "a@home.example"})));
    let [Record::Event { event, dropped }] = records.as_slice() else { panic!("{records:?}") };
    assert!(event.facts.email.is_none() && dropped.is_empty(), "it was never meant for use: {dropped:?}");
}

#[test]
fn the_preferred_name_counts_where_there_is_one() {
    let of = |toml: &str, data| {
        names(only_event(&map_json(
            &mapping(&format!("preferred_given_name = '/data/preferred'\n{toml}")),
            &record("employee.updated", data),
        )))
        .0
    };
    let both = || json!({"employee_id": 1, "first_name": "William", "preferred": "Bill"});
    assert_eq!((of("", both()), of("names = 'legal'", both())), (Some("Bill"), Some("William")));
    assert_eq!(of("", json!({"employee_id": 1, "first_name": "William", "preferred": ""})), Some("William"));
}

#[test]
fn a_notice_carries_no_facts() {
    let records = map_json(&mapping("notice = ['x']"), &record("x", json!({"employee_id": 1, "first_name": "A"})));
    assert_eq!((only_event(&records).kind, only_event(&records).facts.is_empty()), (EventKind::Notice, true));
}

#[test]
fn a_form_is_read_with_ids_in_its_keys() {
    let mapping = mapping(
        "body = 'form'\nrecords = '/employees'\nrecords_by_key = true\nemployee_id = 'key:'\ntype = []\nassume = 'update'\n\
         given_name = '/First Name'\nfamily_name = '/Last Name'\nonly_if = [{ path = '/changedFields', contains = ['First Name', 'Last Name'] }]",
    );
    let body = b"employees[12][changedFields][0]=First+Name&employees[12][First+Name]=Ada&employees[13][changedFields][0]=Title&employees[13][Title]=x";
    let records = map_with(&mapping, "application/x-www-form-urlencoded", body);
    let [Record::Event { event, .. }, Record::Ignored(_)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((event.person.employee_id.as_str(), names(event).0), ("12", Some("Ada")));
    let json = br#"{"employees":{"7":{"changedFields":["Last Name"],"Last Name":"King"},"8":5}}"#;
    let records = map_bytes(&mapping, json);
    let [Record::Event { event, .. }, Record::Unmapped { payload, .. }] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!((event.person.employee_id.as_str(), &payload[..]), ("7", &br#"{"employees":{"8":5}}"#[..]));
}

#[test]
fn a_duplicate_key_counts_by_its_last_value() {
    let body = br#"{"type":"x","type":"employee.renamed","employee_id":"1","last_name":"A","last_name":"B"}"#;
    assert_eq!(names(only_event(&map_bytes(&mapping(""), body))).1, Some("B"));
}

#[test]
fn a_mapping_that_cannot_work_says_which_key_and_why() {
    assert_eq!(Mapping::default().validate(), []);
    let keys = |toml: &str| mapping(toml).validate().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys("hire = [\"x\"]\nrename = [\"x\"]"), ["rename"]);
    assert_eq!(keys("hire = ['x']\nignore = ['x']\nupdate = ['y']\nrename = ['y']"), ["ignore"]);
    assert_eq!(keys("hire = []\nrename = []\nleave = []\ntype = []"), ["hire", "type"]);
    assert_eq!(keys("hire = [\" \"]\nemployee_id = []\nrecords = '/a[*]'"), ["hire", "employee_id", "records"]);
    assert_eq!(
        keys("status = '/s'\naddress_domains = ['@x.co']\nlead_days = 400"),
        ["status", "address_domains", "lead_days"]
    );
    assert_eq!(keys("type = []\nassume = \"rename\"\nhire = []\nemail = []"), [""; 0]);
    assert!(toml::from_str::<Mapping>("email = \"data.email\"").unwrap_err().to_string().contains("JSON Pointer"));
    assert!(toml::from_str::<Mapping>("email = 5").unwrap_err().to_string().contains("a path such as"));
}

#[test]
fn an_explanation_names_the_path_the_type_and_the_length_of_every_field() {
    let body =
        record("employee.hired", json!({"employee_id": 1001, "email": "@", "first_name": "Zoë", "job/title": "Lead"}));
    let told = |show| {
        let body = Bytes::from(body.to_string());
        serde_json::to_value(explain(&mapping(""), &source(), &body, Charset::utf8(), show)).unwrap()
    };
    let record = &told(Show::default())["records"][0];
    assert_eq!(record["fields"][1]["found_at"], "/data/employee_id");
    assert_eq!((&record["fields"][1]["json_type"], &record["fields"][1]["length"]), (&json!("number"), &json!(4)));
    assert_eq!(record["fields"][2]["problem"], "not an e-mail address (1 characters, 1 at signs)");
    assert_eq!((&record["fields"][3]["length"], &record["fields"][3]["value"]), (&json!(3), &json!(null)));
    assert_eq!(told(Show { values: true })["records"][0]["fields"][3]["value"], "Zoë");
    assert!(record["paths"].as_array().unwrap().contains(&json!("/data/job~1title")));
    assert_eq!(record["result"]["result"], "event");
    assert_eq!(record["result"]["event"]["facts"]["unusable_email"], true);

    let batch = mapping("records = \"/data\"\ntype = \"/kind\"");
    let told = |body: &'static [u8]| {
        serde_json::to_value(explain(&batch, &source(), &Bytes::from_static(body), Charset::utf8(), Show::default()))
            .unwrap()
    };
    let record = &told(br#"{"data":[{"kind":"left"}]}"#)["records"][0];
    assert_eq!(
        (&record["at"], &record["result"]["type_value"], &record["result"]["why"]),
        (&json!("/data/0"), &json!("left"), &json!("not_named"))
    );
    assert_eq!(told(b"{")["problem"]["code"], "MAP-NOT-JSON");
}

#[test]
fn a_filter_that_fails_before_another_way_is_told_beside_what_that_one_found() {
    let mapping = mapping("email = [{ jq = '.mails[].value' }, '/data/email']\ngiven_name = { jq = '.mails[]' }");
    let body =
        Bytes::from(record("employee.updated", json!({"employee_id": "1", "email": "a@example.com"})).to_string());
    let told = serde_json::to_value(explain(&mapping, &source(), &body, Charset::utf8(), Show::default())).unwrap();
    let field = |name: &str| {
        let fields = told["records"][0]["fields"].as_array().unwrap();
        fields.iter().find(|field| field["field"] == name).unwrap().clone()
    };
    let email = field("email");
    assert_eq!((&email["found_at"], &email["failed"]), (&json!("/data/email"), &json!([".mails[].value"])));
    assert_eq!(email["problem"], json!(null));
    let name = field("given_name");
    assert_eq!((&name["found_at"], &name["failed"]), (&json!(null), &json!([".mails[]"])));
    assert!(name["problem"].is_string(), "no other way says anything: {name}");
    assert_eq!(field("family_name")["failed"], json!(null));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let key = prop::sample::select(vec![
        "type",
        "data",
        "employee_id",
        "email",
        "first_name",
        "timestamp",
        "effective_at",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,20}".prop_map(Into::into),
        Just(json!("employee.hired")),
        Just(json!("employee.left")),
        Just(json!("a@b.co")),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(key.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_come_to_something(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = map_bytes(&Mapping::default(), &body);
        let _ = explain(&Mapping::default(), &source(), &Bytes::from(body), Charset::utf8(), Show::default());
    }

    #[test]
    fn any_json_comes_to_what_its_explanation_says(body in any_json()) {
        let mapping = Mapping::default();
        let mut records = map_json(&mapping, &body).into_iter().peekable();
        let expected = match &body { serde_json::Value::Array(items) => items.len(), _ => 1 };
        let explained = explain(&mapping, &source(), &Bytes::from(body.to_string()), Charset::utf8(), Show::default());
        prop_assert_eq!(explained.records.len().max(usize::from(explained.problem.is_some())), expected);
        for told in &explained.records {
            let record = records.next().unwrap();
            let same = match (&record, &told.result) {
                (Record::Event { event: a, .. }, RecordResult::Event { event: b, .. }) => a == b,
                (Record::Ignored(_), RecordResult::Ignored { .. }) => true,
                (Record::Unmapped { code, .. }, RecordResult::Unmapped { code: told, .. }) => code == told,
                _ => false,
            };
            prop_assert!(same);
            // A field that was lost is kept beside the event.
            let is_beside = |next: &Record| matches!(next, Record::Unmapped { detail, .. } if detail.ends_with("is in effect"));
            if matches!(record, Record::Event { .. }) && records.peek().is_some_and(is_beside) {
                records.next();
            }
            if let Record::Unmapped { payload, .. } = &record {
                prop_assert_eq!(remap(&mapping, &source(), payload).len(), 1);
            }
        }
    }

    #[test]
    fn names_come_through_untouched(given in "[a-zA-Zé À-ſ一-龠א-ת'-]{1,40}", family in "[a-zA-Zé À-ſ一-龠א-ת'-]{1,40}") {
        prop_assume!(!given.trim().is_empty() && !family.trim().is_empty());
        let body = record("employee.renamed", json!({"employee_id": "1", "first_name": given, "last_name": family}));
        let records = map_json(&Mapping::default(), &body);
        let [Record::Event { event, .. }] = records.as_slice() else { panic!("{records:?}") };
        prop_assert_eq!(names(event), (Some(given.trim()), Some(family.trim())));
    }
}

#[test]
fn of_two_beginnings_the_longer_counts_and_a_whole_name_before_both() {
    let mapping =
        mapping("ignore = ['person.*', 'person.photo.removed']\nnotice = ['person.photo.*']\nleave = ['person.left']");
    let of = |kind: &str| mapping.meaning(kind);
    assert_eq!(of("person.born"), Some(Meaning::Ignore));
    assert_eq!(of("person.photo.added"), Some(Meaning::Notice));
    assert_eq!(of("person.photo.removed"), Some(Meaning::Ignore));
    assert_eq!(of("person.left"), Some(Meaning::Leave));
    assert_eq!(of("other"), None);
}

#[test]
fn what_is_not_followed_may_have_any_shape() {
    let mapping = mapping("records = '/data'\ntype = 'root:/type'\nignore = ['noise.*']");
    for data in [json!(null), json!("x"), json!(7), json!(["a", "b"])] {
        for (kind, why) in [("noise.made", IgnoredWhy::Listed), ("nobody.knows", IgnoredWhy::NotNamed)] {
            let records = map_json(&mapping, &json!({"type": kind, "data": data}));
            assert!(
                records.iter().all(|record| matches!(record, Record::Ignored(ignored) if ignored.why == why))
                    && !records.is_empty(),
                "{kind} {data}: {records:?}"
            );
        }
    }
    let records = map_json(&mapping, &json!({"type": "employee.hired", "data": null}));
    assert!(matches!(&records[..], [Record::Unmapped { code: Code::MapShape, .. }]), "{records:?}");
}

#[test]
fn a_removed_record_is_a_notice_that_says_who_has_left_if_nobody_is_found() {
    let mapping = mapping("deleted = ['employee.removed']");
    let records = map_json(&mapping, &record("employee.removed", json!({"employee_id": "E-1"})));
    let event = only_event(&records);
    assert_eq!((event.kind, event.facts.employment), (EventKind::Notice, Some((Left, None))));
}

/// A batch in which the name of the second is cut in the middle of a letter.
#[test]
fn bytes_of_another_charset_in_one_record_keep_the_others_from_nothing() {
    let plain = mapping("records = \"/people\"");
    let hire = |id: &str, name: &[u8]| {
        let mut text = format!(r#"{{"type":"employee.hired","employee_id":"{id}","email":"{id}@x.com","given_name":""#)
            .into_bytes();
        text.extend_from_slice(name);
        text.extend_from_slice(b"\"}");
        text
    };
    let batch = |names: [&[u8]; 3]| {
        let all: Vec<_> = ["a", "b", "c"].iter().zip(names).map(|(id, name)| hire(id, name)).collect();
        [b"{\"people\":[".as_slice(), &all.join(&b','), b"]}"].concat()
    };
    let body = batch([b"Ada", b"Jos\xc3", "Zo\u{eb}".as_bytes()]);
    match map_bytes(&plain, &body).as_slice() {
        [
            Record::Event { event: first, .. },
            Record::Event { event: last, .. },
            Record::Unmapped { code, detail, payload, .. },
        ] => {
            assert_eq!([first, last].map(|event| event.person.employee_id.clone()), ["a", "c"]);
            assert_eq!((*code, payload.as_ref()), (Code::MapNotJson, &body[..]));
            assert!(detail.starts_with("1 of 3 records are not in the declared charset"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    let body = batch([b"\xe9", b"\xe9", b"\xe9"]);
    assert_eq!(only_trouble(&map_bytes(&plain, &body)).2, &body[..]);
    // What all records share is damaged.
    let mut body = batch([b"Ada", b"Bea", b"Cleo"]);
    body.splice(1..1, b"\"company\":\"\xe9\",".iter().copied());
    assert_eq!(only_trouble(&map_bytes(&plain, &body)).2, &body[..]);
}

#[test]
fn a_hire_with_a_word_in_the_place_of_an_address_waits_for_one() {
    let plain = mapping("");
    let hire = |email: &str| json!({"type": "employee.hired", "data": {"employee_id": "E-1", "email": email}});
    for none in ["n/a", "TBD", "-", "none"] {
        let records = map_json(&plain, &hire(none));
        assert!(only_event(&records[..1]).facts.email.is_none(), "{none}");
        assert!(matches!(&records[1..], [Record::Unmapped { code: Code::MapField, .. }]), "{none}: {records:?}");
    }
    for bad in ["ada@", "ada@x@y.com", "ada@x.com\u{fffd}", "Ada <ada@x.com>", "a@x.com; b@x.com"] {
        let records = map_json(&plain, &hire(bad));
        assert_eq!(only_event(&records[..1]).facts.names(), ["employed", "unusable_email"], "{bad}");
        assert!(matches!(&records[1..], [Record::Unmapped { code: Code::MapField, .. }]), "{bad}: {records:?}");
    }
}
