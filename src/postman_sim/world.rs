//! The stand-in's mind: a request comes in, what is to be sent back comes out. No sockets here.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::json;

use super::call::{Action, Call};
use super::fault::{Fault, Faults, What};
use super::journal::{Entry, Journal, SchemeSeen, Stats};
use super::limits::{Admission, Window};
use super::options::{AuthAccepted, Hint, SimOptions, UsernameChange};
use super::replies::{JSON, ReplyName};
use super::team::{Member, Team};
use crate::core::time::UnixMs;

/// An instant, on the wall and since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: UnixMs,
    pub(super) at_us: u64,
}

/// A reply, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: Cow<'static, str>,
    pub(super) headers: Vec<(Cow<'static, str>, String)>,
    pub(super) body: Cow<'static, [u8]>,
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

/// What goes out on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Send {
    /// A whole reply.
    Reply(Response),
    /// The head of a reply and half of its body, then the end.
    Half(Response),
    /// These bytes, then the end.
    Bytes(&'static [u8]),
    /// A TCP reset.
    Reset,
    /// The end, in order.
    Close,
    /// Nothing, until the client leaves.
    Hang,
}

/// A call that was judged and has yet to be carried out.
pub(super) struct Pending {
    seq: u64,
    call: Call,
    fault: Option<Arc<Fault>>,
    refuse: Option<Response>,
}

impl Pending {
    /// Milliseconds to wait before it is carried out, and after.
    pub(super) fn delays_ms(&self) -> (u64, u64) {
        match &self.fault {
            Some(fault) if fault.after => (0, fault.delay_ms),
            Some(fault) => (fault.delay_ms, 0),
            None => (0, 0),
        }
    }
}

/// Everything that changes while the stand-in runs.
pub(super) struct World {
    pub(super) options: SimOptions,
    pub(super) team: Team,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    pub(super) rng: fastrand::Rng,
    writes: Window,
    reads: Window,
}

/// What a request says of its sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) authorization: Option<&'a [u8]>,
    pub(super) x_api_key: bool,
}

