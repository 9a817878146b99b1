//! Parses a request to the SCIM API into the action it asks for.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::form_urlencoded;

use super::group::GroupAction;
use super::journal::Operation;
use super::member::UserIn;
use super::replies::ReplyName;

/// The API's base path.
pub(super) const BASE: &str = "/scim/v2";

/// The largest page.
const PAGE_MAX: usize = 100;

/// A parsed request.
pub(super) struct Call {
    pub(super) operation: Operation,
    /// The id in the path.
    pub(super) id: Option<Box<str>>,
    pub(super) action: Action,
}

/// The action it asks for.
pub(super) enum Action {
    Create(UserIn),
    Get,
    Find(String),
    Page {
        active: Option<bool>,
        start: usize,
        count: usize,
    },
    Replace(UserIn),
    Switch(bool),
    Readdress(String),
    Group(GroupAction),
    ServiceProviderConfig,
    ResourceTypes,
    Schemas,
    /// None: the call is answered with this error.
    Refuse(ReplyName),
}

impl Call {
    /// Parses a request below [`BASE`]; `path` is relative to it.
    pub(super) fn read(method: &str, path: &str, query: &str, body: &[u8]) -> Self {
        let write = !matches!(method, "GET" | "HEAD");
        let other = if write { Operation::OtherWrite } else { Operation::OtherRead };
        let plain = |operation, action| Self { operation, id: None, action };
        let refuse = |operation, reply| Self { operation, id: None, action: Action::Refuse(reply) };
        match (method, path) {
            ("POST", "/Users") => match UserIn::parse(body) {
                Some(user) => plain(Operation::Create, Action::Create(user)),
                None => refuse(Operation::Create, ReplyName::InvalidSyntax),
            },
            ("GET", "/Users") => list(query),
            ("POST", "/Groups") => match GroupAction::create(body) {
                Some(action) => plain(Operation::CreateGroup, Action::Group(action)),
                None => refuse(Operation::CreateGroup, ReplyName::InvalidSyntax),
            },
            ("GET", "/Groups") => match GroupAction::list(query) {
                Some(action) => plain(Operation::FindGroup, Action::Group(action)),
                None => refuse(Operation::FindGroup, ReplyName::InvalidFilter),
            },
            ("PUT" | "PATCH", "/Users" | "/Users/") => refuse(other, ReplyName::NotFoundNonScim),
            ("GET", "/ServiceProviderConfig") => plain(Operation::Discover, Action::ServiceProviderConfig),
            ("GET", "/ResourceTypes") => plain(Operation::Discover, Action::ResourceTypes),
            ("GET", "/Schemas") => plain(Operation::Discover, Action::Schemas),
            (_, "/Users" | "/Groups" | "/ServiceProviderConfig" | "/ResourceTypes" | "/Schemas") => {
                refuse(other, ReplyName::MethodNotAllowed)
            }
            _ => match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
                Some((_, id)) if id.is_empty() || id.contains('/') => refuse(other, ReplyName::NotFoundNonScim),
                Some(("Users", id)) => one(method, id, body, other),
                Some(("Groups", id)) => one_group(method, id, body, other),
                Some(_) | None => refuse(other, ReplyName::NotFoundNonScim),
            },
        }
    }

    /// The `userName` in the request.
    pub(super) fn user_name(&self) -> Option<&str> {
        match &self.action {
            Action::Create(user) | Action::Replace(user) => user.user_name.as_deref(),
            Action::Find(user_name) | Action::Readdress(user_name) => Some(user_name),
            _ => None,
        }
    }
}

fn one(method: &str, id: &str, body: &[u8], other: Operation) -> Call {
    let invalid = Action::Refuse(ReplyName::InvalidSyntax);
    let (operation, action) = match method {
        "GET" => (Operation::Get, Action::Get),
        "PUT" => (Operation::Replace, UserIn::parse(body).map_or(invalid, Action::Replace)),
        "PATCH" => match patch(body) {
            Some(Patch::Active(true)) => (Operation::Activate, Action::Switch(true)),
            Some(Patch::Active(false)) => (Operation::Deactivate, Action::Switch(false)),
            Some(Patch::UserName(user_name)) => (Operation::SetUserName, Action::Readdress(user_name)),
            None => (other, invalid),
        },
        _ => (other, Action::Refuse(ReplyName::MethodNotAllowed)),
    };
    let id = percent_decode_str(id).decode_utf8_lossy();
    Call { operation, id: Some(id.into()), action }
}

fn one_group(method: &str, id: &str, body: &[u8], other: Operation) -> Call {
    let (operation, action) = match method {
        "GET" => (Operation::GetGroup, Action::Group(GroupAction::Get)),
        "PATCH" => (
            Operation::PatchGroup,
            GroupAction::patch(body).map_or(Action::Refuse(ReplyName::InvalidSyntax), Action::Group),
        ),
        _ => (other, Action::Refuse(ReplyName::MethodNotAllowed)),
    };
    Call { operation, id: Some(percent_decode_str(id).decode_utf8_lossy().into()), action }
}

#[derive(Deserialize)]
struct PatchOp {
    schemas: Vec<String>,
    #[serde(rename = "Operations")]
    operations: Vec<PatchStep>,
}

#[derive(Deserialize)]
struct PatchStep {
    op: String,
    #[serde(default)]
    path: Option<String>,
    value: serde_json::Value,
}

/// What a PATCH can set at Postman.
#[derive(Debug, PartialEq, Eq)]
enum Patch {
    Active(bool),
    UserName(String),
}

