use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn member(json: &str) -> Member {
    read(json.as_bytes(), None).unwrap()
}

const ADA: &str = r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"7","userName":"ada@example.com","externalId":"okta-1","name":{"givenName":"Ada","middleName":"Augusta","familyName":"Lovelace"},"active":true,"locale":"de-DE","groups":[{"value":"g1"}],"urn:ext":{"n":1.50e3},"meta":{"version":"W/\"1\""}}"#;

fn replaced(json: &str, given: Option<&str>, family: Option<&str>) -> String {
    let changes = Changes { given, family, external_id: "E-1", locale: Some("en-US"), ..Changes::default() };
    replacement(&member(json), &changes).unwrap()
}

#[test]
fn a_replacement_is_the_read_member_with_names_set_and_without_meta() {
    let expected = ADA.replace("Lovelace", "King").replace(r#","meta":{"version":"W/\"1\""}"#, "");
    assert_eq!(replaced(ADA, Some("Ada"), Some("King")), expected);
    assert_eq!(replaced(ADA, None, Some("King")), expected);
}

#[test]
fn missing_attributes_are_written_as_in_the_samples() {
    let body = replaced(r#"{"id":7,"userName":"a@b.c","active":false}"#, Some("Ada"), None);
    let expected = json!({
        "id": 7, "userName": "a@b.c", "active": false,
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "name": { "givenName": "Ada" }, "externalId": "E-1", "locale": "en-US", "groups": [],
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    for none in ["null", "\"\"", "\" \""] {
        let json = format!(r#"{{"id":"7","userName":"a@b.c","active":true,"externalId":{none}}}"#);
        assert!(replaced(&json, None, None).contains(r#""externalId":"E-1""#), "{none}");
    }
}

#[test]
fn a_name_that_hr_states_as_absent_is_written_empty() {
    assert!(replaced(ADA, None, Some("")).contains(r#""familyName":"""#));
    let nameless = r#"{"id":"7","userName":"a@b.c","active":true,"name":null}"#;
    assert!(replaced(nameless, Some(""), None).contains(r#""name":null"#));
    assert!(replaced(nameless, Some("Ada"), None).contains(r#""name":{"givenName":"Ada"}"#));
}

#[test]
fn names_in_another_case_are_the_same_attributes() {
    let json = r#"{"ID":"7","username":"a@b.c","ACTIVE":"True","Name":{"GivenName":"Ada","familyname":"L"},"externalid":"x","Meta":{},"Groups":[],"Locale":"de","Schemas":[]}"#;
    let body = replaced(json, None, Some("King"));
    assert_eq!(body, json.replace(r#""L""#, r#""King""#).replace(r#""Meta":{},"#, ""));
}

#[test]
fn a_formatted_name_goes_only_where_it_would_contradict() {
    let with = |formatted: &str| ADA.replace(r#""middleName""#, &format!(r#""formatted":"{formatted}","middleName""#));
    let keeps = |formatted: &str, given, family| replaced(&with(formatted), given, family).contains("formatted");
    assert!(!keeps("Ada Augusta Lovelace", None, Some("King")));
    assert!(!keeps("LOVELACE, ADA", None, Some("")));
    assert!(!keeps("Ada Lovelace", None, Some("Love")));
    assert!(keeps("Ada Lovelace", None, Some("Lovelace")));
    assert!(keeps("Ada Lovelace", None, None));
    assert!(keeps("Ada King-Lovelace", None, Some("King-Lovelace")));
    assert!(keeps("Countess of L.", None, Some("King")));
}

#[test]
fn active_stays_as_read_and_is_required_for_a_body() {
    for (written, active) in [
        ("true", Active::On),
        ("false", Active::Off),
        ("\"True\"", Active::On),
        ("\"False\"", Active::Off),
        ("1", Active::On),
        ("0", Active::Off),
        ("null", Active::Unknown),
        ("\"perhaps\"", Active::Unknown),
        ("{\"value\":true}", Active::Unknown),
    ] {
        let read = member(&ADA.replace("\"active\":true", &format!("\"active\":{written}")));
        assert_eq!(read.active, active, "{written}");
        let body = |active| {
            replacement(&read, &Changes { family: Some("King"), external_id: "E-1", active, ..Changes::default() })
        };
        match active {
            Active::On | Active::Off => {
                assert!(body(None).unwrap().contains(&format!("\"active\":{written},")));
                assert!(body(Some(false)).unwrap().contains("\"active\":false,"));
            }
            Active::Unknown => {
                assert_eq!(body(None), None);
                assert!(body(Some(false)).unwrap().contains("\"active\":false,"));
            }
        }
    }
    let hidden = member(r#"{"id":"7","userName":"a@b.c"}"#);
    assert_eq!(hidden.active, Active::Unknown);
    let off = Changes { active: Some(false), external_id: "E", ..Changes::default() };
    assert!(replacement(&hidden, &off).unwrap().contains("\"active\":false"));
}

#[test]
fn without_patch_one_attribute_changes_and_the_rest_stays() {
    let changed = |changes: Changes| replacement(&member(ADA), &Changes { external_id: "E-1", ..changes }).unwrap();
    let without_meta = ADA.replace(r#","meta":{"version":"W/\"1\""}"#, "");
    let off = changed(Changes { active: Some(false), ..Changes::default() });
    assert_eq!(off, without_meta.replace(r#""active":true"#, r#""active":false"#));
    let moved = changed(Changes { user_name: Some("ada@new.example"), ..Changes::default() });
    assert_eq!(moved, without_meta.replace("ada@example.com", "ada@new.example"));
}

#[test]
fn ids_of_any_shape_are_read_as_written() {
    for (written, id) in [
        ("\"..\"", ".."),
        ("\".\"", "."),
        ("\"a//b\"", "a//b"),
        ("\" \"", " "),
        ("12345678901234567890123", "12345678901234567890123"),
        ("7.0", "7.0"),
    ] {
        assert_eq!(member(&ADA.replace("\"7\"", written)).id, id);
    }
    let long = "x".repeat(10_000);
    assert_eq!(member(&ADA.replace("\"7\"", &format!("\"{long}\""))).id, long);
    for none in ["\"\"", "null", "true", "[\"7\"]"] {
        assert!(read(ADA.replace("\"7\"", none).as_bytes(), None).is_none(), "{none}");
    }
}

#[test]
fn the_version_is_the_servers_own_formatted_for_the_header() {
    let version = |json: &str, etag: Option<&str>| read(json.as_bytes(), etag).unwrap().version;
    let unversioned = r#"{"id":"7","userName":"a@b.c"}"#;
    assert_eq!(version(ADA, None).as_deref(), Some("W/\"1\""));
    assert_eq!(version(ADA, Some("\"of-a-proxy\"")).as_deref(), Some("W/\"1\""));
    assert_eq!(version(&ADA.replace(r#"W/\"1\""#, "1"), Some("\"1\"")).as_deref(), Some("\"1\""));
    assert_eq!(version(unversioned, Some("\"2\"")).as_deref(), Some("\"2\""));
    assert_eq!(version(unversioned, None), None);
    assert_eq!(version(&ADA.replace(r#"W/\"1\""#, r"a\nb"), None), None);
}

#[test]
fn debug_shows_nothing_of_a_member() {
    let shown = format!("{:?}", member(ADA));
    assert!(!shown.contains("ada") && !shown.contains("Lovelace"), "{shown}");
}

/// Any JSON value, as other systems may write it.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        "\\PC{0,12}".prop_map(|text| Value::from(text).to_string()),
        Just("\"\\ud83d\\ude00 \\/ \\u0041\"".to_owned()),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let key = "\\PC{0,6}".prop_map(|key| Value::from(key).to_string());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|list| format!("[ {} ]", list.join(" ,"))),
            prop::collection::vec((key, inner), 0..5).prop_map(|pairs| {
                let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key} : {value}")).collect();
                format!("{{{}}}", pairs.join(", "))
            }),
        ]
    })
}

fn attributes(object: &RawValue) -> Vec<(String, String)> {
    let mut all = Vec::new();
    json::for_each_attribute(object, |key, value| all.push((key.to_owned(), value.get().to_owned()))).unwrap();
    all
}

proptest! {
    #[test]
    fn unknown_attributes_survive_a_write_byte_for_byte(
        unknown in prop::collection::vec(("x[\\PC]{0,8}", any_json()), 0..8),
        parts in prop::collection::vec(("x[a-zA-Z]{0,8}", any_json()), 0..4),
        family in "\\PC{0,12}",
        place in 0_usize..8,
    ) {
        let of = |pairs: &[(String, String)]| -> Vec<String> {
            pairs.iter().map(|(key, value)| format!("{}:\n{value}", Value::from(key.as_str()))).collect()
        };
        let mut name = of(&parts);
        name.push("\"familyName\":\"Lovelace\"".to_owned());
        let mut all = of(&unknown);
        all.insert(place.min(all.len()), format!(
            "\"id\":\"7\",\"userName\":\"a@b.c\",\"active\":false,\"externalId\":\"o\",\"name\":{{{}}}", name.join(",")));
        let json = format!("{{{}}}", all.join(" , "));
        let body = replaced(&json, None, Some(&family));
        let written = attributes(json::document(body.as_bytes()).unwrap());
        let is_unknown = |(key, _): &&(String, String)| key.starts_with('x');
        let survived: Vec<_> = written.iter().filter(is_unknown).cloned().collect();
        prop_assert_eq!(survived, unknown);
        let (_, name) = written.iter().find(|(key, _)| key == "name").unwrap();
        let written = attributes(json::document(name.as_bytes()).unwrap());
        let survived: Vec<_> = written.iter().filter(is_unknown).cloned().collect();
        prop_assert_eq!(survived, parts);
        let again = member(&body);
        let family_read = again.family_name.unwrap_or_default();
        prop_assert_eq!(family_read.trim(), family.trim());
        prop_assert_eq!(again.active, Active::Off);
    }
}
