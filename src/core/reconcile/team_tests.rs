//! A small SCIM team in memory for tests of the plan: it answers as Postman does, and can be made to
//! fail in the ways that servers and networks fail.

use bytes::Bytes;
use serde_json::{Value, json};

use super::group::GroupCall;
use super::no_reply::NoReply;
use super::reply::{HttpReply, Reply};
use super::request::{Carrier, Operation, Request};
use crate::core::person::email::compare_key;
use crate::core::time::UnixMs;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not.
    None,
    /// The connection breaks before the request arrives.
    LostBefore,
    /// The connection breaks after the request took effect.
    LostAfter,
    /// The connection breaks, and the request takes effect this many milliseconds later.
    LandsLate(u64),
    /// 500, and nothing happened.
    Error,
    /// 500, although it happened.
    ErrorAfter,
    /// 201 without a body, and nothing happened.
    Bare,
    /// 201 without a body, and it happened.
    BareAfter,
    /// 429.
    Limited,
    /// A proxy's page in place of an answer.
    Html,
    /// 403 that nobody documents.
    Refused,
    /// 400, "Couldn't update this team member's username".
    Username,
    /// 409: somebody has the address, in another team perhaps.
    Taken,
    /// The content of the request can never do.
    Content,
    /// 409, 412 or 404 without a word.
    Wordless(u16),
}

/// The team.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a way of its own")]
pub(crate) struct Team {
    pub(crate) users: Vec<Value>,
    pub(crate) calls: Vec<String>,
    /// It answers a PATCH with 501.
    pub(super) no_patch: bool,
    /// It answers a filter with 400.
    pub(super) no_filter: bool,
    /// It says that it supports PATCH, whether or not it does.
    pub(super) lies: bool,
    /// Its lists leave `active` out.
    pub(super) lists_in_part: bool,
    /// It accepts a PATCH of the names.
    pub(super) patches_names: bool,
    pub(crate) made: u32,
    /// Groups by id: name and members.
    pub(super) groups: Vec<(String, Vec<String>)>,
    /// Its replies to these calls about one member show another one, in the state that was asked for.
    pub(super) shows_another: Vec<Operation>,
    /// It answers writes to members as if they were done, and changes nothing.
    pub(super) ignores_writes: bool,
    /// Writes of this attribute alone are answered like that.
    pub(super) ignores: Option<&'static str>,
    /// Its replies to writes show the member as before.
    pub(super) replies_late: bool,
    /// It shows the first page of groups whatever page is asked for.
    pub(super) repeats_groups: bool,
    /// It answers changes of a group with the group as it was.
    pub(super) ignores_groups: bool,
    /// It answers changes of a group with something else.
    pub(super) talks_of_groups: bool,
    /// It answers every call about groups with this status.
    pub(super) no_groups: Option<u16>,
    /// SCIM ids that no group takes yet.
    pub(super) not_joined: Vec<String>,
    /// Nobody may be added to groups of these names.
    pub(super) forbidden_groups: &'static [&'static str],
    /// A proxy answers a read of this id with a 404 and a page of its own.
    pub(super) page_at: Option<String>,
    /// Pages show only this many members, this many times.
    pub(super) hides: (usize, usize),
    /// Reads show the state of this long ago.
    pub(super) lag_ms: u64,
    pub(crate) now: UnixMs,
    /// Earlier states of the members, and until when each held.
    pub(crate) past: Vec<(UnixMs, Vec<Value>)>,
    /// Requests that take effect later, and when.
    pub(super) late: Vec<(UnixMs, Request)>,
}

