//! How a person is read at an HR system, as data: `[fetch]` of a preset.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::auth::Auth;
use super::body::Body;
use super::list::ListRules;
use super::request::Method;
use super::template::{Slot, Template};
use crate::core::limiter::Rate;
use crate::core::mapping::{Condition, Lookups, Mapping, Path};
use crate::core::person::EventKind;

/// The rate limit for systems that publish none.
const RATE: ReadRate = ReadRate { calls: 600, per_s: 60 };
/// Longest delay after a notice: if reads lag by more, asking again is better than waiting.
const LAG_S_MAX: u64 = 600;

/// How a person is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchRules {
    /// Scheme and host: `https://api.example.com`, `https://{values.subdomain}.example.com`.
    #[serde(default = "host_of_values")]
    pub host: Template,
    /// Other hosts, by the value of `values.region`.
    #[serde(default)]
    pub regions: BTreeMap<String, Template>,
    /// The kinds of login in order of preference: the first whose parts are given is used.
    #[serde(default)]
    pub auth: Vec<Auth>,
    /// How often all processes together may call it.
    #[serde(default)]
    pub rate: ReadRate,
    /// How long after a notice the system may still show old values, in seconds: it is read at once, and again after
    /// that time.
    #[serde(default)]
    pub lag_s: u64,
    /// The requests, in order. The mapping reads a document that has each answer under its step's name, and the
    /// requested id at `/asked/id`.
    #[serde(default)]
    pub step: Vec<Step>,
    /// How everybody is listed, for an import; without a `step`, also what is read when notices name nobody.
    #[serde(default)]
    pub list: Option<ListRules>,
    /// Where in the answers the facts are.
    #[serde(default)]
    pub mapping: Mapping,
}

/// If the rules name no host, the source does.
fn host_of_values() -> Template {
    Template::parse("https://{values.host}").unwrap_or_default()
}

/// How often a system may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRate {
    /// How many requests; 0: no limit.
    pub calls: u32,
    /// In how many seconds.
    pub per_s: u64,
}

impl Default for ReadRate {
    fn default() -> Self {
        RATE
    }
}

impl ReadRate {
    /// As a limit for the limiter.
    #[must_use]
    pub fn rate(self) -> Rate {
        Rate { calls: self.calls, window_ms: self.per_s.saturating_mul(1_000) }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The name of its answer.
    #[serde(default = "answer")]
    pub name: String,
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The path, from the host on.
    pub path: Template,
    /// Where to ask instead after a 404: the same system under another version or brand.
    #[serde(default)]
    pub or_path: Option<Template>,
    /// The query. What lacks a value is left out.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Headers. What lacks a value is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The JSON to send.
    #[serde(default)]
    pub body: Option<Body>,
    /// The path to the real status, in a system that answers 200 to everything.
    #[serde(default)]
    pub status_at: Option<Path>,
    /// A field that only error answers have.
    #[serde(default)]
    pub error_at: Option<Path>,
    /// All of these hold for an answer that is not an error.
    #[serde(default)]
    pub ok_if: Vec<Condition>,
    /// All of these hold if a person was found.
    #[serde(default)]
    pub found_if: Vec<Condition>,
    /// A 404 of this request says nothing, and the read continues without it.
    #[serde(default)]
    pub may_be_absent: bool,
}

fn answer() -> String {
    "answer".to_owned()
}

impl FetchRules {
    /// Makes every record an update: answers have no event type.
    pub fn settle(&mut self) {
        self.mapping.kind = Lookups::default();
        self.mapping.assume = Some(EventKind::Update);
    }

