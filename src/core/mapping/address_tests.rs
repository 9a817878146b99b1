//! Addresses that stay out, and hires that wait for one.

use serde_json::json;

use super::tests::{map_json, mapping, only_error, only_event, record};
use super::*;
use crate::core::code::Code;
use crate::core::person::Problem;

#[test]
fn a_bad_address_stops_a_hire_but_not_a_change() {
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
    assert_eq!(only_error(&alone).0, Code::MapField);
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
    let [Record::Event { event, dropped, .. }] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((event.facts.email.is_none(), &dropped[0].problem), (true, &Problem::OtherDomain));
}

#[test]
fn a_private_address_of_another_domain_is_no_problem() {
    let private = mapping("address_domains = ['example.com']\nemail = { path = '/data/private', private = true }");
    let records = map_json(&private, &record("employee.hired", json!({"employee_id": 1, "private": "a@home.example"})));
    let [Record::Event { event, dropped, .. }] = records.as_slice() else { panic!("{records:?}") };
    assert!(event.facts.email.is_none() && dropped.is_empty(), "it was never meant for use: {dropped:?}");
}

#[test]
fn a_hire_with_a_word_for_an_address_waits_for_an_address() {
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