impl Team {
    pub(super) fn add(&mut self, user_name: &str, given: &str, family: &str, active: bool, more: &Value) -> String {
        self.made += 1;
        let id = format!("{:048x}", self.made);
        let mut user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": id, "userName": user_name,
            "name": {"givenName": given, "familyName": family}, "active": active, "meta": {"resourceType": "User"},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            user[key] = value.clone();
        }
        self.users.push(user);
        id
    }

    pub(super) fn member(&self, user_name: &str) -> Option<&Value> {
        self.users.iter().find(|user| user["userName"] == user_name)
    }

    pub(super) fn writes(&self) -> usize {
        self.calls.iter().filter(|call| !call.starts_with("GET")).count()
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, request: &Request, fault: Fault) -> Reply {
        self.calls.push(request.operation().as_http().to_owned());
        self.land();
        match fault {
            Fault::LandsLate(ms) => {
                self.late.push((self.now.plus_ms(ms), request.clone()));
                return Reply::Lost { reason: NoReply::TimedOut };
            }
            Fault::LostBefore => return Reply::Lost { reason: NoReply::TimedOut },
            Fault::Error => return http(500, &error("Try again — it should work next time around.")),
            Fault::Limited => return http(429, &error("That’s 180 attempts in less than a minute.")),
            Fault::Html => return raw(502, "<html>Bad gateway</html>"),
            Fault::Refused => return http(403, &error("no")),
            Fault::Username => return http(400, &error("Couldn't update this team member's username. Try again.")),
            Fault::Content => {
                return http(400, &json!({"scimType": "invalidSyntax", "detail": "unsupported characters"}));
            }
            Fault::Taken => return http(409, &uniqueness()),
            Fault::Wordless(status) => return http(status, &error("")),
            Fault::Bare => return raw(201, ""),
            Fault::None | Fault::LostAfter | Fault::ErrorAfter | Fault::BareAfter => {}
        }
        if matches!(request, Request::Get { id } if self.page_at.as_ref() == Some(id)) {
            return raw(404, "<html>Not found</html>");
        }
        let before = self.users.clone();
        let (status, mut body) = self.serve(request);
        let rows = body.get_mut("Resources").and_then(Value::as_array_mut).filter(|_| self.lists_in_part);
        for row in rows.into_iter().flatten() {
            row.as_object_mut().and_then(|row| row.remove("active"));
        }
        if let Some(attribute) = self.ignores.filter(|_| self.users.len() == before.len()) {
            for (user, was) in self.users.iter_mut().zip(&before) {
                user[attribute] = was[attribute].clone();
            }
            body = self.users.iter().find(|user| user["id"] == body["id"]).cloned().unwrap_or(body);
        }
        if self.ignores_writes && self.users.len() == before.len() {
            self.users.clone_from(&before);
            body = self.users.iter().find(|user| user["id"] == body["id"]).cloned().unwrap_or(body);
        }
        if self.replies_late && self.users.len() == before.len() {
            body = before.iter().find(|user| user["id"] == body["id"]).cloned().unwrap_or(body);
        }
        if self.shows_another.contains(&request.operation())
            && let Some(other) = self.users.iter().find(|user| user["id"] != body["id"])
        {
            let state = json!({"name": body["name"], "active": body["active"]});
            body = other.clone();
            if request.operation() != Operation::Get {
                body["name"] = state["name"].clone();
                body["active"] = state["active"].clone();
            }
        }
        if self.users != before {
            self.past.push((self.now, before));
        }
        match fault {
            Fault::LostAfter => Reply::Lost { reason: NoReply::TimedOut },
            Fault::ErrorAfter if status < 300 => http(500, &error("Try again.")),
            Fault::BareAfter if status < 300 => raw(201, ""),
            _ => http(status, &body),
        }
    }

    /// Requests that take effect late do so.
    pub(super) fn land(&mut self) {
        let now = self.now;
        let (landed, late): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = late;
        for (at, request) in landed {
            let before = self.users.clone();
            self.serve(&request);
            if self.users != before {
                self.past.push((at, before));
            }
        }
    }

    fn serve(&mut self, request: &Request) -> (u16, Value) {
        match request {
            Request::Create(user) => {
                if self.users.iter().any(|known| is_of(known, &user.user_name)) {
                    return (409, uniqueness());
                }
                let (given, family) = (user.given_name.clone(), user.family_name.clone());
                let (given, family) = (given.unwrap_or_default(), family.unwrap_or_default());
                let more = json!({"externalId": user.external_id});
                self.add(&user.user_name, &given, &family, true, &more);
                (201, self.users.last().cloned().unwrap())
            }
            Request::Get { id } => {
                let user = self.read().iter().find(|user| user["id"] == id.as_str()).cloned();
                user.map_or_else(nobody, |user| (200, user))
            }
            Request::Find { .. } | Request::FindExternalId { .. } if self.no_filter => (400, error("invalid filter")),
            Request::FindExternalId { external_id } => {
                list(self.users.iter().filter(|user| user["externalId"] == external_id.as_str()).cloned().collect())
            }
            Request::SetActive { by: Carrier::Patch, .. }
            | Request::SetUserName { by: Carrier::Patch, .. }
            | Request::SetNames { .. }
                if self.no_patch =>
            {
                (501, error("not implemented"))
            }
            Request::SetActive { id, by: Carrier::Put { body, .. }, .. }
            | Request::SetUserName { id, by: Carrier::Put { body, .. }, .. } => self.put(id, body),
            Request::Find { user_name } => {
                list(self.read().iter().filter(|user| user["userName"] == user_name.as_str()).cloned().collect())
            }
            Request::Page { start_index } => {
                let from = usize::try_from(start_index.saturating_sub(1)).unwrap();
                let (shown, times) = self.hides;
                self.hides.1 = times.saturating_sub(1);
                let all = self.read();
                let rows: Vec<_> = all.iter().skip(from).take(if times > 0 { shown } else { 100 }).cloned().collect();
                let total = all.len();
                // While pages are cut short, every page after the first is empty.
                let rows = if times > 0 && from > 0 { Vec::new() } else { rows };
                (200, json!({"totalResults": total, "Resources": rows}))
            }
            Request::Replace { id, body, .. } => {
                let kept = self.find(id).map(|n| self.users[n]["userName"].clone());
                let (status, _) = self.put(id, body);
                let Some(n) = self.find(id).filter(|_| status == 200) else { return nobody() };
                // Postman's PUT brings names over.
                self.users[n]["userName"] = kept.unwrap_or_default();
                (200, self.users[n].clone())
            }
            Request::SetActive { id, active, .. } => self.set(id, "active", json!(active)),
            Request::SetUserName { id, user_name, .. } => {
                let is_taken = self.users.iter().any(|user| user["id"] != id.as_str() && is_of(user, user_name));
                if is_taken { (409, uniqueness()) } else { self.set(id, "userName", json!(user_name)) }
            }
            Request::SetNames { id, given_name, family_name, .. } if self.patches_names => {
                let Some(n) = self.find(id) else { return nobody() };
                for (key, name) in [("givenName", given_name), ("familyName", family_name)] {
                    if let Some(name) = name {
                        self.users[n]["name"][key] = json!(name);
                    }
                }
                (200, self.users[n].clone())
            }
            Request::SetNames { .. } => (400, error("You can only replace active or userName.")),
            Request::Group(_) if self.no_groups.is_some() => (self.no_groups.unwrap_or_default(), error("no")),
            Request::Group(GroupCall::Add { id, .. } | GroupCall::Remove { id, .. }) if self.ignores_groups => {
                self.serve_group(&GroupCall::Get { id: id.clone() })
            }
            Request::Group(call) => {
                let is_change = matches!(call, GroupCall::Add { .. } | GroupCall::Remove { .. });
                match self.serve_group(call) {
                    (200..300, _) if is_change && self.talks_of_groups => (200, json!({"message": "OK"})),
                    served => served,
                }
            }
            Request::Probe => list(Vec::new()),
            Request::Discover => {
                let supported = |is: bool| json!({ "supported": is });
                (200, json!({"patch": supported(self.lies || !self.no_patch), "filter": supported(!self.no_filter)}))
            }
        }
    }

    fn serve_group(&mut self, call: &GroupCall) -> (u16, Value) {
        let shown = |n: usize, (name, members): &(String, Vec<String>)| {
            let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
            json!({ "id": n.to_string(), "displayName": name, "members": members })
        };
        let rows = |team: &Self, name: Option<&str>| {
            let fits = |row: &Value| name.is_none_or(|name| row["displayName"] == name);
            list(team.groups.iter().enumerate().map(|(n, group)| shown(n, group)).filter(fits).collect())
        };
        let place = |id: &str| id.parse::<usize>().ok();
        match call {
            GroupCall::Find { .. } if self.no_filter => (400, error("invalid filter")),
            GroupCall::Find { name } => rows(self, Some(name)),
            GroupCall::Page { start_index } if *start_index == 1 || self.repeats_groups => rows(self, None),
            GroupCall::Page { .. } => list(Vec::new()),
            GroupCall::Create { name } => {
                self.groups.push((name.clone(), Vec::new()));
                let n = self.groups.len() - 1;
                (201, shown(n, &self.groups[n]))
            }
            GroupCall::Get { id } => {
                let group = place(id).and_then(|n| Some(shown(n, self.groups.get(n)?)));
                group.map_or_else(nobody, |group| (200, group))
            }
            GroupCall::Add { by: Carrier::Patch, .. } | GroupCall::Remove { by: Carrier::Patch, .. }
                if self.no_patch =>
            {
                (501, error("not implemented"))
            }
            GroupCall::Add { id, .. }
                if place(id)
                    .and_then(|n| self.groups.get(n))
                    .is_some_and(|(name, _)| self.forbidden_groups.contains(&name.as_str())) =>
            {
                (403, error("not allowed"))
            }
            GroupCall::Add { member, .. } if self.not_joined.contains(member) => (400, error("not joined")),
            GroupCall::Add { id, by: Carrier::Put { body, .. }, .. }
            | GroupCall::Remove { id, by: Carrier::Put { body, .. }, .. } => {
                let Some(n) = place(id).filter(|n| *n < self.groups.len()) else { return nobody() };
                let body: Value = serde_json::from_str(body).unwrap();
                let members = body["members"].as_array().unwrap().iter();
                self.groups[n].1 = members.map(|row| row["value"].as_str().unwrap().to_owned()).collect();
                (200, shown(n, &self.groups[n]))
            }
            GroupCall::Add { id, member, by: Carrier::Patch } => {
                let Some(n) = place(id).filter(|n| *n < self.groups.len()) else { return nobody() };
                if !self.groups[n].1.contains(member) {
                    self.groups[n].1.push(member.clone());
                }
                (204, Value::Null)
            }
            GroupCall::Remove { id, member, by: Carrier::Patch } => {
                let Some(n) = place(id).filter(|n| *n < self.groups.len()) else { return nobody() };
                self.groups[n].1.retain(|other| other != member);
                (204, Value::Null)
            }
        }
    }

    fn put(&mut self, id: &str, body: &str) -> (u16, Value) {
        let Some(n) = self.find(id) else { return nobody() };
        let mut user: Value = serde_json::from_str(body).unwrap();
        let name = user["userName"].as_str().unwrap_or_default();
        if self.users.iter().any(|other| other["id"] != id && is_of(other, name)) {
            return (409, uniqueness());
        }
        user["meta"] = self.users[n]["meta"].clone();
        user["id"] = self.users[n]["id"].clone();
        self.users[n] = user.clone();
        (200, user)
    }

    /// The members as a read shows them.
    fn read(&self) -> &[Value] {
        let is_shown = |(until, _): &&(UnixMs, Vec<Value>)| self.now.ms_since(*until) < self.lag_ms;
        self.past.iter().find(is_shown).map_or(&self.users, |(_, users)| users)
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.users.iter().position(|user| user["id"] == id)
    }

    fn set(&mut self, id: &str, key: &str, value: Value) -> (u16, Value) {
        let Some(n) = self.find(id) else { return nobody() };
        self.users[n][key] = value;
        (200, self.users[n].clone())
    }
}

fn is_of(user: &Value, user_name: &str) -> bool {
    compare_key(user["userName"].as_str().unwrap()) == compare_key(user_name)
}

#[expect(clippy::needless_pass_by_value, reason = "`vec!` as it is")]
fn list(users: Vec<Value>) -> (u16, Value) {
    (200, json!({"totalResults": users.len(), "Resources": users}))
}

fn error(detail: &str) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "detail": detail})
}

fn uniqueness() -> Value {
    let mut body = error("This person is already a member of the team.");
    body["scimType"] = json!("uniqueness");
    body
}

fn nobody() -> (u16, Value) {
    (404, error("This person isn’t a member of the team."))
}

fn http(status: u16, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    raw(status, &body)
}

fn raw(status: u16, body: &str) -> Reply {
    Reply::Http(HttpReply { status, body: Bytes::from(body.to_owned()), body_complete: true, ..HttpReply::default() })
}