    /// The source's own values with this kind of login: those that are required, and those that are optional.
    #[must_use]
    pub fn value_names<'s>(&'s self, auth: &'s Auth) -> (BTreeSet<&'s str>, BTreeSet<&'s str>) {
        fn names<'a>(slots: impl Iterator<Item = &'a Slot>) -> impl Iterator<Item = &'a str> {
            slots.filter_map(Slot::value_name)
        }
        let paths = self.step.iter().flat_map(Step::paths);
        let addresses = std::iter::once(&self.host).chain(paths).chain(auth.templates());
        let bodies = self.step.iter().filter_map(|step| step.body.as_ref()).flat_map(Body::slots);
        let mut needed: BTreeSet<&str> = names(addresses.flat_map(Template::slots).chain(bodies)).collect();
        let of_list = || self.list.iter().flat_map(ListRules::value_names);
        if self.step.is_empty() {
            needed.extend(of_list());
        }
        let texts = self.step.iter().flat_map(|step| step.query.values().chain(step.headers.values()));
        let listed = self.list.iter().flat_map(|list| list.query.values().chain(list.headers.values()));
        let mut optional: BTreeSet<&str> = names(texts.chain(listed).flat_map(Template::slots)).collect();
        optional.extend(of_list());
        if !self.regions.is_empty() {
            optional.insert("region");
        }
        optional.retain(|name| !needed.contains(name));
        (needed, optional)
    }

    /// What is wrong with it: the key below `fetch`, and the problem.
    #[must_use]
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut when = |is_wrong: bool, key: &str, problem: &str| {
            if is_wrong {
                problems.push((key.to_owned(), problem.to_owned()));
            }
        };
        when(
            self.step.is_empty() && self.list.is_none(),
            "step",
            "does not say what to read: name a `step` or a `list`",
        );
        when(self.auth.is_empty(), "auth", "needs at least one kind of login; `{ kind = \"none\" }` if there is none");
        when(self.lag_s > LAG_S_MAX, "lag_s", "must be at most 600");
        when(self.rate.calls > 0 && !(1..=86_400).contains(&self.rate.per_s), "rate", "`per_s` is from 1 to 86400");
        let mut names = BTreeSet::from(["asked"]);
        for (n, step) in self.step.iter().enumerate() {
            let key = |name: &str| format!("step[{n}].{name}");
            when(
                !names.insert(&step.name),
                &key("name"),
                "is used already: each step needs a name of its own, other than `asked`",
            );
            when(!step.path.as_str().starts_with('/'), &key("path"), "begins with `/`");
            let is_bad = step.or_path.as_ref().is_some_and(|path| !path.as_str().starts_with('/'));
            when(is_bad, &key("or_path"), "begins with `/`");
            when(step.method == Method::Get && step.body.is_some(), &key("body"), "belongs to a POST");
            let slots = step.slots();
            let of_list = slots.iter().any(|slot| matches!(slot, Slot::Since | Slot::Cursor));
            when(of_list, &key("path"), "{since} and {cursor} belong in a `list`");
            let secret = slots.iter().any(|slot| matches!(slot, Slot::Credential(_)));
            when(secret, &key("headers"), "the fields of a login belong under `auth`");
        }
        for (key, problem) in self.list.iter().flat_map(|list| list.validate(!self.step.is_empty())) {
            when(true, &format!("list.{key}"), problem);
        }
        for host in std::iter::once(&self.host).chain(self.regions.values()) {
            when(!is_host(host.as_str()), "host", "is a scheme and a host, such as https://api.example.com");
        }
        for auth in self.auth.iter().filter_map(Auth::token_rules) {
            let is_whole = auth.token_url.as_str().split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
            when(!is_whole, "auth", "`token_url` is a whole address");
        }
        problems.extend(self.mapping.validate().into_iter().map(|(key, problem)| (format!("mapping.{key}"), problem)));
        problems
    }
}

impl Step {
    /// Its paths: the first and the other.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.path).chain(&self.or_path)
    }

    pub(super) fn slots(&self) -> Vec<&Slot> {
        let texts = self.paths().chain(self.query.values()).chain(self.headers.values());
        texts.flat_map(Template::slots).chain(self.body.iter().flat_map(Body::slots)).collect()
    }
}

fn is_host(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, host)| {
        matches!(scheme, "https" | "http") && !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])
    })
}
