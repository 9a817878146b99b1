//! How a delivery becomes events, with the default mapping and others; and helpers for the other tests of mappings.

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::core::code::Code;
use crate::core::delivery::{Delivery, Verified};
use crate::core::json::Charset;
use crate::core::person::EmploymentState::{Employed, Left};
use crate::core::person::{Event, SourceName, Stated};
use crate::core::time::UnixMs;

pub(super) fn source() -> SourceName {
    SourceName::parse("hr").unwrap()
}

pub(super) fn mapping(toml: &str) -> Mapping {
    toml::from_str(toml).unwrap()
}

pub(super) fn map_with(mapping: &Mapping, content_type: &str, body: &[u8]) -> Vec<Record> {
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

pub(super) fn only_error(records: &[Record]) -> (Code, &str, &[u8]) {
    match records {
        [Record::Unmapped { code, detail, payload, .. }] => (*code, detail, payload),
        other => panic!("{other:?}"),
    }
}

pub(super) fn why(records: &[Record]) -> (IgnoredWhy, Option<&str>) {
    match records {
        [Record::Ignored(ignored)] => (ignored.why, ignored.type_value.as_deref()),
        other => panic!("{other:?}"),
    }
}

pub(super) fn names(event: &Event) -> (Option<&'static str>, Option<&'static str>) {
    let text = |name: Option<&Stated<crate::core::person::Name>>| {
        name.map(|name| name.value().map_or("", |name| name.as_str()).to_owned())
    };
    let leak = |text: Option<String>| text.map(|text| -> &'static str { text.leak() });
    (leak(text(event.facts.given_name_that_counts())), leak(text(event.facts.family_name.as_ref())))
}

#[expect(clippy::needless_pass_by_value, reason = "`json!` as it is")]
pub(super) fn record(kind: &str, data: serde_json::Value) -> serde_json::Value {
    json!({"type": kind, "data": data})
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
fn empty_means_no_such_name_and_absent_or_null_means_unknown() {
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
fn an_unneeded_field_never_rejects_a_record() {
    let body = json!({"type": "employee.hired", "timestamp": "yesterday-ish", "data":
        {"employee_id": "1", "email": "a@b.co", "first_name": "A", "locale": {"code": "en-US"}}});
    let records = map_json(&mapping(""), &body);
    let [Record::Event { event, dropped, .. }] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((event.at, event.facts.names()), (None, vec!["employed", "email", "given_name"]));
    assert_eq!(dropped.iter().map(|problem| problem.field).collect::<Vec<_>>(), ["occurred_at", "locale"]);
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
    assert_eq!(of("", json!({"employee_id": 1, "first_name": "William", "preferred": null})), Some("William"));
}

#[test]
fn unmentioned_preferred_names_stay() {
    let preferred = |toml: &str, data| {
        let mapping = mapping(&format!("preferred_given_name = '/data/preferred'\n{toml}"));
        only_event(&map_json(&mapping, &record("employee.updated", data))).facts.preferred_given_name.clone()
    };
    let none = Some(Stated::None);
    assert_eq!(preferred("", json!({"employee_id": 1, "first_name": "William"})), None);
    assert_eq!(preferred("", json!({"employee_id": 1, "preferred": ""})), none, "withdrawn alone");
    assert_eq!(
        preferred("", json!({"employee_id": 1, "last_name": "Cody", "preferred": null})),
        None,
        "null says nothing"
    );
    assert_eq!(preferred("null_clears = true", json!({"employee_id": 1, "preferred": null})), none);
    assert_eq!(preferred("", json!({"employee_id": 1, "first_name": "William", "preferred": null})), none);
    assert_eq!(
        preferred("names = 'legal'", json!({"employee_id": 1, "first_name": "William", "preferred": "Bill"})),
        none
    );
}

#[test]
fn an_impossible_mapping_names_the_key_and_the_reason() {
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
    let shown = |show| {
        let body = Bytes::from(body.to_string());
        serde_json::to_value(explain(&mapping(""), &source(), &body, Charset::utf8(), show)).unwrap()
    };
    let record = &shown(Show::default())["records"][0];
    assert_eq!(record["fields"][1]["found_at"], "/data/employee_id");
    assert_eq!((&record["fields"][1]["json_type"], &record["fields"][1]["length"]), (&json!("number"), &json!(4)));
    assert_eq!(record["fields"][2]["problem"], "not an e-mail address (1 characters, 1 at signs)");
    assert_eq!((&record["fields"][3]["length"], &record["fields"][3]["value"]), (&json!(3), &json!(null)));
    assert_eq!(shown(Show { values: true })["records"][0]["fields"][3]["value"], "Zoë");
    assert!(record["paths"].as_array().unwrap().contains(&json!("/data/job~1title")));
    assert_eq!(record["result"]["result"], "event");
    assert_eq!(record["result"]["event"]["facts"]["unusable_email"], true);

    let batch = mapping("records = \"/data\"\ntype = \"/kind\"");
    let shown = |body: &'static [u8]| {
        serde_json::to_value(explain(&batch, &source(), &Bytes::from_static(body), Charset::utf8(), Show::default()))
            .unwrap()
    };
    let record = &shown(br#"{"data":[{"kind":"left"}]}"#)["records"][0];
    assert_eq!(
        (&record["at"], &record["result"]["type_value"], &record["result"]["why"]),
        (&json!("/data/0"), &json!("left"), &json!("not_named"))
    );
    assert_eq!(shown(b"{")["problem"]["code"], "MAP-NOT-JSON");
}

#[test]
fn a_failed_filter_is_reported_beside_what_its_fallback_found() {
    let mapping = mapping("email = [{ jq = '.mails[].value' }, '/data/email']\ngiven_name = { jq = '.mails[]' }");
    let body =
        Bytes::from(record("employee.updated", json!({"employee_id": "1", "email": "a@example.com"})).to_string());
    let shown = serde_json::to_value(explain(&mapping, &source(), &body, Charset::utf8(), Show::default())).unwrap();
    let field = |name: &str| {
        let fields = shown["records"][0]["fields"].as_array().unwrap();
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
