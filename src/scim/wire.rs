//! Requests as HTTP: method, path and JSON, as Postman's published samples send them.

use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::core::reconcile::group::GroupCall;
use crate::core::reconcile::request::{Carrier, Request, UserToCreate};
use crate::core::reconcile::search::PAGE_MEMBERS;

/// What RFC 3986 §2.3 calls unreserved stays; all else is encoded, and so reads the same everywhere: a
/// plus as `%2B`, a space as `%20`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request ready to be sent.
#[derive(Debug)]
pub struct Wire {
    /// The HTTP method.
    pub method: Method,
    /// What follows the base URL: path and query.
    pub target: String,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// The JSON body, for a write.
    pub body: Option<Vec<u8>>,
}

/// Encodes a request. `locale` is sent for members whose source has none.
#[must_use]
pub fn encode(request: &Request, locale: &str) -> Wire {
    let read = |target: String| Wire { method: Method::GET, target, if_match: None, body: None };
    let write = |method, target, body| Wire { method, target, if_match: None, body: Some(body) };
    let patch_all = |id: &str, operations: Vec<Value>| {
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": operations,
        });
        write(Method::PATCH, user(id), patch.to_string().into_bytes())
    };
    let patch = |id: &str, operation: Value| patch_all(id, vec![operation]);
    match request {
        Request::Create(user) => write(Method::POST, "/Users".to_owned(), user_json(user, locale)),
        Request::Replace { id, body, if_match }
        | Request::SetActive { id, by: Carrier::Put { body, if_match }, .. }
        | Request::SetUserName { id, by: Carrier::Put { body, if_match }, .. } => {
            Wire { if_match: if_match.clone(), ..write(Method::PUT, user(id), body.clone().into_bytes()) }
        }
        Request::SetActive { id, active, by: Carrier::Patch } => {
            patch(id, json!({ "op": "replace", "value": { "active": active } }))
        }
        Request::SetUserName { id, user_name, by: Carrier::Patch } => {
            patch(id, json!({ "op": "replace", "path": "userName", "value": user_name }))
        }
        Request::SetNames { id, given_name, family_name, by_path: true } => {
            let name = name_json(given_name.as_deref(), family_name.as_deref());
            let operation = |(part, value)| json!({ "op": "replace", "path": format!("name.{part}"), "value": value });
            patch_all(id, name.into_iter().map(operation).collect())
        }
        Request::SetNames { id, given_name, family_name, by_path: false } => {
            let name = name_json(given_name.as_deref(), family_name.as_deref());
            patch(id, json!({ "op": "replace", "value": { "name": name } }))
        }
        Request::Group(call) => group(call),
        Request::Get { id } => read(user(id)),
        Request::Find { user_name } => read(format!("/Users?filter={}", encoded(&filter("userName", user_name)))),
        Request::FindExternalId { external_id } => {
            read(format!("/Users?filter={}", encoded(&filter("externalId", external_id))))
        }
        Request::Page { start_index } => read(format!("/Users?startIndex={start_index}&count={PAGE_MEMBERS}")),
        Request::Probe => read("/Users?startIndex=1&count=1".to_owned()),
        Request::Discover => read("/ServiceProviderConfig".to_owned()),
    }
}

fn group(call: &GroupCall) -> Wire {
    let read = |target: String| Wire { method: Method::GET, target, if_match: None, body: None };
    let patch = |id: &str, operation: Value| {
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [operation],
        });
        Wire {
            method: Method::PATCH,
            target: group_path(id),
            if_match: None,
            body: Some(patch.to_string().into_bytes()),
        }
    };
    match call {
        GroupCall::Find { name } => read(format!("/Groups?filter={}", encoded(&filter("displayName", name)))),
        GroupCall::Page { start_index } => read(format!("/Groups?startIndex={start_index}&count={PAGE_MEMBERS}")),
        GroupCall::Get { id } => read(group_path(id)),
        GroupCall::Create { name } => {
            let group = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "displayName": name,
                "members": [],
            });
            let body = Some(group.to_string().into_bytes());
            Wire { method: Method::POST, target: "/Groups".to_owned(), if_match: None, body }
        }
        GroupCall::Add { id, by: Carrier::Put { body, if_match }, .. }
        | GroupCall::Remove { id, by: Carrier::Put { body, if_match }, .. } => Wire {
            method: Method::PUT,
            target: group_path(id),
            if_match: if_match.clone(),
            body: Some(body.clone().into_bytes()),
        },
        GroupCall::Add { id, member, by: Carrier::Patch } => {
            patch(id, json!({ "op": "add", "path": "members", "value": [{ "value": member }] }))
        }
        GroupCall::Remove { id, member, by: Carrier::Patch } => {
            patch(id, json!({ "op": "remove", "path": format!("members[{}]", filter("value", member)) }))
        }
    }
}

/// The path of a member.
fn user(id: &str) -> String {
    format!("/Users/{}", segment(id))
}

fn group_path(id: &str) -> String {
    format!("/Groups/{}", segment(id))
}

/// An id as a segment of a path. URL libraries resolve `.` and `..` as relative paths, so those are encoded, too.
fn segment(id: &str) -> String {
    if matches!(id, "." | "..") { id.replace('.', "%2E") } else { encoded(id) }
}

