//! Bodies as they arrive: batches, forms, charsets, and what is kept if they cannot be parsed.

use bytes::Bytes;
use serde_json::json;

use super::tests::{map_bytes, map_json, map_with, mapping, names, only_error, only_event, source, why};
use super::*;
use crate::core::code::Code;
use crate::core::time::UnixMs;

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
fn kept_batch_records_stay_in_proportion_to_the_body_and_lose_nothing() {
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
fn invalid_json_is_distinguished_from_an_unexpected_shape() {
    let plain = mapping("records = \"/data\"");
    let deep = "[".repeat(100_000);
    for body in ["", "  ", "{", "a=b&c=d", "{}{}", &deep, "\u{feff}\u{feff}{}"] {
        assert_eq!(only_error(&map_bytes(&plain, body.as_bytes())).0, Code::MapNotJson, "{body:.20}");
    }
    let latin = b"{\"data\":\"Jos\xe9\"}";
    let records = map_bytes(&plain, latin);
    assert_eq!((only_error(&records).0, only_error(&records).2), (Code::MapNotJson, &latin[..]));
    for body in ["{}", "[]", "1", "null", "{\"data\":null}", "{\"data\":\"x\"}", "{\"data\":[1]}"] {
        let records = map_bytes(&plain, body.as_bytes());
        let (code, _, payload) = only_error(&records);
        assert_eq!((code, payload), (Code::MapShape, body.as_bytes()));
    }
    assert!(map_bytes(&plain, b"{\"data\":[]}").is_empty());
    assert!(map_bytes(&mapping(""), b"[]").is_empty());
}

#[test]
fn an_oversized_number_or_depth_costs_no_other_record() {
    let plain = mapping("records = \"/data\"\nemployee_id = \"/id\"\nemail = \"/email\"");
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for odd in ["1e400", "-1e999", &"9".repeat(400), &deep] {
        let record = |id: &str, salary: &str| format!(r#"{{"id":{id},"email":"a{id}@example.com","salary":{salary}}}"#);
        let body = |odd_one: String| {
            format!(r#"{{"type":"employee.hired","data":[{},{odd_one},{}]}}"#, record("1", "0"), record("3", "1.50"))
        };
        // Nobody needs it.
        let records = map_bytes(&plain, body(record("2", odd)).as_bytes());
        let ids: Vec<_> = records.iter().map(person_of).collect();
        assert_eq!(ids, [Some("1"), Some("2"), Some("3")].map(|id| id.map(str::to_owned)), "{odd:.10}");
        // It is what one record needs, which is kept as it came.
        let bad = format!(r#"{{"id":{odd},"email":"a@example.com"}}"#);
        let whole = body(bad.clone());
        let records = map_bytes(&plain, whole.as_bytes());
        let ids: Vec<_> = records.iter().map(person_of).collect();
        assert_eq!(ids, [Some("1".to_owned()), None, Some("3".to_owned())], "{odd:.10}");
        let Record::Unmapped { code, payload, .. } = &records[1] else { panic!("{odd:.10}") };
        let kept = format!(r#"{{"type":"employee.hired","data":[{bad}]}}"#);
        assert_eq!((*code, std::str::from_utf8(payload).unwrap()), (Code::MapField, kept.as_str()));
    }
}

fn person_of(record: &Record) -> Option<String> {
    match record {
        Record::Event { event, .. } => Some(event.person.employee_id.clone()),
        Record::Unmapped { .. } | Record::Ignored(_) => None,
    }
}

#[test]
fn a_body_is_read_in_its_charset() {
    let body = b"{\"type\":\"employee.hired\",\"data\":{\"employee_id\":\"1\",\"first_name\":\"Jos\xe9\",\"last_name\":\"N\xfa\xf1ez\"}}";
    let records = map_with(&mapping(""), "application/json; charset=ISO-8859-1", body);
    assert_eq!(names(only_event(&records)), (Some("José"), Some("Núñez")));
    let bad = b"{\"type\":\"employee.hired\",\"data\":{\"first_name\":\"Jos\xe9\"}}";
    let records = map_with(&mapping(""), "application/json; charset=ISO-8859-1", bad);
    let again =
        remap(&mapping("employee_id = '/data/first_name'"), &source(), &Bytes::copy_from_slice(only_error(&records).2));
    assert_eq!(only_event(&again).person.employee_id, "José");
}

#[test]
fn more_records_than_a_delivery_may_have_are_kept_whole_and_replayed_whole() {
    let record = json!({"type": "employee.renamed", "employee_id": "1", "last_name": "K"});
    let body = serde_json::Value::Array(vec![record; RECORDS_MAX + 1]).to_string();
    let records = map_bytes(&mapping(""), body.as_bytes());
    let (code, detail, payload) = only_error(&records);
    assert_eq!(code, Code::MapShape);
    assert!(detail.starts_with("10001 records"), "{detail}");
    assert_eq!(remap(&mapping(""), &source(), &Bytes::copy_from_slice(payload)).len(), RECORDS_MAX + 1);
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
fn the_last_of_duplicate_keys_wins() {
    let body = br#"{"type":"x","type":"employee.renamed","employee_id":"1","last_name":"A","last_name":"B"}"#;
    assert_eq!(names(only_event(&map_bytes(&mapping(""), body))).1, Some("B"));
}

/// A batch in which the second name is cut in the middle of a letter.
#[test]
fn bytes_of_another_charset_in_one_record_spare_the_others() {
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
    assert_eq!(only_error(&map_bytes(&plain, &body)).2, &body[..]);
    // The part that all records share is damaged.
    let mut body = batch([b"Ada", b"Bea", b"Cleo"]);
    body.splice(1..1, b"\"company\":\"\xe9\",".iter().copied());
    assert_eq!(only_error(&map_bytes(&plain, &body)).2, &body[..]);
}