impl World {
    pub(super) fn new(options: SimOptions) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(options.seed),
            options,
            team: Team::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            writes: Window::default(),
            reads: Window::default(),
        }
    }

    /// Judges an arrival: limits first, since every attempt counts; then the key; then the faults.
    pub(super) fn arrive(&mut self, call: Call, sender: Sender<'_>, now: Now) -> Pending {
        let (scheme, known) = self.judge_key(sender.authorization);
        let options = &self.options;
        let (window, limit) = if call.operation.is_write() {
            (&mut self.writes, options.writes)
        } else {
            (&mut self.reads, options.reads)
        };
        let admission = window.arrive(now.at_us, limit, options.window_ms);
        let mut struck = None;
        let refuse = match admission {
            Admission::Over { wait_ms } => {
                if call.operation.is_write() {
                    self.journal.stats.write_violations += 1;
                } else {
                    self.journal.stats.read_violations += 1;
                }
                let mut response = Response::from(ReplyName::RateLimited);
                add_hints(&mut response, &options.hints, now.at, wait_ms, limit);
                Some(response)
            }
            Admission::Within if !known => Some(ReplyName::BadKey.into()),
            Admission::Within => {
                struck = self.strike(&call);
                None
            }
        };
        let (fault, label) = struck.unzip();
        self.journal.stats.faults += u64::from(fault.is_some());
        let entry = entry(&call, scheme, sender.x_api_key, label, matches!(admission, Admission::Over { .. }), now);
        let seq = self.journal.push(entry, self.options.journal_max);
        Pending { seq, call, fault, refuse }
    }

    /// Carries a call out, as far as its fault lets it.
    pub(super) fn carry_out(&mut self, pending: &Pending, now: Now) -> Send {
        if let Some(response) = &pending.refuse {
            return self.send(pending, Send::Reply(response.clone()));
        }
        let Some(fault) = &pending.fault else {
            let response = self.act(pending, now);
            return self.send(pending, Send::Reply(response));
        };
        let truth = (fault.after || fault.what.spoils_the_true_reply()).then(|| self.act(pending, now));
        let mut send = spoil(&fault.what, truth);
        if let Send::Reply(response) = &mut send {
            let limit = if pending.call.operation.is_write() { self.options.writes } else { self.options.reads };
            add_hints(response, &fault.hints, now.at, 60_000, limit);
        }
        self.send(pending, send)
    }

    /// The sums so far.
    pub(super) fn stats(&self) -> Stats {
        Stats { max_writes_in_window: self.writes.max(), max_reads_in_window: self.reads.max(), ..self.journal.stats() }
    }

    /// Starts the sums anew.
    pub(super) fn clear_stats(&mut self) {
        self.journal.clear_stats();
        self.writes.forget_max();
        self.reads.forget_max();
    }

    fn judge_key(&self, authorization: Option<&[u8]>) -> (SchemeSeen, bool) {
        let Some(sent) = authorization else { return (SchemeSeen::None, false) };
        let key = self.options.key.as_bytes();
        let (scheme, spelt, accepted) = match sent.split_at_checked(7) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(b"bearer ") => {
                (SchemeSeen::Bearer, rest, self.options.auth != AuthAccepted::Raw)
            }
            _ if sent.contains(&b' ') => (SchemeSeen::Other, sent, false),
            _ => (SchemeSeen::Raw, sent, self.options.auth != AuthAccepted::Bearer),
        };
        (scheme, accepted && spelt == key)
    }

    fn strike(&mut self, call: &Call) -> Option<(Arc<Fault>, Arc<str>)> {
        let team = &self.team;
        let is_about = |who: &str| {
            let who_is = |name: &str| name.to_lowercase() == who.to_lowercase();
            call.id.as_deref() == Some(who)
                || call.user_name().is_some_and(who_is)
                || call.id.as_deref().and_then(|id| team.get(id)).is_some_and(|m| who_is(&m.user_name))
        };
        self.faults.strike(call.operation, is_about, &mut self.rng)
    }

    /// Does what was asked, and says so.
    fn act(&mut self, pending: &Pending, now: Now) -> Response {
        let options = &self.options;
        let id = pending.call.id.as_deref().unwrap_or_default();
        let (team, seats) = (&mut self.team, options.seats);
        let mut created = None;
        let done = match &pending.call.action {
            Action::Create(user) => {
                let made = team.create(user, seats, options.invited_id, now.at, &mut self.rng);
                created = made.as_ref().ok().map(|m| m.id.clone());
                made.map(|m| reply(201, &m))
            }
            Action::Replace(user) => {
                let refuse = options.username_change == UsernameChange::Refuse;
                team.replace(id, user, refuse, seats, now.at).map(|m| reply(200, m))
            }
            Action::Switch(active) => team.switch(id, *active, seats, now.at).map(|m| reply(200, m)),
            Action::Get => team.get(id).ok_or(ReplyName::NotMember404).map(|m| reply(200, m)),
            Action::Find(user_name) => {
                let found: Vec<&Member> = team.find(user_name).collect();
                Ok(page(found.len(), 1, 100, &found))
            }
            Action::Page { active, start, count } => Ok(self.page(*active, *start, *count)),
            Action::ServiceProviderConfig => Ok(Response::json(200, service_provider_config())),
            Action::ResourceTypes => Ok(Response::json(200, resource_types())),
            Action::Schemas => Ok(Response::json(200, schemas())),
            Action::Refuse(why) => Err(*why),
        };
        let applied = done.is_ok() && pending.call.operation.is_write();
        if applied {
            self.journal.stats.applied += 1;
            if let Some(entry) = self.journal.get_mut(pending.seq) {
                entry.applied = true;
                entry.id = created.or(entry.id.take()).filter(|id| !id.is_empty());
            }
        }
        done.unwrap_or_else(Response::from)
    }

    fn page(&self, active: Option<bool>, start: usize, count: usize) -> Response {
        let skip = start - 1;
        let members = self.team.members();
        if let Some(active) = active {
            let fit = || members.iter().filter(|m| m.active == active);
            return page(fit().count(), start, count, &fit().skip(skip).take(count).collect::<Vec<_>>());
        }
        page(members.len(), start, count, &members.iter().skip(skip).take(count).collect::<Vec<_>>())
    }

    fn send(&mut self, pending: &Pending, send: Send) -> Send {
        if let Send::Reply(response) | Send::Half(response) = &send {
            self.journal.answered(pending.seq, response.status);
        }
        send
    }
}

fn add_hints(response: &mut Response, hints: &[Hint], now: UnixMs, wait_ms: u64, limit: u32) {
    for hint in hints {
        let (name, value) = hint.header(now, wait_ms, limit);
        response.headers.push((Cow::Borrowed(name), value));
    }
}