/// `attribute eq "…"` with the value as a JSON string (RFC 7644 §3.4.2.2).
fn filter(attribute: &str, value: &str) -> String {
    format!("{attribute} eq {}", Value::from(value))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn name_json(given_name: Option<&str>, family_name: Option<&str>) -> Map<String, Value> {
    let parts = [("givenName", given_name), ("familyName", family_name)];
    parts.into_iter().filter_map(|(key, part)| Some((key.to_owned(), Value::from(part?)))).collect()
}

fn user_json(user: &UserToCreate, locale: &str) -> Vec<u8> {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": user.user_name,
        "name": name_json(user.given_name.as_deref(), user.family_name.as_deref()),
        "externalId": user.external_id,
        "locale": user.locale.as_deref().unwrap_or(locale),
        "groups": [],
        "active": true,
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(request: &Request) -> (String, String, Value) {
        let wire = encode(request, "en-US");
        let body = wire.body.map_or(Value::Null, |body| serde_json::from_slice(&body).unwrap());
        (wire.method.to_string(), wire.target, body)
    }

    fn patched(request: &Request) -> Value {
        let (method, target, mut body) = sent(request);
        assert_eq!((method.as_str(), target.as_str()), ("PATCH", "/Users/7"));
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:PatchOp"]));
        assert_eq!(body["Operations"].as_array().map(Vec::len), Some(1));
        body["Operations"][0].take()
    }

    fn user_to_create() -> UserToCreate {
        UserToCreate {
            user_name: "ada@example.com".to_owned(),
            given_name: Some("Test".to_owned()),
            family_name: Some("User".to_owned()),
            external_id: "23123123".to_owned(),
            locale: None,
        }
    }

    #[test]
    fn a_create_sends_what_the_samples_send() {
        let sample = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "ada@example.com",
            "name": { "givenName": "Test", "familyName": "User" },
            "externalId": "23123123",
            "locale": "en-US",
            "groups": [],
            "active": true
        });
        assert_eq!(sent(&Request::Create(user_to_create())), ("POST".to_owned(), "/Users".to_owned(), sample));
    }

    #[test]
    fn unknown_fields_are_left_out_and_hrs_locale_wins() {
        let user = UserToCreate { given_name: None, locale: Some("de-DE".to_owned()), ..user_to_create() };
        let (_, _, body) = sent(&Request::Create(user));
        assert_eq!(body["name"], json!({ "familyName": "User" }));
        assert_eq!(body["locale"], "de-DE");
    }

    #[test]
    fn a_replacement_goes_as_it_is_with_the_version_that_was_read() {
        let body = r#"{"id":"7","n":1.50}"#.to_owned();
        let if_match = Some("W/\"3\"".to_owned());
        let wire = encode(&Request::Replace { id: "7".to_owned(), body: body.clone(), if_match }, "en-US");
        assert_eq!((wire.method, wire.target.as_str()), (Method::PUT, "/Users/7"));
        assert_eq!((wire.body, wire.if_match.as_deref()), (Some(body.into_bytes()), Some("W/\"3\"")));
    }

    #[test]
    fn a_patch_is_one_operation_as_documented() {
        let id = || "7".to_owned();
        for active in [true, false] {
            let operation = json!({ "op": "replace", "value": { "active": active } });
            assert_eq!(patched(&Request::SetActive { id: id(), active, by: Carrier::Patch }), operation);
        }
        assert_eq!(
            patched(&Request::SetUserName { id: id(), user_name: "new@example.com".to_owned(), by: Carrier::Patch }),
            json!({ "op": "replace", "path": "userName", "value": "new@example.com" })
        );
        assert_eq!(
            patched(&Request::SetNames {
                id: id(),
                given_name: None,
                family_name: Some(String::new()),
                by_path: false
            }),
            json!({ "op": "replace", "value": { "name": { "familyName": "" } } })
        );
        assert_eq!(
            patched(&Request::SetNames {
                id: id(),
                given_name: None,
                family_name: Some("King".to_owned()),
                by_path: true
            }),
            json!({ "op": "replace", "path": "name.familyName", "value": "King" })
        );
    }

    #[test]
    fn a_member_is_added_to_a_group_and_removed_by_a_path() {
        let (id, member) = ("g/1".to_owned(), "u\"1".to_owned());
        let (method, target, body) =
            sent(&Request::Group(GroupCall::Add { id: id.clone(), member: member.clone(), by: Carrier::Patch }));
        assert_eq!((method.as_str(), target.as_str()), ("PATCH", "/Groups/g%2F1"));
        assert_eq!(body["Operations"][0], json!({ "op": "add", "path": "members", "value": [{ "value": member }] }));
        let (_, _, body) = sent(&Request::Group(GroupCall::Remove { id, member, by: Carrier::Patch }));
        assert_eq!(body["Operations"][0], json!({ "op": "remove", "path": "members[value eq \"u\\\"1\"]" }));
        let (_, target, _) = sent(&Request::Group(GroupCall::Find { name: "R&D".to_owned() }));
        assert_eq!(target, "/Groups?filter=displayName%20eq%20%22R%26D%22");
    }

    #[test]
    fn hostile_values_stay_values() {
        let (_, target, _) = sent(&Request::Find { user_name: "a+b\"or\\x y@example.com".to_owned() });
        assert_eq!(target, "/Users?filter=userName%20eq%20%22a%2Bb%5C%22or%5C%5Cx%20y%40example.com%22");
        for (id, segment) in [
            ("../x/y?z#", "..%2Fx%2Fy%3Fz%23"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            ("a//b", "a%2F%2Fb"),
            ("%2e", "%252e"),
            ("\u{e9} ", "%C3%A9%20"),
            ("48f.x_y-z~", "48f.x_y-z~"),
        ] {
            assert_eq!(sent(&Request::Get { id: id.to_owned() }).1, format!("/Users/{segment}"));
        }
    }

    #[test]
    fn the_other_calls_are_as_documented() {
        assert_eq!(sent(&Request::Probe).1, "/Users?startIndex=1&count=1");
        assert_eq!(sent(&Request::Page { start_index: 101 }).1, "/Users?startIndex=101&count=100");
        assert_eq!(sent(&Request::Discover).1, "/ServiceProviderConfig");
    }
}
