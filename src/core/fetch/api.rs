//! An HR system's API as one source uses it: the rules, the source's own values, and one kind of login.

use std::collections::{BTreeMap, BTreeSet};

use super::auth::Auth;
use super::body::Body;
use super::credential::Credential;
use super::list::{ListRules, Pages};
use super::request::HrRequest;
use super::rules::{FetchRules, Step};
use super::template::{Slot, Template, as_it_is, percent};
use crate::core::code::Code;
use crate::core::mapping::Mapping;
use crate::core::time::UnixMs;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub struct Api {
    rules: FetchRules,
    /// The mapping of what a list shows.
    list_mapping: Mapping,
    /// The prefix of every path.
    base: String,
    /// The prefix without the source's `base_url`: the system's own links begin with it.
    own_base: Option<String>,
    /// The address for tokens.
    token_url: Option<String>,
    values: BTreeMap<String, String>,
    auth: Auth,
}

/// Why rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiProblem {
    /// The key below `[source.fetch]`.
    pub key: String,
    /// What is wrong or missing.
    pub problem: String,
}

/// Why a request cannot be made: the person's id is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unaskable;

impl Api {
    /// Combines rules with a source's own values. `base_url` replaces scheme and host in every address.
    ///
    /// # Errors
    /// Everything that is wrong or missing.
    pub fn new(
        mut rules: FetchRules,
        base_url: Option<&str>,
        values: BTreeMap<String, String>,
        given: &BTreeSet<Credential>,
    ) -> Result<Self, Vec<ApiProblem>> {
        rules.settle();
        let mut problems = Vec::new();
        let mut problem = |key: &str, text: String| problems.push(ApiProblem { key: key.to_owned(), problem: text });
        let host = match values.get("region").filter(|_| !rules.regions.is_empty()) {
            Some(region) => rules.regions.get(region).unwrap_or_else(|| {
                let known: Vec<_> = rules.regions.keys().map(String::as_str).collect();
                problem("values.region", format!("is not known: there are {}", known.join(", ")));
                &rules.host
            }),
            None => &rules.host,
        };
        let own_base = host_of(host, &values);
        let base = match (base_url, &own_base) {
            (Some(base_url), _) => base_url.trim_end_matches('/').to_owned(),
            (None, Ok(own_base)) => own_base.clone(),
            (None, Err(missing)) => {
                problem(&missing.0, missing.1.clone());
                String::new()
            }
        };
        let has_values = |auth: &&Auth| auth.value_names().iter().all(|name| values.contains_key(*name));
        let mut complete = rules.auth.iter().filter(|auth| auth.needs().is_subset(given));
        // A login that lacks a value for its headers is skipped in favour of a complete one.
        let auth = complete.clone().find(has_values).or_else(|| complete.next()).cloned().unwrap_or_else(|| {
            let kinds: Vec<String> = rules.auth.iter().map(|auth| words(&auth.needs())).collect();
            problem("token", format!("the login is not complete: it takes {}", kinds.join(", or ")));
            Auth::None
        });
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        let paths = rules.step.iter().flat_map(Step::paths);
        needed.extend(paths.flat_map(Template::slots).filter_map(Slot::value_name));
        // If there are steps, the list is only for imports, and its values may be missing.
        needed.extend(rules.list.iter().filter(|_| rules.step.is_empty()).flat_map(ListRules::value_names));
        needed.extend(auth.value_names());
        needed.extend(
            rules.step.iter().filter_map(|step| step.body.as_ref()).flat_map(Body::slots).filter_map(Slot::value_name),
        );
        for name in needed.iter().filter(|name| !values.contains_key(**name)) {
            problem(&format!("values.{name}"), "is needed for this system's addresses".to_owned());
        }
        let token_url = auth.token_rules().and_then(|token| {
            let (host, path) = split_address(&token.token_url)?;
            let host = if base_url.is_some() {
                base.clone()
            } else {
                host_of(&host, &values).map_err(|(key, text)| problem(&key, text)).ok()?
            };
            let path = path.fill(&|slot| value_of_name(slot, &values), percent);
            if path.is_none() {
                problem("values", "a value is missing that the token's address names".to_owned());
            }
            Some(format!("{host}{}", path?))
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut list_mapping = Mapping { keeps_status: true, ..rules.mapping.clone() };
        if let Some(records) = rules.list.as_ref().and_then(|list| list.records.clone()) {
            list_mapping.records = records;
        }
        Ok(Self { rules, list_mapping, base, own_base: own_base.ok(), token_url, values, auth })
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &FetchRules {
        &self.rules
    }

    /// The login.
    #[must_use]
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Its own values.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Where tokens come from, for a login with tokens.
    #[must_use]
    pub fn token_url(&self) -> Option<&str> {
        self.token_url.as_deref()
    }

    /// Scheme, host and prefix of everything but the tokens' address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether notices name nobody, and a list says who changed.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.rules.step.is_empty() && self.rules.list.is_some()
    }

    /// The mapping for the pages of the list, if notices name nobody.
    #[must_use]
    pub fn mapping_of_pages(&self) -> Option<&Mapping> {
        self.is_list().then_some(&self.list_mapping)
    }

    /// Whether the data read decides scope.
    #[must_use]
    pub fn tells_scope(&self) -> bool {
        self.rules.mapping.tells_scope()
    }

    /// The mapping for a list's rows.
    pub(super) fn list_mapping(&self) -> &Mapping {
        &self.list_mapping
    }

    /// Whether everybody can be listed, or who changed since a time.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn can_list(&self, changes_only: bool) -> Result<(), String> {
        let Some(list) = &self.rules.list else {
            return Err(
                "its preset does not say how the HR system lists everybody: export a file, and give it by `--file`"
                    .to_owned(),
            );
        };
        let lacking: Vec<_> = list.value_names().filter(|name| !self.values.contains_key(*name)).collect();
        if !lacking.is_empty() {
            return Err(format!("its list needs `[source.fetch] values.{}`", lacking.join("`, `values.")));
        }
        if changes_only && !list.lists_changes() {
            return Err("its HR system does not list who changed since a time: leave `--since` away".to_owned());
        }
        Ok(())
    }

    /// How many requests one read makes, not counting a list's further pages and a new token.
    #[must_use]
    pub fn calls(&self) -> u32 {
        let paths = self.rules.step.iter().flat_map(Step::paths).count();
        u32::try_from(paths.max(1)).unwrap_or(1)
    }

    /// The request of a step about a person, at one of its paths.
    pub(super) fn step_request(&self, step: &Step, path: &Template, id: &str) -> Result<HrRequest, Unaskable> {
        let value_of = |slot: &Slot| match slot {
            Slot::Id => Some(id.to_owned()),
            other => value_of_name(other, &self.values),
        };
        // RFC 3986 §5.2.4: a dot segment, encoded or not, would lead out of its folder.
        if matches!(id, "." | "..") {
            return Err(Unaskable);
        }
        let path = path.fill(&value_of, percent).ok_or(Unaskable)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        if !step.headers.keys().any(|name| name.eq_ignore_ascii_case("accept")) {
            headers.push(("accept".to_owned(), "application/json".to_owned()));
        }
        let own =
            step.headers.iter().filter_map(|(name, value)| Some((name.clone(), value.fill(&value_of, as_it_is)?)));
        headers.extend(own);
        let body = match &step.body {
            Some(body) => Some(("application/json", body.fill(&value_of).ok_or(Unaskable)?)),
            None => None,
        };
        let url = format!("{}{path}{}", self.base, query(&step.query, &value_of));
        Ok(HrRequest { method: step.method, url, headers, body, is_list: false })
    }

    /// The request of a page of the list.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn list_request(&self, since: Option<UnixMs>, pages: &Pages) -> Result<HrRequest, String> {
        let list = self.rules.list.as_ref().ok_or("nothing says how to list everybody")?;
        let value_of = |slot: &Slot| match slot {
            Slot::Since => since.as_ref().map(UnixMs::to_string),
            Slot::Cursor => pages.cursor.clone(),
            other => value_of_name(other, &self.values),
        };
        let missing = "a value is missing that the list's address, or its body, names";
        let url = if let Some(link) = &pages.link {
            self.address_of(link).ok_or("the list continues at another host")?
        } else {
            let path = list.path.fill(&value_of, percent).ok_or(missing)?;
            format!("{}{path}{}", self.base, query(&list.query, &value_of))
        };
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        let own =
            list.headers.iter().filter_map(|(name, value)| Some((name.clone(), value.fill(&value_of, as_it_is)?)));
        headers.extend(own);
        let body = match &list.body {
            Some(body) => Some(("application/json", body.fill(&value_of).ok_or(missing)?)),
            None => None,
        };
        Ok(HrRequest { method: list.method, url, headers, body, is_list: true })
    }