/// What a PATCH sets; none if Postman documents no such PATCH.
fn patch(body: &[u8]) -> Option<Patch> {
    let patch: PatchOp = serde_json::from_slice(body).ok()?;
    let [step] = patch.operations.as_slice() else { return None };
    if !patch.schemas.iter().any(|s| s == "urn:ietf:params:scim:api:messages:2.0:PatchOp")
        || !step.op.eq_ignore_ascii_case("replace")
    {
        return None;
    }
    match step.path.as_deref() {
        None => step.value.get("active")?.as_bool().map(Patch::Active),
        Some("active") => step.value.as_bool().map(Patch::Active),
        Some("userName") => {
            let user_name =
                step.value.as_str().filter(|name| name.contains('@') && !name.contains(char::is_whitespace))?;
            Some(Patch::UserName(user_name.to_owned()))
        }
        Some(_) => None,
    }
}

fn list(query: &str) -> Call {
    let (mut start, mut count) = (1, PAGE_MAX);
    let mut filter = None;
    let refuse = |reply| Call { operation: Operation::Page, id: None, action: Action::Refuse(reply) };
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "startIndex" | "count" => {
                let Ok(n) = value.parse::<i64>() else { return refuse(ReplyName::InvalidSyntax) };
                let n = usize::try_from(n).unwrap_or(0);
                if key == "count" { count = n.min(PAGE_MAX) } else { start = n.max(1) }
            }
            "filter" => filter = Some(value),
            _ => {}
        }
    }
    let mut active = None;
    if let Some(filter) = filter {
        // RFC 7644 3.4.2.2: attribute names and operators are case-insensitive.
        let mut words = filter.trim().splitn(3, ' ');
        let (attribute, op, value) = (words.next(), words.next(), words.next());
        let attribute = attribute.unwrap_or_default().to_ascii_lowercase();
        let value = value.unwrap_or_default().trim();
        if !op.is_some_and(|op| op.eq_ignore_ascii_case("eq")) {
            return refuse(ReplyName::InvalidFilter);
        }
        match (&*attribute, value) {
            ("active", "true") => active = Some(true),
            ("active", "false") => active = Some(false),
            ("username", quoted) => match serde_json::from_str::<String>(quoted) {
                Ok(user_name) => {
                    return Call { operation: Operation::Find, id: None, action: Action::Find(user_name) };
                }
                Err(_) => return refuse(ReplyName::InvalidFilter),
            },
            _ => return refuse(ReplyName::InvalidFilter),
        }
    }
    Call { operation: Operation::Page, id: None, action: Action::Page { active, start, count } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(query: &str) -> Option<String> {
        match Call::read("GET", "/Users", query, b"").action {
            Action::Find(user_name) | Action::Readdress(user_name) => Some(user_name),
            _ => None,
        }
    }

    #[test]
    fn a_plus_has_to_be_escaped_to_survive_the_query() {
        assert_eq!(found("filter=userName%20eq%20%22a%2Bb%40x.test%22").as_deref(), Some("a+b@x.test"));
        assert_eq!(found("filter=userName+eq+%22a+b%40x.test%22").as_deref(), Some("a b@x.test"));
    }

    #[test]
    fn a_filter_that_postman_does_not_have_is_refused() {
        for filter in
            ["externalId eq \"1\"", "userName sw \"a\"", "userName eq a", "active eq \"true\"", "", "userName"]
        {
            let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("filter", filter).finish();
            let call = Call::read("GET", "/Users", &query, b"");
            assert!(matches!(call.action, Action::Refuse(ReplyName::InvalidFilter)), "{filter}");
        }
    }

    #[test]
    fn a_page_is_never_larger_than_a_hundred() {
        for (query, want) in [("", (1, 100)), ("startIndex=0&count=1000", (1, 100)), ("startIndex=5&count=-1", (5, 0))]
        {
            let Action::Page { start, count, .. } = Call::read("GET", "/Users", query, b"").action else {
                panic!("a page")
            };
            assert_eq!((start, count), want);
        }
    }

    #[test]
    fn there_is_no_delete() {
        let call = Call::read("DELETE", "/Users/abc", "", b"");
        assert!(matches!(call.action, Action::Refuse(ReplyName::MethodNotAllowed)));
        assert!(call.operation.is_write());
    }

    #[test]
    fn only_the_documented_patches_are_understood() {
        let patched = |op: &str| {
            let urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
            patch(format!(r#"{{"schemas":["{urn}"],"Operations":[{op}]}}"#).as_bytes())
        };
        assert_eq!(patched(r#"{"op":"replace","value":{"active":false}}"#), Some(Patch::Active(false)));
        assert_eq!(patched(r#"{"op":"Replace","path":"active","value":true}"#), Some(Patch::Active(true)));
        let user_name = Some(Patch::UserName("a@x.test".to_owned()));
        assert_eq!(patched(r#"{"op":"replace","path":"userName","value":"a@x.test"}"#), user_name);
        assert_eq!(patched(r#"{"op":"replace","path":"userName","value":"nobody"}"#), None);
        assert_eq!(patched(r#"{"op":"replace","path":"name.givenName","value":"A"}"#), None);
        assert_eq!(patched(r#"{"op":"remove","path":"active","value":true}"#), None);
        assert_eq!(patched(r#"{"op":"replace","value":{"userName":"a@x.test"}}"#), None);
        assert_eq!(patch(br#"{"Operations":[]}"#), None);
    }

    #[test]
    fn an_id_is_read_as_it_was_before_it_was_encoded() {
        for (path, id) in [("/Users/%2E%2E", ".."), ("/Users/a%2F%2Fb", "a//b"), ("/Users/abc", "abc")] {
            assert_eq!(Call::read("GET", path, "", b"").id.as_deref(), Some(id));
        }
    }
}
