//! The control endpoint, `/sim/…`: a test, a demo or an operator's `curl` controls and inspects the stand-in through
//! it. It needs no key and counts against no limit.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::fault::Fault;
use super::member::Person;
use super::now::Now;
use super::options::SimOptions;
use super::response::Response;
use super::wire::Request;
use super::world::World;

/// The base path of the control endpoint.
pub(super) const BASE: &str = "/sim";

const HELP: &str = "The Postman SCIM stand-in.

GET    /sim/state                    members and groups
GET    /sim/stats                    call counts; DELETE resets them
GET    /sim/journal?since=N&limit=M  calls with a number above N; DELETE forgets them
GET    /sim/faults                   the faults that are still pending
POST   /sim/faults                   a fault, or an array of them: \"create:no-slots:3\", or
                                     {\"on\":\"create\",\"what\":{\"reply\":\"no-slots\"},\"times\":3}
DELETE /sim/faults[/ID]              all, or one
POST   /sim/members                  a person, or an array of them:
                                     {\"user_name\":\"a@b.test\",\"given_name\":\"A\",\"family_name\":\"B\",\"active\":true,
                                      \"standing\":\"member|other_team|invitable\",
                                      \"attributes\":{\"title\":\"Dr.\"},\"name_parts\":{\"middleName\":\"C\"}}
POST   /sim/accept                   {\"user_name\":\"a@b.test\"}: they accept their invitation
PATCH  /sim/options                  any of key, auth, writes, reads, window_ms, seats, username_change, put,
                                     verified_domains, versions, invited_id, hints, journal_max
";

/// How many journal entries are returned without a `limit`.
const JOURNAL_PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::Many(many) => many,
            Self::One(one) => vec![one],
        }
    }
}

/// Answers a request below [`BASE`]; `path` is relative to it.
pub(super) fn control(world: &mut World, request: &Request, path: &str, now: Now) -> Response {
    match (&*request.method, path) {
        ("GET", "" | "/") => text(200, HELP),
        ("GET", "/state") => ok(&json!({"members": world.team.members(), "groups": world.groups.all()})),
        ("GET", "/stats") => ok(&json!(world.stats())),
        ("DELETE", "/stats") => {
            world.clear_stats();
            ok(&json!({}))
        }
        ("GET", "/journal") => journal(world, &request.query),
        ("DELETE", "/journal") => {
            world.journal.clear();
            ok(&json!({}))
        }
        ("GET", "/faults") => ok(&json!({"faults": world.faults.list()})),
        ("POST", "/faults") => inject_faults(world, &request.body).unwrap_or_else(|why| text(400, &why)),
        ("DELETE", "/faults") => ok(&json!({"removed": world.faults.remove(None)})),
        ("POST", "/members") => add_members(world, &request.body, now).unwrap_or_else(|why| text(400, &why)),
        ("POST", "/accept") => accept(world, &request.body, now).unwrap_or_else(|why| text(400, &why)),
        ("PATCH", "/options") => set(world, &request.body).unwrap_or_else(|why| text(400, &why)),
        ("DELETE", one) if one.starts_with("/faults/") => match one["/faults/".len()..].parse() {
            Ok(id) => ok(&json!({"removed": world.faults.remove(Some(id))})),
            Err(_) => text(404, "no such fault\n"),
        },
        _ => text(404, HELP),
    }
}

fn ok(value: &Value) -> Response {
    Response::json(200, value.to_string().into_bytes())
}

fn text(status: u16, text: &str) -> Response {
    Response {
        status,
        content_type: Cow::Borrowed("text/plain; charset=utf-8"),
        headers: Vec::new(),
        body: Cow::Owned(text.as_bytes().to_vec()),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| format!("{e}\n"))
}

fn journal(world: &World, query: &str) -> Response {
    let (mut since, mut limit) = (0, JOURNAL_PAGE);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "since" => since = value.parse().unwrap_or(0),
            "limit" => limit = value.parse().unwrap_or(JOURNAL_PAGE),
            _ => {}
        }
    }
    let entries: Vec<_> = world.journal.since(since, limit).collect();
    ok(&json!({"entries": entries, "last_seq": world.journal.last_seq()}))
}

fn inject_faults(world: &mut World, body: &[u8]) -> Result<Response, String> {
    let mut ids = Vec::new();
    for value in parse::<OneOrMany<Value>>(body)?.into_vec() {
        let fault: Fault = match value {
            Value::String(text) => text.parse().map_err(|e| format!("{e}\n"))?,
            other => serde_json::from_value(other).map_err(|e| format!("{e}\n"))?,
        };
        ids.push(world.faults.inject(fault).map_err(|e| format!("{e}\n"))?);
    }
    Ok(ok(&json!({"ids": ids})))
}

fn add_members(world: &mut World, body: &[u8], now: Now) -> Result<Response, String> {
    for person in parse::<OneOrMany<Person>>(body)?.into_vec() {
        world.team.put(person, now, &mut world.rng);
    }
    Ok(ok(&json!({})))
}

fn accept(world: &mut World, body: &[u8], now: Now) -> Result<Response, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Who {
        #[serde(alias = "userName")]
        user_name: String,
    }
    let who: Who = parse(body)?;
    Ok(match world.team.accept(&who.user_name, now) {
        Some(member) => ok(&json!(member)),
        None => text(404, "no invitation is open for that user_name\n"),
    })
}

/// Overrides the given options and keeps the others.
fn set(world: &mut World, body: &[u8]) -> Result<Response, String> {
    let change: serde_json::Map<String, Value> = parse(body)?;
    let mut whole = serde_json::to_value(&world.options).map_err(|e| format!("{e}\n"))?;
    if let Value::Object(fields) = &mut whole {
        fields.extend(change);
    }
    let options: SimOptions = serde_json::from_value(whole).map_err(|e| format!("{e}\n"))?;
    if options.listen != world.options.listen || options.seed != world.options.seed {
        return Err("listen and seed can only be set at start\n".to_owned());
    }
    world.options = options;
    Ok(ok(&json!({})))
}
