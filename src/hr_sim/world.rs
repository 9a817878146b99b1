//! The people, the credentials, and the faults still to strike.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::message::{Request, Response};
use super::person::{HrLogin, HrPerson};
use super::{lists, shapes};

/// What can go wrong with a request for data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HrFault {
    /// Nothing: the request succeeds, and the faults injected after this one strike later requests.
    Served,
    /// A bare status, with headers.
    Status(u16, Vec<(&'static str, String)>),
    /// 200 with this body of this media type.
    Body(&'static str, String),
    /// An HTML page with status 200.
    Page,
    /// 302 to another address.
    Redirect,
    /// A body that never ends.
    Endless,
    /// A body of this many bytes.
    Long(usize),
    /// Another person's record.
    AnotherPerson,
    /// No response at all.
    Hang,
    /// The response, delayed by this many milliseconds.
    Slow(u64),
}

/// A request in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HrRead {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Whether its credentials were accepted.
    pub authorized: bool,
    /// Whether it asked for a token.
    pub is_for_token: bool,
}

pub(super) struct World {
    pub(super) people: BTreeMap<String, HrPerson>,
    /// In order of change, for lists of changes since a given time.
    pub(super) changed: Vec<String>,
    pub(super) login: HrLogin,
    pub(super) access_tokens: BTreeSet<String>,
    pub(super) faults: VecDeque<HrFault>,
    pub(super) journal: Vec<HrRead>,
    tokens_given: u32,
}

impl Default for World {
    fn default() -> Self {
        let login = HrLogin {
            token: "hr-key".to_owned(),
            username: "service-user".to_owned(),
            password: "service-password".to_owned(),
            client_id: "client".to_owned(),
            client_secret: "client-secret".to_owned(),
            refresh_token: "refresh-0".to_owned(),
        };
        Self {
            people: BTreeMap::new(),
            changed: Vec::new(),
            login,
            access_tokens: BTreeSet::new(),
            faults: VecDeque::new(),
            journal: Vec::new(),
            tokens_given: 0,
        }
    }
}

/// What is sent.
pub(super) enum Outgoing {
    Reply(Response),
    Late(Response, u64),
    Endless,
    Hang,
}

impl World {
    pub(super) fn put(&mut self, person: HrPerson) {
        self.changed.retain(|id| *id != person.id);
        self.changed.push(person.id.clone());
        self.people.insert(person.id.clone(), person);
    }

    pub(super) fn answer(&mut self, request: &Request) -> Outgoing {
        if let Some(response) = self.token(request) {
            self.note(request, response.status == 200, true);
            return Outgoing::Reply(response);
        }
        let listed = lists::asked(request).map(|system| shapes::Asked { system, id: None });
        let Some(asked) = listed.or_else(|| shapes::asked(request)) else {
            self.note(request, false, false);
            return Outgoing::Reply(Response::json(404, r#"{"error":"no such path"}"#.to_owned()));
        };
        let authorized = asked.system.lets_in(request, &self.login, &self.access_tokens);
        self.note(request, authorized, false);
        if !authorized {
            return Outgoing::Reply(Response::json(401, r#"{"error":"unauthorized"}"#.to_owned()));
        }
        match self.faults.pop_front() {
            None | Some(HrFault::Served) => Outgoing::Reply(self.data(&asked, request)),
            Some(HrFault::Slow(ms)) => Outgoing::Late(self.data(&asked, request), ms),
            Some(HrFault::Status(status, headers)) => {
                let mut response = Response::json(status, r#"{"error":"injected"}"#.to_owned());
                response.headers.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
                Outgoing::Reply(response)
            }
            Some(HrFault::Body(media_type, body)) => Outgoing::Reply(Response::of(200, media_type, body)),
            Some(HrFault::Page) => Outgoing::Reply(Response::of(
                200,
                "text/html; charset=utf-8",
                "<!DOCTYPE html><title>Log in</title>".to_owned(),
            )),
            Some(HrFault::Redirect) => {
                let mut response = Response::of(302, "text/plain", String::new());
                response.headers.push(("location".to_owned(), "http://127.0.0.1:1/".to_owned()));
                Outgoing::Reply(response)
            }
            Some(HrFault::Endless) => Outgoing::Endless,
            Some(HrFault::Long(bytes)) => Outgoing::Reply(Response::json(200, format!("\"{}\"", "x".repeat(bytes)))),
            Some(HrFault::AnotherPerson) => {
                let other = HrPerson::working("somebody-else", "else@example.com", "Some", "Body");
                Outgoing::Reply(shapes::person(&asked, Some(&other)))
            }
            Some(HrFault::Hang) => Outgoing::Hang,
        }
    }

    fn data(&self, asked: &shapes::Asked, request: &Request) -> Response {
        if let Some(id) = &asked.id {
            shapes::person(asked, self.people.get(id))
        } else {
            let people: Vec<&HrPerson> = self.changed.iter().filter_map(|id| self.people.get(id)).collect();
            lists::page(asked.system, request, &people)
        }
    }

    fn note(&mut self, request: &Request, authorized: bool, is_for_token: bool) {
        let read = HrRead { method: request.method.clone(), target: request.target.clone(), authorized, is_for_token };
        self.journal.push(read);
    }

    /// Issues a token, if the request asks for one.
    fn token(&mut self, request: &Request) -> Option<Response> {
        let is_token = ["/auth/token", "/oauth/token", "/connect/token", "/oauth2/token", "/o/token/", "/token.php"];
        if request.method != "POST" || !is_token.iter().any(|path| request.path().ends_with(path)) {
            return None;
        }
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let by_basic = request
            .basic()
            .is_some_and(|(id, secret)| id == self.login.client_id && secret == self.login.client_secret);
        let by_body = field("client_id") == self.login.client_id && field("client_secret") == self.login.client_secret;
        let refused = |error: &str| Some(Response::json(400, format!(r#"{{"error":"{error}"}}"#)));
        if !by_basic && !by_body {
            return refused("invalid_client");
        }
        self.tokens_given += 1;
        let access = format!("access-{}", self.tokens_given);
        let next = match field("grant_type") {
            "client_credentials" => None,
            "refresh_token" if field("refresh_token") == self.login.refresh_token => {
                self.login.refresh_token = format!("refresh-{}", self.tokens_given);
                Some(self.login.refresh_token.clone())
            }
            _ => return refused("invalid_grant"),
        };
        self.access_tokens.insert(access.clone());
        let next = next.map(|next| format!(r#","refresh_token":"{next}""#)).unwrap_or_default();
        Some(Response::json(
            200,
            format!(r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600{next}}}"#),
        ))
    }
}
