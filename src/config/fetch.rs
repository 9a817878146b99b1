//! `[source.fetch]`: how the people of a thin source are read.
//!
//! A preset says which requests are made and where the facts are in the answers; the source adds its
//! login and, if different, its address.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::{Table, Value};

use super::address::base_address;
use super::error::{ConfigCode, ConfigError, Findings};
use super::secret::{Reader, SecretSpec};
use crate::core::fetch::{Api, Credential, FetchRules};
use crate::secret::LiveSecret;

/// Keys of `[source.mapping]` that the administrator chooses and that apply to what is read, too.
const INHERITED: [&str; 6] = ["address_domains", "names", "zone", "leave_at", "invite", "lead_days"];

/// How people are read.
#[derive(Debug, Clone)]
pub struct FetchConfig {
    /// The requests, and how their answers are read.
    pub api: Api,
    /// The login, as far as its secrets are set.
    pub credentials: BTreeMap<Credential, LiveSecret>,
}

/// Applies the administrator's choices for webhooks to what is read, too.
pub(super) fn inherit(source: &mut Table) {
    let Some(Value::Table(mapping)) = source.get("mapping") else { return };
    let chosen: Vec<(&str, Value)> =
        INHERITED.iter().filter_map(|key| Some((*key, mapping.get(*key)?.clone()))).collect();
    let Some(Value::Table(fetch)) = source.get_mut("fetch") else { return };
    let Some(Value::Table(read)) = fetch.get_mut("mapping") else { return };
    for (key, value) in chosen {
        read.entry(key).or_insert(value);
    }
}

/// The fetch of a source, if it has a complete one; notes everything that is wrong with it.
pub(super) fn build(
    table: Option<Table>,
    at: &str,
    thin: bool,
    read: &mut Reader<'_>,
    findings: &mut Findings,
) -> Option<FetchConfig> {
    let at = format!("{at}.fetch");
    let Some(mut table) = table else {
        if thin {
            findings.notice(format!("{at}: its webhooks only say whom to read, and no preset says how: these people become dead letters (FETCH-MISSING)"));
        }
        return None;
    };
    let base_url = table.remove("base_url");
    let values = table.remove("values");
    let specs: BTreeMap<Credential, Value> =
        Credential::ALL.into_iter().filter_map(|name| Some((name, table.remove(name.as_str())?))).collect();
    let is_given = base_url.is_some() || values.is_some() || !specs.is_empty();
    let base_url = base_url.and_then(|value| base_of(&value, &at, findings));
    let values = values.map(|value| values_of(value, &at, findings)).unwrap_or_default();
    let (given, credentials) = login_of(specs, &at, read, findings);
    if table.is_empty() {
        // A login that the preset does not need is not an error.
        if thin {
            findings.notice(format!("{at}: its webhooks only say whom to read, and nothing says how: name a `step` or a `list`; its people become dead letters (FETCH-MISSING)"));
        }
        return None;
    }
    let rules = rules_of(table, &at, findings)?;
    match Api::new(rules, base_url.as_deref(), values, &given) {
        Ok(api) => Some(FetchConfig { api, credentials }),
        Err(_) if !is_given => {
            if thin {
                findings.notice(format!("{at}: its webhooks only say whom to read, and no login is given: their people become dead letters (FETCH-MISSING)"));
            }
            None
        }
        Err(problems) => {
            for problem in problems {
                let advice =
                    "Complete `[source.fetch]` with what the preset's system asks for; docs/hr-systems.md says what.";
                findings.push(
                    ConfigError::new(format!("{at}.{}", problem.key), ConfigCode::Source, problem.problem)
                        .advise(advice),
                );
            }
            None
        }
    }
}

fn base_of(value: &Value, at: &str, findings: &mut Findings) -> Option<String> {
    let text = value.as_str().unwrap_or_default();
    let url = base_address(text);
    findings.when(
        url.is_none(),
        &format!("{at}.base_url"),
        "is not an http or https address",
        "Give scheme and host, and a path if all others begin with it, such as \"https://api.example.com\".",
    );
    url.map(|_| text.trim_end_matches('/').to_owned())
}

fn values_of(value: Value, at: &str, findings: &mut Findings) -> BTreeMap<String, String> {
    let Value::Table(table) = value else {
        findings.when(true, &format!("{at}.values"), "expected a table", "Give one such as { subdomain = \"acme\" }.");
        return BTreeMap::new();
    };
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let text = match value {
            Value::String(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
        };
        let key = format!("{at}.values.{name}");
        match text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
            Some(text) => {
                values.insert(name, text);
            }
            None => findings.when(true, &key, "expected text", "Give the system's own name for it, such as \"acme\"."),
        }
    }
    values
}

/// Which parts of a login are configured, and the values of those that are set.
fn login_of(
    specs: BTreeMap<Credential, Value>,
    at: &str,
    read: &mut Reader<'_>,
    findings: &mut Findings,
) -> (BTreeSet<Credential>, BTreeMap<Credential, LiveSecret>) {
    let given: BTreeSet<Credential> = specs.keys().copied().collect();
    for (one, other) in
        [(Credential::ClientCertificate, Credential::ClientKey), (Credential::ClientKey, Credential::ClientCertificate)]
    {
        findings.when(
            given.contains(&one) && !given.contains(&other),
            &format!("{at}.{other}"),
            &format!("is needed with `{one}`"),
            "Give both, as PEM, such as { file = \"/run/secrets/hr-client.pem\" }.",
        );
    }
    let mut credentials = BTreeMap::new();
    for (name, value) in specs {
        let key = format!("{at}.{name}");
        match SecretSpec::deserialize(value) {
            Ok(spec) => {
                if read.role.works()
                    && let Some(secret) = read.secret(&key, &spec, findings)
                {
                    credentials.insert(name, secret);
                }
            }
            Err(error) => findings.push(ConfigError::new(key, ConfigCode::Value, error.message())),
        }
    }
    (given, credentials)
}

fn rules_of(table: Table, at: &str, findings: &mut Findings) -> Option<FetchRules> {
    let mut rules: FetchRules = match serde_path_to_error::deserialize(Value::Table(table)) {
        Ok(rules) => rules,
        Err(error) => {
            let path = error.path().to_string();
            let key = if path == "." { at.to_owned() } else { format!("{at}.{path}") };
            // Serde's message would show the value, which may be a misplaced secret.
            let message = error.inner().message();
            let problem = match message.split_once(", expected ").filter(|_| message.starts_with("invalid ")) {
                Some((_, expected)) => format!("expected {expected}"),
                None => message.replace('\n', ", "),
            };
            let code = if message.starts_with("unknown field ") { ConfigCode::UnknownKey } else { ConfigCode::Value };
            findings.push(ConfigError::new(key, code, problem));
            return None;
        }
    };
    rules.settle();
    let problems = rules.validate();
    for (key, problem) in &problems {
        findings.push(ConfigError::new(format!("{at}.{key}"), ConfigCode::Source, problem.clone()));
    }
    problems.is_empty().then_some(rules)
}
