//! What a record means: hire, update, leave, notice, or nothing that the bridge follows.

use serde_json::json;

use super::tests::{map_bytes, map_json, mapping, only_error, only_event, record, why};
use super::*;
use crate::core::code::Code;
use crate::core::person::EmploymentState::{Employed, Left};
use crate::core::person::Problem;
use crate::core::time::UnixMs;

#[test]
fn an_undecidable_condition_lets_nobody_in() {
    let data = json!({"employee_id": "E-1", "email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace", "tags": 5});
    let body = record("employee.hired", data);
    for conditions in
        ["only_if = [{ jq = '.tags[]' }]", "except_if = [{ jq = '.tags[]' }]", "in_scope_if = [{ jq = '.tags[]' }]"]
    {
        let found = map_json(&mapping(conditions), &body);
        assert_eq!(only_error(&found).0, Code::MapField, "{conditions}");
    }
    let found = map_json(&mapping("email = { path = '/data/email', except_if = [{ jq = '.tags[]' }] }"), &body);
    let [Record::Event { event, .. }, Record::Unmapped { code: Code::MapField, .. }] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(event.facts.unusable_email && event.facts.email.is_none());
    only_event(&map_json(&mapping("except_if = [{ jq = '.tags > 9' }]"), &body));
}

#[test]
fn a_change_of_no_followed_field_is_ignored() {
    let records = map_json(&mapping(""), &record("employee.updated", json!({"employee_id": "1", "job_title": "Lead"})));
    assert_eq!(why(&records), (IgnoredWhy::StatesNothing, Some("employee.updated")));
}

#[test]
fn an_unknown_type_is_distinguished_from_an_ignored_one() {
    let of = |kind: &str| map_json(&mapping("ignore = ['payroll.run']"), &record(kind, json!({})));
    assert_eq!(why(&of("payroll.run")), (IgnoredWhy::Listed, Some("payroll.run")));
    assert_eq!(why(&of("employee.created")), (IgnoredWhy::NotNamed, Some("employee.created")));
    let odd = of(&format!("a\u{0}\n{}", "x".repeat(500)));
    assert_eq!(why(&odd).1.unwrap().len(), 80);
    assert_eq!(
        only_error(&map_json(&mapping(""), &json!({"data": {"employee_id": "1"}}))).1.split(" (").next(),
        Some("type: missing or blank")
    );
}

#[test]
fn configured_types_replace_the_defaults() {
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
    // The end of an earlier employment.
    assert_eq!(
        stated(&of(r#"{"type":"changed","id":1,"at":"2026-06-01","status":"active","end":"2025-12-31"}"#)),
        Some((Employed, None))
    );
}

#[test]
fn conditions_select_records_and_people() {
    let mapping = mapping(
        "only_if = [{ path = '/data/kind', equals = 'employee' }]\nin_scope_if = [{ path = '/data/department', in = ['sales'] }]\nout_of_scope = 'leave'",
    );
    let of = |data: serde_json::Value| map_json(&mapping, &record("employee.updated", data));
    assert_eq!(why(&of(json!({"employee_id": 1, "kind": "contractor", "last_name": "K"}))).0, IgnoredWhy::Condition);
    let inside = of(json!({"employee_id": 1, "kind": "employee", "department": "sales", "last_name": "K"}));
    assert_eq!(only_event(&inside).facts.names(), ["in_scope", "family_name"]);
    // It may bring somebody back into scope.
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
    let ignoring = self::mapping(ignores);
    let outside = json!({"employee_id": 1, "department": "it", "last_name": "K", "email": "a@example.com"});
    assert_eq!(why(&map_json(&ignoring, &record("employee.updated", outside.clone()))).0, IgnoredWhy::OutOfScope);
    // The leave still applies to a person who was in scope before; about anybody else, nothing is known.
    let left = map_json(&ignoring, &record("employee.left", outside));
    let left = only_event(&left);
    assert_eq!((left.kind, left.facts.names(), left.facts.asks_nothing), (EventKind::Leave, vec!["left"], true));
    let inside = record("employee.updated", json!({"employee_id": 1, "department": "sales", "last_name": "K"}));
    assert_eq!(only_event(&map_json(&self::mapping(ignores), &inside)).facts.names(), ["family_name"]);
}

#[test]
fn rules_give_the_kind_if_the_type_does_not() {
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
fn a_notice_carries_no_facts() {
    let records = map_json(&mapping("notice = ['x']"), &record("x", json!({"employee_id": 1, "first_name": "A"})));
    assert_eq!((only_event(&records).kind, only_event(&records).facts.is_empty()), (EventKind::Notice, true));
}

#[test]
fn the_longest_matching_prefix_wins_and_an_exact_name_beats_prefixes() {
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
fn an_unfollowed_field_may_have_any_shape() {
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
fn a_removed_record_is_a_notice_that_means_a_leave_if_nobody_is_found() {
    let mapping = mapping("deleted = ['employee.removed']");
    let records = map_json(&mapping, &record("employee.removed", json!({"employee_id": "E-1"})));
    let event = only_event(&records);
    assert_eq!((event.kind, event.facts.employment), (EventKind::Notice, Some((Left, None))));
}

#[test]
fn a_status_is_distinguished_from_an_announced_end() {
    let mapping = mapping(
        "status = '/data/status'\nactive_values = ['active']\nleft_values = ['gone']\nother_values = ['on leave']\n\
         ends_at = '/data/ends'\nin_scope_if = [{ path = '/data/dept', equals = 'R&D' }]\nout_of_scope = 'leave'",
    );
    for (kind, status, dept, is_status) in [
        ("employee.updated", "active", "R&D", true),
        ("employee.updated", "gone", "R&D", true),
        ("employee.updated", "active", "Sales", true),
        ("employee.updated", "on leave", "R&D", false),
        ("employee.hired", "active", "R&D", false),
        ("employee.left", "gone", "R&D", false),
    ] {
        let data = json!({"employee_id": "E-1", "status": status, "ends": "2027-01-31", "dept": dept});
        let records = map_json(&mapping, &record(kind, data));
        let Some(Record::Event { event, .. }) = records.first() else { panic!("{records:?}") };
        assert_eq!(
            (event.facts.is_status, event.facts.employment.is_some()),
            (is_status, true),
            "{kind} {status} {dept}"
        );
    }
}