    /// A link as an address below the source's own; none if it leads elsewhere, since a reply must not be able to
    /// send the login there.
    fn address_of(&self, link: &str) -> Option<String> {
        let below = |base: &str| {
            let rest = link.get(base.len()..).filter(|_| link.get(..base.len()) == Some(base))?;
            rest.starts_with(['/', '?']).then_some(rest)
        };
        let rest = match below(&self.base).or_else(|| self.own_base.as_deref().and_then(below)) {
            Some(rest) => rest,
            None if link.starts_with('/') && !link.starts_with("//") => link,
            None => return None,
        };
        Some(format!("{}{rest}", self.base))
    }
}

impl Unaskable {
    pub(super) const CODE: Code = Code::FetchRefused;
}

fn value_of_name(slot: &Slot, values: &BTreeMap<String, String>) -> Option<String> {
    slot.value_name().and_then(|name| values.get(name).cloned())
}

/// `?a=b&c=d` of the entries that have a value.
fn query(query: &BTreeMap<String, Template>, value_of: &dyn Fn(&Slot) -> Option<String>) -> String {
    let filled =
        query.iter().filter_map(|(name, value)| Some(format!("{}={}", percent(name), value.fill(value_of, percent)?)));
    let text = filled.collect::<Vec<_>>().join("&");
    if text.is_empty() { text } else { format!("?{text}") }
}

/// A host with its values; the key and the problem if one is missing, or does not belong in a host.
fn host_of(host: &Template, values: &BTreeMap<String, String>) -> Result<String, (String, String)> {
    for name in host.slots().filter_map(Slot::value_name) {
        let key = || format!("values.{name}");
        match values.get(name) {
            None => return Err((key(), format!("is needed for the host `{}`", host.as_str()))),
            Some(value) if !is_label(value) => return Err((key(), "cannot be a part of a host".to_owned())),
            Some(_) => {}
        }
    }
    host.fill(&|slot| value_of_name(slot, values), as_it_is)
        .ok_or_else(|| ("values".to_owned(), "a value is missing".to_owned()))
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// A whole address as its host and the rest.
fn split_address(address: &Template) -> Option<(Template, Template)> {
    let text = address.as_str();
    let begins = text.find("://")? + 3;
    let at = begins + text.get(begins..)?.find('/')?;
    let (host, path) = text.split_at(at);
    Some((Template::parse(host).ok()?, Template::parse(path).ok()?))
}

fn words(needs: &BTreeSet<Credential>) -> String {
    let names: Vec<String> = needs.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
}
