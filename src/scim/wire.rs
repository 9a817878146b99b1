//! Requests as HTTP: method, URL and JSON, as Postman's published samples send them.

use reqwest::Method;
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use crate::core::scim::{Request, UserToSend};
use crate::core::search::PAGE_MEMBERS;

/// A request ready to be sent.
#[derive(Debug)]
pub struct Wire {
    /// The HTTP method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// The JSON body, for a write.
    pub body: Option<Vec<u8>>,
}

/// Encodes a request. `locale` is sent for members whose event tells none.
#[must_use]
pub fn encode(request: &Request, base_url: &Url, locale: &str) -> Wire {
    let users = |id: Option<&str>, query: Option<&str>| {
        let mut url = base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("Users").extend(id);
        }
        url.set_query(query);
        url
    };
    match request {
        Request::Create(user) => {
            Wire { method: Method::POST, url: users(None, None), body: Some(user_json(user, locale)) }
        }
        Request::Replace { id, user } => {
            Wire { method: Method::PUT, url: users(Some(id), None), body: Some(user_json(user, locale)) }
        }
        Request::Activate { id } => {
            let patch = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{ "op": "replace", "value": { "active": true } }],
            });
            Wire { method: Method::PATCH, url: users(Some(id), None), body: Some(patch.to_string().into_bytes()) }
        }
        Request::Get { id } => Wire { method: Method::GET, url: users(Some(id), None), body: None },
        Request::Find { user_name } => {
            let query = format!("filter={}", percent_encoded(&filter(user_name)));
            Wire { method: Method::GET, url: users(None, Some(&query)), body: None }
        }
        Request::Page { start_index } => {
            let query = format!("startIndex={start_index}&count={PAGE_MEMBERS}");
            Wire { method: Method::GET, url: users(None, Some(&query)), body: None }
        }
        Request::Probe => Wire { method: Method::GET, url: users(None, Some("startIndex=1&count=1")), body: None },
        Request::Discover => {
            let mut url = base_url.clone();
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().push("ServiceProviderConfig");
            }
            Wire { method: Method::GET, url, body: None }
        }
    }
}

/// `userName eq "…"` with the value as a JSON string (RFC 7644 §3.4.2.2).
fn filter(user_name: &str) -> String {
    format!("userName eq {}", Value::from(user_name))
}

/// For a query: a space as `%20` and a plus as `%2B`, which every server reads the same way.
fn percent_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn user_json(user: &UserToSend, locale: &str) -> Vec<u8> {
    let mut name = Map::new();
    let parts = [("givenName", &user.given_name), ("familyName", &user.family_name)];
    for (key, part) in parts {
        if let Some(part) = part {
            name.insert(key.to_owned(), Value::from(part.as_str()));
        }
    }
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": user.user_name,
        "name": name,
        "externalId": user.external_id,
        "locale": user.locale.as_deref().unwrap_or(locale),
        "groups": [],
    });
    if let Some(active) = user.active {
        body["active"] = Value::from(active);
    }
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(request: &Request) -> (String, String, Value) {
        let base = Url::parse("https://api.getpostman.com/scim/v2/").unwrap();
        let wire = encode(request, &base, "en-US");
        let body = wire.body.map_or(Value::Null, |body| serde_json::from_slice(&body).unwrap());
        (wire.method.to_string(), wire.url.to_string(), body)
    }

    fn user() -> UserToSend {
        UserToSend {
            user_name: "ada@example.com".to_owned(),
            given_name: Some("Test".to_owned()),
            family_name: Some("User".to_owned()),
            external_id: "23123123".to_owned(),
            locale: None,
            active: Some(true),
        }
    }

    #[test]
    fn create_and_replace_send_what_the_samples_send() {
        let sample = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "ada@example.com",
            "name": { "givenName": "Test", "familyName": "User" },
            "externalId": "23123123",
            "locale": "en-US",
            "groups": [],
            "active": true
        });
        let (method, url, body) = encoded(&Request::Create(user()));
        assert_eq!((method.as_str(), url.as_str()), ("POST", "https://api.getpostman.com/scim/v2/Users"));
        assert_eq!(body, sample);
        let (method, url, body) = encoded(&Request::Replace { id: "4057".to_owned(), user: user() });
        assert_eq!((method.as_str(), url.as_str()), ("PUT", "https://api.getpostman.com/scim/v2/Users/4057"));
        assert_eq!(body, sample);
    }

    #[test]
    fn what_is_not_known_is_left_out_and_what_is_told_wins() {
        let user = UserToSend { given_name: None, locale: Some("de-DE".to_owned()), active: None, ..user() };
        let (_, _, body) = encoded(&Request::Create(user));
        assert_eq!(body["name"], json!({ "familyName": "User" }));
        assert_eq!(body["locale"], "de-DE");
        assert!(body.get("active").is_none());
    }

    #[test]
    fn hostile_values_stay_values() {
        let (_, url, _) = encoded(&Request::Find { user_name: "a+b\"or\\x y@example.com".to_owned() });
        assert_eq!(
            url,
            "https://api.getpostman.com/scim/v2/Users?filter=userName%20eq%20%22a%2Bb%5C%22or%5C%5Cx%20y%40example.com%22"
        );
        let (_, url, _) = encoded(&Request::Get { id: "../x/y?z#".to_owned() });
        assert_eq!(url, "https://api.getpostman.com/scim/v2/Users/..%2Fx%2Fy%3Fz%23");
    }

    #[test]
    fn the_other_calls_are_as_documented() {
        assert_eq!(encoded(&Request::Probe).1, "https://api.getpostman.com/scim/v2/Users?startIndex=1&count=1");
        assert_eq!(
            encoded(&Request::Page { start_index: 101 }).1,
            "https://api.getpostman.com/scim/v2/Users?startIndex=101&count=100"
        );
        assert_eq!(encoded(&Request::Discover).1, "https://api.getpostman.com/scim/v2/ServiceProviderConfig");
        let (method, url, body) = encoded(&Request::Activate { id: "7".to_owned() });
        assert_eq!((method.as_str(), url.as_str()), ("PATCH", "https://api.getpostman.com/scim/v2/Users/7"));
        assert_eq!(body["Operations"][0], json!({ "op": "replace", "value": { "active": true } }));
    }
}