fn entry(call: &Call, auth: SchemeSeen, x_api_key: bool, fault: Option<Arc<str>>, violation: bool, now: Now) -> Entry {
    let (given_name, family_name, active) = match &call.action {
        Action::Create(user) | Action::Replace(user) => (user.given_name(), user.family_name(), user.active),
        Action::Switch(active) => (None, None, Some(*active)),
        _ => (None, None, None),
    };
    Entry {
        seq: 0,
        at: now.at,
        at_us: now.at_us,
        operation: call.operation,
        user_name: call.user_name().map(Into::into),
        id: call.id.clone(),
        given_name: given_name.map(Into::into),
        family_name: family_name.map(Into::into),
        active,
        auth,
        x_api_key,
        status: None,
        fault,
        violation,
        applied: false,
    }
}

const HTML_PAGE: &[u8] = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>\
<body><center><h1>502 Bad Gateway</h1></center><hr></body></html>\n";

/// What a fault makes of a call; `truth` is the true reply where the change was made.
fn spoil(what: &What, truth: Option<Response>) -> Send {
    let spoilt = |change: fn(&mut Response)| {
        let mut response = truth.clone().unwrap_or_else(|| ReplyName::CreateFailed.into());
        change(&mut response);
        response
    };
    match what {
        What::Reply(name) => Send::Reply((*name).into()),
        What::Custom(custom) => Send::Reply(Response {
            status: custom.status,
            content_type: custom.content_type.clone().map_or(Cow::Borrowed(JSON), Cow::Owned),
            headers: custom.headers.iter().map(|(k, v)| (Cow::Owned(k.clone()), v.clone())).collect(),
            body: Cow::Owned(custom.body.clone().into_bytes()),
        }),
        What::Reset => Send::Reset,
        What::Close => Send::Close,
        What::Hang => Send::Hang,
        What::HalfBody => Send::Half(spoilt(|_| {})),
        What::Empty => Send::Reply(spoilt(|r| r.body = Cow::Borrowed(b""))),
        What::WrongType => Send::Reply(spoilt(|r| r.content_type = Cow::Borrowed("text/plain"))),
        What::NotJson => Send::Reply(spoilt(|r| r.body = Cow::Borrowed(b"{\"schemas\": [\x00\xff not JSON"))),
        What::Html => Send::Reply(Response {
            status: 502,
            content_type: Cow::Borrowed("text/html"),
            headers: Vec::new(),
            body: Cow::Borrowed(HTML_PAGE),
        }),
        What::Redirect => Send::Reply(Response {
            status: 302,
            content_type: Cow::Borrowed("text/plain"),
            headers: vec![(Cow::Borrowed("Location"), "/sim/elsewhere".to_owned())],
            body: Cow::Borrowed(b"Found"),
        }),
        What::Garbage => Send::Bytes(b"\x16\x03\x01 this is not HTTP \x00\xff\r\n\r\n"),
        What::Delay => Send::Reply(spoilt(|_| {})),
    }
}

fn reply(status: u16, member: &Member) -> Response {
    // A member is strings and a boolean: writing it as JSON does not fail.
    Response::json(status, serde_json::to_vec(member).unwrap_or_default())
}

fn page(total: usize, start: usize, count: usize, members: &[&Member]) -> Response {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a> {
        schemas: [&'static str; 1],
        total_results: usize,
        start_index: usize,
        items_per_page: usize,
        #[serde(rename = "Resources")]
        resources: &'a [&'a Member],
    }
    let list = List {
        schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        total_results: total,
        start_index: start,
        // What was asked for and not what came: nobody may rely on it.
        items_per_page: count,
        resources: members,
    };
    Response::json(200, serde_json::to_vec(&list).unwrap_or_default())
}

fn service_provider_config() -> Vec<u8> {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": 100},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": false},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "Authentication scheme using the OAuth Bearer Token Standard",
        }],
    })
    .to_string()
    .into_bytes()
}

/// A bare array, unlike RFC 7644's list.
fn resource_types() -> Vec<u8> {
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

/// Not documented; enough for a client that looks.
fn schemas() -> Vec<u8> {
    json!([{"id": "urn:ietf:params:scim:schemas:core:2.0:User", "name": "User"}]).to_string().into_bytes()
}
