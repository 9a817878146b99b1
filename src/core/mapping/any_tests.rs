//! Any bytes and any JSON are mapped to some result without a panic, and `explain` shows that same result.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::tests::{map_bytes, map_json, names, record, source};
use super::*;
use crate::core::json::Charset;

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
    fn any_bytes_are_mapped_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = map_bytes(&Mapping::default(), &body);
        let _ = explain(&Mapping::default(), &source(), &Bytes::from(body), Charset::utf8(), Show::default());
    }

    #[test]
    fn any_json_is_mapped_to_what_explain_shows(body in any_json()) {
        let mapping = Mapping::default();
        let mut records = map_json(&mapping, &body).into_iter().peekable();
        let expected = match &body { serde_json::Value::Array(items) => items.len(), _ => 1 };
        let explained = explain(&mapping, &source(), &Bytes::from(body.to_string()), Charset::utf8(), Show::default());
        prop_assert_eq!(explained.records.len().max(usize::from(explained.problem.is_some())), expected);
        for shown in &explained.records {
            let record = records.next().unwrap();
            let same = match (&record, &shown.result) {
                (Record::Event { event: a, .. }, RecordResult::Event { event: b, .. }) => a == b,
                (Record::Ignored(_), RecordResult::Ignored { .. }) => true,
                (Record::Unmapped { code, .. }, RecordResult::Unmapped { code: shown, .. }) => code == shown,
                _ => false,
            };
            prop_assert!(same);
            // A field that cannot be used is recorded with the event.
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
