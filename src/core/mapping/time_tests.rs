//! Instants and dates: when something became so, and when somebody leaves.

use bytes::Bytes;
use serde_json::json;

use super::tests::{map_bytes, map_json, mapping, only_error, only_event, record, source, why};
use super::*;
use crate::core::code::Code;
use crate::core::person::EmploymentState::{Employed, Left};
use crate::core::person::Problem;
use crate::core::time::UnixMs;

#[test]
fn an_impossible_time_is_ignored_and_a_placeholder_date_is_no_date() {
    for never in
        [json!("0001-01-01T00:00:00Z"), json!("1970-01-01T00:00:00Z"), json!(0), json!("1989-12-31"), json!(-5)]
    {
        let mut body = record("employee.left", json!({"employee_id": "1", "effective_at": "0001-01-01T00:00:00"}));
        body["timestamp"] = never.clone();
        let records = map_json(&mapping(""), &body);
        let [Record::Event { event, dropped, .. }] = records.as_slice() else { panic!("{records:?}") };
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
fn a_hire_with_an_unreadable_first_day_is_kept_where_people_are_invited_on_it() {
    let body = json!({"employee_id": "E-1", "email": "ada@x.com", "first_name": "Ada", "starts_at": "01/02/2027"});
    let hired = record("employee.hired", body);
    let records = map_json(&mapping("invite = 'at_start'"), &hired);
    let (code, detail, kept) = only_error(&records);
    assert!(code == Code::MapField && detail.starts_with("starts_at: "), "{detail}");
    assert!(!detail.contains("in effect"), "{detail}");
    let right =
        mapping("invite = 'at_start'\nstarts_at = [{ path = '/data/starts_at', format = '%d/%m/%Y' }]\nlead_days = 0");
    let again = remap(&right, &source(), &Bytes::copy_from_slice(kept));
    let starts = UnixMs::parse_rfc3339("2027-02-01T00:00:00Z");
    assert_eq!(only_event(&again).facts.employment, Some((Employed, starts)));
    // Where everybody is invited at once, the day does not matter.
    assert_eq!(only_event(&map_json(&mapping(""), &hired)).facts.employment, Some((Employed, None)));
    // A status with other facts: only the status waits.
    let status = mapping("status = '/data/status'\nactive_values = ['active']\ninvite = 'at_start'");
    let active = json!({"employee_id": "E-1", "status": "active", "starts_at": "01/02/2027", "last_name": "King"});
    let records = map_json(&status, &record("employee.updated", active.clone()));
    assert_eq!(only_event(&records[..1]).facts.names(), ["family_name"]);
    assert!(matches!(&records[1..], [Record::Unmapped { code: Code::MapField, .. }]), "{records:?}");
    // It says nothing about the last day.
    let mut ending = active;
    ending["ends_at"] = json!("2027-06-30T00:00:00Z");
    let ends =
        mapping("status = '/data/status'\nactive_values = ['active']\ninvite = 'at_start'\nends_at = '/data/ends_at'");
    let records = map_json(&ends, &record("employee.updated", ending));
    let end = UnixMs::parse_rfc3339("2027-06-30T00:00:00Z");
    assert_eq!(only_event(&records[..1]).facts.employment, Some((Left, end)));
    assert!(matches!(&records[1..], [Record::Unmapped { code: Code::MapField, .. }]), "{records:?}");
}

#[test]
fn a_leave_with_an_unreadable_date_is_kept_and_counts_once_it_can_be_read() {
    let leave = |date: serde_json::Value| {
        let mut body = record("employee.left", json!({"employee_id": "E-1", "effective_at": date, "last_name": "K"}));
        body["timestamp"] = json!("2026-11-22T10:00:00Z");
        body
    };
    for date in [json!("31/12/2026"), json!("2026-13-01"), json!({"date": "2026-12-31"}), json!(true)] {
        let records = map_json(&mapping(""), &leave(date.clone()));
        let (code, detail, _) = only_error(&records);
        assert!(code == Code::MapField && detail.starts_with("effective_at: "), "{date} {detail}");
        assert!(!detail.contains("in effect"), "{date} {detail}");
    }
    let records = map_json(&mapping(""), &leave(json!("31/12/2026")));
    let right = mapping("effective_at = [{ path = '/data/effective_at', format = '%d/%m/%Y' }]");
    let again = remap(&right, &source(), &Bytes::copy_from_slice(only_error(&records).2));
    let ends = UnixMs::parse_rfc3339("2027-01-01T00:00:00Z");
    assert_eq!(only_event(&again).facts.employment, Some((Left, ends)));
    // Nor does anybody leave the scope before the date.
    let scoped = mapping("in_scope_if = [{ path = '/data/department', equals = 'Sales' }]\nout_of_scope = 'leave'");
    let moved = json!({"employee_id": "E-1", "department": "IT", "effective_at": "31/12/2026"});
    assert_eq!(only_error(&map_json(&scoped, &record("employee.updated", moved))).0, Code::MapField);
    // A status with other facts: only the leave waits.
    let status = mapping("status = '/data/status'\nleft_values = ['ended']\nends_at = '/data/end'");
    let ended = json!({"employee_id": "E-1", "status": "ended", "end": "31/12/2026", "last_name": "King"});
    let records = map_json(&status, &record("employee.updated", ended));
    assert_eq!(only_event(&records[..1]).facts.names(), ["family_name"]);
    assert!(matches!(&records[1..], [Record::Unmapped { code: Code::MapField, .. }]), "{records:?}");
}

#[test]
fn an_end_that_never_comes_is_no_end_and_its_leave_waits() {
    let open = mapping("status = '/data/status'\nactive_values = ['active']\nends_at = '/data/end'");
    for never in ["9999-12-31", "9999-12-31T00:00:00Z", "9999-12-30"] {
        let data = json!({"employee_id": 1, "status": "active", "end": never});
        let records = map_json(&open, &record("employee.hired", data));
        assert_eq!(only_event(&records).facts.employment, Some((Employed, None)), "{never}");
        let left = map_json(&open, &record("employee.left", json!({"employee_id": 1, "end": never})));
        assert_eq!(only_event(&left).facts.employment, Some((Left, None)), "{never}: it says that they left");
        // It may postpone an announced end.
        let updated = map_json(&open, &record("employee.updated", json!({"employee_id": 1, "end": never})));
        let waits = map_json(&open, &record("employee.left", json!({"employee_id": 1, "effective_at": never})));
        for records in [updated, waits] {
            let Some((Left, Some(from))) = only_event(&records).facts.employment else { panic!("{records:?}") };
            assert!(from.to_string().starts_with("9999-12-3"), "{never}: {from}");
        }
    }
}

#[test]
fn an_event_says_whether_it_has_an_end_and_an_unreadable_end_says_nothing() {
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
fn a_past_end_may_mean_a_leave_unless_a_later_start_follows() {
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
    assert_eq!(of("2026-09-01", "2026-07-31"), [Some(Employed), Some(Left), Some(Employed)], "they leave first");
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
    // An update may move it. One that names the day long after it moves nothing.
    let of = |day: &str| {
        let mut body = record("employee.updated", json!({"employee_id": 1, "start": day}));
        body["timestamp"] = json!("2026-12-01T00:00:00Z");
        map_json(&mapping, &body)
    };
    let moved = of("2027-04-01");
    assert_eq!(only_event(&moved).facts.starts, at("2027-03-29T22:00:00Z"));
    assert_eq!(only_event(&moved).facts.names(), ["starts"]);
    assert_eq!(why(&of("2019-04-01")).0, IgnoredWhy::StatesNothing);
}

#[test]
fn a_date_without_a_time_gives_the_end_of_the_day_and_no_hour() {
    let data = json!({"employee_id": "E-1", "first_name": "Ada", "ends": "2027-01-31", "status": "active"});
    let mapping =
        mapping("zone = 'Europe/Berlin'\nends_at = '/data/ends'\nstatus = '/data/status'\nactive_values = ['active']");
    let mapped = |timestamp: &str| {
        let mut body = record("employee.updated", data.clone());
        body["timestamp"] = json!(timestamp);
        let records = map_json(&mapping, &body);
        let events = records.iter().map(|record| match record {
            Record::Event { event, .. } => {
                (event.at.unwrap().to_string(), event.facts.day_ends.map(|at| at.to_string()))
            }
            other => panic!("{other:?}"),
        });
        events.collect::<Vec<_>>()
    };
    let day = ("2026-11-27T23:00:00Z".to_owned(), Some("2026-11-28T23:00:00Z".to_owned()));
    assert_eq!(mapped("2026-11-28"), [day.clone(), day], "the event, and the end beside it");
    let hour = ("2026-11-27T23:00:00Z".to_owned(), None);
    assert_eq!(mapped("2026-11-28T00:00:00+01:00"), [hour.clone(), hour]);
}

#[test]
fn a_time_that_gives_no_zone_is_known_as_that() {
    for (timestamp, is_zoneless) in [
        ("2026-11-28T09:25:05", true),
        ("2026-11-28 09:25", true),
        ("2026-11-28T09:25:05Z", false),
        ("2026-11-28T09:25:05-05:00", false),
        ("2026-11-28", false),
        ("1795341540", false),
    ] {
        let mut body = record("employee.updated", json!({"employee_id": "E-1", "first_name": "Ada"}));
        body["timestamp"] = json!(timestamp);
        let records = map_json(&mapping(""), &body);
        let [Record::Event { is_zoneless: told, .. }] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(*told, is_zoneless, "{timestamp}");
        let bytes = Bytes::from(body.to_string());
        let explained = explain(
            &mapping("zone = 'Europe/Berlin'"),
            &source(),
            &bytes,
            crate::core::json::Charset::utf8(),
            Show::default(),
        );
        let field = explained.records[0].fields.iter().find(|field| field.field == "occurred_at").unwrap();
        assert_eq!(field.zone.as_deref(), is_zoneless.then_some("Europe/Berlin"), "{timestamp}");
    }
}
