//! Successful replies: members, lists and discovery.

use std::borrow::Cow;
use std::fmt;

use serde_json::json;

use super::member::Member;
use super::replies::{JSON, ReplyName};

/// A whole reply.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: Cow<'static, str>,
    pub(super) headers: Vec<(Cow<'static, str>, String)>,
    pub(super) body: Cow<'static, [u8]>,
}

impl fmt::Debug for Response {
    /// Leaves out the body, which contains personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.status)
    }
}

impl Response {
    pub(super) fn json(status: u16, body: Vec<u8>) -> Self {
        Self { status, content_type: Cow::Borrowed(JSON), headers: Vec::new(), body: Cow::Owned(body) }
    }
}

impl From<ReplyName> for Response {
    fn from(reply: ReplyName) -> Self {
        Self {
            status: reply.status(),
            content_type: Cow::Borrowed(JSON),
            headers: Vec::new(),
            body: Cow::Borrowed(reply.body().as_bytes()),
        }
    }
}

/// A member in SCIM form, with a version if versions are on.
pub(super) fn reply(status: u16, member: &Member, versions: bool) -> Response {
    // Members are plain JSON, so serialising cannot fail.
    if !versions {
        return Response::json(status, serde_json::to_vec(member).unwrap_or_default());
    }
    let mut response = Response::json(status, serde_json::to_vec(&member.with_version()).unwrap_or_default());
    response.headers.push((Cow::Borrowed("ETag"), member.etag()));
    response
}

/// RFC 7644's list response, with Postman's way of counting.
pub(super) fn page(total: usize, start: usize, count: usize, members: &[&Member], versions: bool) -> Response {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a> {
        schemas: [&'static str; 1],
        total_results: usize,
        start_index: usize,
        items_per_page: usize,
        #[serde(rename = "Resources")]
        resources: &'a [Cow<'a, Member>],
    }
    let shown =
        members.iter().map(|member| if versions { Cow::Owned(member.with_version()) } else { Cow::Borrowed(*member) });
    let resources: Vec<_> = shown.collect();
    let list = List {
        schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        total_results: total,
        start_index: start,
        // The number requested instead of the number returned, so clients must not rely on it.
        items_per_page: count,
        resources: &resources,
    };
    Response::json(200, serde_json::to_vec(&list).unwrap_or_default())
}

/// The features that Postman advertises.
pub(super) fn service_provider_config(versions: bool) -> Vec<u8> {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": 100},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": versions},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "Authentication scheme using the OAuth Bearer Token Standard",
        }],
    })
    .to_string()
    .into_bytes()
}

/// A bare array, unlike RFC 7644's list response.
pub(super) fn resource_types() -> Vec<u8> {
    let resource = |name: &str, endpoint: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": name,
            "name": name,
            "endpoint": endpoint,
            "schema": format!("urn:ietf:params:scim:schemas:core:2.0:{name}"),
        })
    };
    json!([resource("User", "/Users"), resource("Group", "/Groups")]).to_string().into_bytes()
}

/// Not documented by Postman; enough for clients that ask.
pub(super) fn schemas() -> Vec<u8> {
    json!([{"id": "urn:ietf:params:scim:schemas:core:2.0:User", "name": "User"}]).to_string().into_bytes()
}
