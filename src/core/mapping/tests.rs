use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::core::code::Code;
use crate::core::delivery::{Delivery, Verified};
use crate::core::event::{Change, Event, SourceName};
use crate::core::time::UnixMs;

fn source() -> SourceName {
    SourceName::parse("hr").unwrap()
}

fn mapping(toml: &str) -> Mapping {
    toml::from_str(toml).unwrap()
}

fn map_bytes(mapping: &Mapping, body: &[u8]) -> Vec<Record> {
    let body = Bytes::copy_from_slice(body);
    let delivery = Delivery { method: "POST".into(), url: "/webhooks/hr".into(), headers: vec![], body };
    map(mapping, &source(), &Verified::attest(delivery))
}

fn map_json(mapping: &Mapping, body: &serde_json::Value) -> Vec<Record> {
    map_bytes(mapping, body.to_string().as_bytes())
}

fn only_event(records: &[Record]) -> &Event {
    match records {
        [Record::Event(event)] => event,
        other => panic!("{other:?}"),
    }
}

fn only_trouble(records: &[Record]) -> (Code, &str, &str) {
    match records {
        [Record::Unmapped { code, detail, payload, .. }] => (*code, detail, payload),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_default_payload_needs_no_key_at_all() {
    let body = json!({"type": "employee.hired", "timestamp": "2026-11-22T10:00:00Z", "data":
        {"employee_id": "E-1001", "email": "Ada@example.com", "first_name": "Ada", "last_name": "Lovelace"}});
    let records = map_json(&mapping(""), &body);
    let event = only_event(&records);
    assert_eq!(event.person.to_string(), "hr/E-1001");
    assert_eq!(event.occurred_at, UnixMs::parse_rfc3339("2026-11-22T10:00:00Z"));
    assert!(matches!(&event.change, Change::Hire { email, .. } if email.lower() == "ada@example.com"));
    assert_eq!((event.names().given(), event.names().family()), (Some("Ada"), Some("Lovelace")));

    let renamed = json!({"type": "employee.renamed", "data": {"employee_id": 7, "last_name": "King"}});
    let records = map_json(&mapping(""), &renamed);
    let event = only_event(&records);
    assert_eq!(event.person.to_string(), "hr/7");
    assert!(matches!(&event.change, Change::Rename { email: None, names } if names.family() == Some("King")));
}

#[test]
fn a_batch_keeps_its_order_and_one_bad_record_does_not_lose_the_others() {
    let mapping = mapping("records = \"/employees\"\nhire = [\"created\"]\nrename = [\"updated\"]\ntype = \"/action\"");
    let body = json!({"account": "A", "employees": [
        {"action": "created", "employee_id": "1", "email": "a@b.co", "first_name": "A"},
        {"action": "created", "employee_id": "2", "email": "none", "first_name": "B"},
        {"action": "terminated"},
        "text",
        {"action": "updated", "employee_id": "1", "last_name": "C"},
    ]});
    let records = map_json(&mapping, &body);
    assert_eq!(records.len(), 5);
    assert!(matches!(&records[0], Record::Event(e) if e.person.employee_id == "1"));
    let Record::Unmapped { person, code, detail, payload } = &records[1] else { panic!("{records:?}") };
    assert_eq!((person.as_ref().unwrap().employee_id.as_str(), *code), ("2", Code::MapField));
    assert!(detail.starts_with("record 2 of 5: email: not an e-mail address"), "{detail}");
    let kept: serde_json::Value = serde_json::from_str(payload).unwrap();
    assert_eq!(kept, json!({"account": "A", "employees": [body["employees"][1]]}));
    assert_eq!(records[2], Record::Ignored);
    assert!(matches!(&records[3], Record::Unmapped { code: Code::MapShape, .. }));
    assert!(matches!(&records[4], Record::Event(e) if e.person.employee_id == "1"));
}

#[test]
fn a_kept_record_of_a_batch_maps_again_with_a_corrected_mapping() {
    let wrong = mapping("records = \"/people\"\nemail = \"/mail\"");
    let right = mapping("records = \"/people\"\nemail = [\"/mail\", \"/work_mail\"]");
    let body = json!({"type": "employee.hired", "timestamp": 1_700_000_000, "people": [
        {"employee_id": "1", "mail": "a@b.co", "first_name": "A"},
        {"employee_id": "2", "work_mail": "b@b.co", "first_name": "B"},
    ]});
    let records = map_json(&wrong, &body);
    let Record::Unmapped { payload, .. } = &records[1] else { panic!("{records:?}") };
    let again = remap(&right, &source(), payload);
    let event = only_event(&again);
    assert_eq!(event.person.employee_id, "2");
    assert_eq!(event.occurred_at, Some(UnixMs(1_700_000_000_000)));
}

#[test]
fn what_is_kept_of_a_batch_stays_in_proportion_to_its_body_and_loses_nothing() {
    let people: Vec<_> = (0..3000).map(|n| json!({"employee_id": n})).collect();
    let body = json!({"type": "employee.hired", "padding": "x".repeat(100_000), "data": people}).to_string();
    let records = map_bytes(&mapping("records = \"/data\""), body.as_bytes());
    let kept: usize =
        records.iter().map(|r| if let Record::Unmapped { payload, .. } = r { payload.len() } else { 0 }).sum();
    assert!(kept < 6 * body.len().max(1 << 20), "{kept}");
    let with_email = mapping("records = \"/data\"\nassume = \"rename\"\ntype = []\ngiven_name = \"root:/type\"");
    let again = records.iter().map(|r| match r {
        Record::Unmapped { payload, .. } => remap(&with_email, &source(), payload).len(),
        Record::Event(_) | Record::Ignored => 0,
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
    assert_eq!(only_trouble(&map_bytes(&plain, b"{\"data\":\"\xff\"}")).0, Code::MapNotJson);
    for body in ["{}", "[]", "1", "null", "{\"data\":null}", "{\"data\":\"x\"}", "{\"data\":[1]}"] {
        let records = map_bytes(&plain, body.as_bytes());
        let (code, _, payload) = only_trouble(&records);
        assert_eq!((code, payload), (Code::MapShape, body));
    }
    assert!(map_bytes(&plain, b"{\"data\":[]}").is_empty());
    assert!(map_bytes(&mapping(""), b"[]").is_empty());
}

#[test]
fn more_records_than_a_delivery_may_have_are_kept_whole_and_replayed_whole() {
    let record = json!({"type": "employee.renamed", "employee_id": "1", "last_name": "K"});
    let body = serde_json::Value::Array(vec![record; RECORDS_MAX + 1]).to_string();
    let records = map_bytes(&mapping(""), body.as_bytes());
    let (code, detail, payload) = only_trouble(&records);
    assert_eq!(code, Code::MapShape);
    assert!(detail.starts_with("10001 records"), "{detail}");
    assert_eq!(remap(&mapping(""), &source(), payload).len(), RECORDS_MAX + 1);
}

#[test]
fn every_wrong_field_is_named_with_where_it_was_looked_for_and_without_its_value() {
    let body = json!({"type": "employee.hired", "timestamp": "yesterday-ish", "data":
        {"employee_id": 1.5, "email": {"secret-value": 1}, "first_name": ["secret-value"]}});
    let records = map_json(&mapping(""), &body);
    let (code, detail, _) = only_trouble(&records);
    assert_eq!(code, Code::MapField);
    for field in [
        "employee_id: expected text or a whole number",
        "email: expected text, found object",
        "given_name",
        "occurred_at: not a timestamp",
        "`/data/email`, `/email`",
    ] {
        assert!(detail.contains(field), "{detail}");
    }
    assert!(!format!("{records:?}").contains("secret-value"));
    assert!(!detail.contains("yesterday"));
}

#[test]
fn without_a_type_a_record_is_unmapped_or_what_the_mapping_assumes() {
    let body = json!({"employee_id": "1", "last_name": "K"});
    let records = map_json(&mapping(""), &body);
    assert!(only_trouble(&records).1.starts_with("type: missing or blank (looked at `/type`, `root:/type`)"));
    let assumed = map_json(&mapping("assume = \"rename\""), &body);
    assert!(matches!(only_event(&assumed).change, Change::Rename { .. }));
    let other = json!({"type": "employee.left", "employee_id": "1", "last_name": "K"});
    assert_eq!(map_json(&mapping("assume = \"rename\""), &other), [Record::Ignored]);
}

#[test]
fn an_id_that_json_cannot_hold_exactly_is_refused_instead_of_becoming_somebody_elses() {
    for id in ["12345678901234567890123", "1.5", "1e3", "true", "{}"] {
        let body = format!("{{\"type\":\"employee.renamed\",\"employee_id\":{id},\"last_name\":\"K\"}}");
        assert_eq!(only_trouble(&map_bytes(&mapping(""), body.as_bytes())).0, Code::MapField, "{id}");
    }
    let body = br#"{"type":"employee.renamed","employee_id":18446744073709551615,"last_name":"K"}"#;
    assert_eq!(only_event(&map_bytes(&mapping(""), body)).person.employee_id, "18446744073709551615");
}

#[test]
fn of_a_name_that_stands_twice_the_last_counts() {
    let body = br#"{"type":"x","type":"employee.renamed","employee_id":"1","last_name":"A","last_name":"B"}"#;
    assert_eq!(only_event(&map_bytes(&mapping(""), body)).names().family(), Some("B"));
}

#[test]
fn instants_are_read_in_the_configured_unit() {
    let at = |unit: &str, value: serde_json::Value| {
        let body = json!({"type": "employee.renamed", "timestamp": value, "employee_id": "1", "last_name": "K"});
        match map_json(&mapping(&format!("occurred_at_unit = \"{unit}\"")), &body).remove(0) {
            Record::Event(event) => event.occurred_at.map(|at| at.0),
            Record::Ignored | Record::Unmapped { .. } => None,
        }
    };
    assert_eq!(at("auto", json!(1_700_000_000)), Some(1_700_000_000_000));
    assert_eq!(at("auto", json!("1700000000")), Some(1_700_000_000_000));
    assert_eq!(at("auto", json!(1_700_000_000_123_i64)), Some(1_700_000_000_123));
    assert_eq!(at("auto", json!(1_700_000_000.123)), Some(1_700_000_000_123));
    assert_eq!(at("auto", json!("2023-11-14T23:13:20+01:00")), Some(1_700_000_000_000));
    assert_eq!(at("s", json!(100_000_000_000_i64)), Some(100_000_000_000_000));
    assert_eq!(at("ms", json!(5)), Some(5));
    assert_eq!(at("rfc3339", json!(1_700_000_000)), None);
    assert_eq!(at("ms", json!("2023-11-14T23:13:20Z")), None);
    for (unit, value) in [("auto", json!(1e300)), ("auto", json!("NaN")), ("s", json!(i64::MAX)), ("auto", json!([]))] {
        assert_eq!(at(unit, value), None);
    }
}

#[test]
fn a_mapping_that_cannot_work_says_which_key_and_why() {
    assert_eq!(Mapping::default().validate(), []);
    let keys = |toml: &str| mapping(toml).validate().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys("hire = [\"x\"]\nrename = [\"x\"]"), ["rename"]);
    assert_eq!(keys("hire = []\nrename = []\ntype = []"), ["hire", "type"]);
    assert_eq!(
        keys("hire = [\" \"]\nemployee_id = []\nemail = []\ngiven_name = []\nfamily_name = []"),
        ["hire", "employee_id", "email", "given_name"]
    );
    assert_eq!(keys("type = []\nassume = \"rename\"\nhire = []\nemail = []"), [""; 0]);
    assert!(toml::from_str::<Mapping>("email = \"data.email\"").unwrap_err().to_string().contains("JSON Pointer"));
    assert!(toml::from_str::<Mapping>("email = 5").unwrap_err().to_string().contains("a path such as"));
}

#[test]
fn an_explanation_names_the_path_the_type_and_the_length_of_every_field() {
    let body = json!({"type": "employee.hired", "data":
        {"employee_id": 1001, "email": "x", "first_name": "Zoë"}});
    let explanation = explain(&mapping(""), &source(), body.to_string().as_bytes());
    let told = serde_json::to_value(&explanation).unwrap();
    let record = &told["records"][0];
    assert_eq!(record["fields"][1]["found_at"], "/data/employee_id");
    assert_eq!((&record["fields"][1]["json_type"], &record["fields"][1]["length"]), (&json!("number"), &json!(4)));
    assert_eq!(record["fields"][2]["problem"], "not an e-mail address (1 characters, 0 at signs)");
    assert_eq!(record["fields"][3]["length"], 3);
    assert_eq!((&record["result"]["result"], &record["result"]["code"]), (&json!("unmapped"), &json!("MAP-FIELD")));

    let batch = mapping("records = \"/data\"\ntype = \"/kind\"");
    let body = json!({"data": [{"kind": "left"}]});
    let told = serde_json::to_value(explain(&batch, &source(), body.to_string().as_bytes())).unwrap();
    assert_eq!(told["records"][0]["at"], "/data/0");
    assert_eq!(told["records"][0]["result"]["type_value"], "left");
    assert_eq!(serde_json::to_value(explain(&batch, &source(), b"{")).unwrap()["problem"]["code"], "MAP-NOT-JSON");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let key = prop::sample::select(vec!["type", "data", "employee_id", "email", "first_name", "timestamp", "x"]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,20}".prop_map(Into::into),
        Just(json!("employee.hired")),
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
        let _ = explain(&Mapping::default(), &source(), &body);
    }

    #[test]
    fn any_json_comes_to_one_result_a_record_and_explains_as_it_maps(body in any_json()) {
        let mapping = Mapping::default();
        let records = map_json(&mapping, &body);
        let expected = match &body { serde_json::Value::Array(items) => items.len(), _ => 1 };
        prop_assert_eq!(records.len(), expected);
        let explained = explain(&mapping, &source(), body.to_string().as_bytes());
        for (record, explained) in records.iter().zip(&explained.records) {
            let same = match (record, &explained.result) {
                (Record::Event(a), RecordResult::Event { event: b }) => a == b,
                (Record::Ignored, RecordResult::Ignored { .. }) => true,
                (Record::Unmapped { code, .. }, RecordResult::Unmapped { code: told, .. }) => code == told,
                _ => false,
            };
            prop_assert!(same);
        }
        for record in &records {
            if let Record::Unmapped { payload, .. } = record {
                prop_assert_eq!(remap(&mapping, &source(), payload).len(), 1);
            }
        }
    }

    #[test]
    fn names_come_through_untouched(given in "\\PC{1,40}", family in "\\PC{1,40}") {
        prop_assume!(!given.trim().is_empty() && !family.trim().is_empty());
        let body = json!({"type": "employee.renamed", "data":
            {"employee_id": "1", "first_name": given, "last_name": family}});
        let records = map_json(&Mapping::default(), &body);
        let names = only_event(&records).names();
        prop_assert_eq!(names.given(), Some(given.trim()));
        prop_assert_eq!(names.family(), Some(family.trim()));
    }
}
