//! The configuration that `init` writes, as text with comments: what an admin of this HR system needs, and
//! nothing else.

use std::fmt::Write as _;

use serde::Deserialize;
use toml::Value;

use super::super::failure::Failure;
use crate::config::StoreUrl;
use crate::config::presets::{self, Confidence};
use crate::core::fetch::{Auth, Credential, FetchRules};
use crate::core::person::SourceName;
use crate::core::signature::{self, Scheme};

/// Where a placeholder is.
const CHANGE: &str = "# <- your own";

/// An HR system, as its preset describes it.
pub(super) struct System {
    /// The key by which the source names its preset, and its value.
    named: (&'static str, String),
    name: String,
    setup: String,
    confidence: Option<Confidence>,
    thin: bool,
    needs_user: bool,
    /// Whether it accepts only addresses in the domains of `address_domains`.
    has_private_addresses: bool,
    fetch: Option<FetchRules>,
}

#[derive(Deserialize)]
struct Parsed {
    signature: Scheme,
    fetch: Option<FetchRules>,
    #[serde(default)]
    thin: bool,
}

impl System {
    pub(super) fn new(preset: &str, text: &str, is_file: bool) -> Result<Self, Failure> {
        let parsed: Parsed = toml::from_str(text).map_err(|error| {
            Failure::failed(format!("{preset} is not a preset: {}", error.message().replace('\n', ", ")))
        })?;
        let about = presets::about_text(preset, text);
        let is_basic = parsed.signature.auth == signature::scheme::Auth::Basic;
        Ok(Self {
            named: (if is_file { "preset_file" } else { "preset" }, preset.to_owned()),
            name: about.as_ref().map_or_else(|| preset.to_owned(), |about| about.system.clone()),
            setup: about.as_ref().map(|about| about.setup.clone()).unwrap_or_default(),
            confidence: about.map(|about| about.confidence),
            thin: parsed.thin,
            needs_user: is_basic && parsed.signature.username.is_none(),
            has_private_addresses: text.contains("private = true"),
            fetch: parsed.fetch,
        })
    }
}

/// What was chosen.
pub(super) struct Choices {
    pub(super) system: System,
    pub(super) store: String,
    pub(super) target: String,
    pub(super) name: SourceName,
    pub(super) values: Vec<(String, String)>,
}

/// The configuration, and what is still to do.
pub(super) struct Composed {
    pub(super) text: String,
    /// The environment variables with the secrets.
    pub(super) environment: Vec<String>,
    /// The keys whose value is only a placeholder.
    pub(super) to_change: Vec<String>,
}

/// Writes the configuration.
pub(super) fn compose(choices: &Choices) -> Composed {
    let mut composed = Composed { text: String::new(), environment: Vec::new(), to_change: Vec::new() };
    let system = &choices.system;
    composed.lines(&[
        &format!("# scim-bridge, for {}. Written by `scim-bridge init`.", system.name),
        "# Every key, at its default: config/scim-bridge.toml; docs/configuration.md says more about each.",
        "# No secret belongs in this file: set the environment variables named here, or use a file instead:",
        "# { file = \"/run/secrets/…\" } is read again when it changes.",
        "",
        "[server]",
        &format!(
            "# The HR system posts to https://YOUR-HOST/webhooks/{}, through a proxy of yours that speaks TLS.",
            choices.name.as_str()
        ),
        "listen = \"127.0.0.1:8080\"",
        "# Health, metrics, admin API and console. Not for the internet.",
        "admin_listen = \"127.0.0.1:9090\"",
    ]);
    composed.store(&choices.store);
    composed.lines(&["", "[postman]", &format!("base_url = {}", quoted(&choices.target))]);
    composed.lines(&["# The SCIM API key of the team, not a personal one."]);
    composed.secret("key", "POSTMAN_SCIM_KEY");
    composed.source(choices);
    composed
}

impl Composed {
    fn lines(&mut self, lines: &[&str]) {
        for line in lines {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn secret(&mut self, key: &str, variable: &str) {
        self.environment.push(variable.to_owned());
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{key} = {{ env = {variable:?} }}");
    }

    /// The rest of `[server]`, and `[store]`: a password in the address is taken out of it.
    fn store(&mut self, store: &str) {
        let is_embedded = store.starts_with("embedded:");
        self.lines(&["# The token for API and console: 24 characters or more, such as `openssl rand -hex 24` prints."]);
        if is_embedded {
            self.lines(&[
                "# Without it, one is made and kept in the store's directory.",
                "#admin_token = { env = \"SCIM_BRIDGE_ADMIN_TOKEN\" }",
            ]);
        } else {
            self.secret("admin_token", "SCIM_BRIDGE_ADMIN_TOKEN");
        }
        let (url, user, has_password) = without_login(store);
        self.lines(&["", "[store]"]);
        self.lines(&[if is_embedded {
            "# A directory of this machine, for one process. It holds personal data."
        } else {
            "# For any number of processes. It holds personal data; docs/redis.md says how to run it."
        }]);
        self.lines(&[&format!("url = {}", quoted(&url))]);
        if let Ok(StoreUrl::Redis(redis)) = StoreUrl::try_from(url)
            && redis.is_open_to_the_network()
        {
            self.lines(&[
                "# Passwords, names and addresses cross the network unencrypted: use rediss:// unless the network is your own.",
                "allow_plain = true",
            ]);
        }
        if let Some(user) = user {
            self.lines(&[&format!("username = {}", quoted(&user))]);
        }
        if has_password {
            self.secret("password", "REDIS_PASSWORD");
        }
    }

    fn source(&mut self, choices: &Choices) {
        let system = &choices.system;
        self.lines(&["", "[[source]]", &format!("name = {}", quoted(choices.name.as_str()))]);
        self.lines(&[&format!("{} = {}", system.named.0, quoted(&system.named.1))]);
        if system.confidence == Some(Confidence::Guess) {
            self.lines(&[
                "# Nobody has confirmed this preset: try a delivery with `scim-bridge explain --request` before you rely on it.",
            ]);
        }
        for line in wrapped(&system.setup) {
            self.lines(&[&format!("# {line}")]);
        }
        let variable = variable(&choices.name, "SECRET");
        self.environment.push(variable.clone());
        self.lines(&[&format!("secrets = [{{ env = {variable:?} }}]")]);
        if system.needs_user {
            self.lines(&["", "[source.signature]", "# Who logs in; the secret is the password."]);
            self.lines(&[&format!("username = \"hr\" {CHANGE}")]);
            self.to_change.push("source.signature.username".to_owned());
        }
        if system.has_private_addresses {
            self.lines(&[
                "",
                "[source.mapping]",
                "# It sends private addresses, too: only those in the domains listed here are used.",
                "#address_domains = [\"example.com\"]",
            ]);
        }
        match &system.fetch {
            Some(rules) if system.thin => self.fetch(rules, choices),
            None if system.thin => self.lines(&[
                "",
                "# Its webhooks only say whom to read, and how to read is not known yet: `[source.fetch]` in",
                "# docs/configuration.md says how to spell that out. Until then, these people become dead letters.",
            ]),
            Some(_) | None => {}
        }
    }

    fn fetch(&mut self, rules: &FetchRules, choices: &Choices) {
        let Some(auth) = preferred(&rules.auth) else { return };
        self.lines(&[
            "",
            "[source.fetch]",
            "# Its webhooks only say whom to read: the people are read at its API, with this login.",
        ]);
        for credential in login(auth) {
            self.secret(credential.as_str(), &self::variable(&choices.name, suffix(credential)));
        }
        let others: Vec<String> = rules
            .auth
            .iter()
            .filter(|other| *other != auth)
            .map(|other| login(other).into_iter().map(Credential::as_str).collect::<Vec<_>>().join(" and "))
            .filter(|words| !words.is_empty())
            .collect();
        if !others.is_empty() {
            self.lines(&[&format!("# Instead of these, it also takes {}.", others.join("; or "))]);
        }
        let (needed, optional) = rules.value_names(auth);
        let given =
            |name: &str| choices.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let (needed, mut optional): (Vec<&str>, Vec<&str>) =
            (needed.into_iter().collect(), optional.into_iter().collect());
        let more = choices.values.iter().map(|(name, _)| name.as_str());
        let extra: Vec<&str> = more.filter(|name| !needed.contains(name) && given(name).is_some()).collect();
        optional.retain(|name| !extra.contains(name));
        if needed.is_empty() && extra.is_empty() && optional.is_empty() {
            return;
        }
        self.lines(&["", "[source.fetch.values]", "# What the URLs of its API contain."]);
        for name in needed.iter().chain(&extra) {
            let value = given(name);
            let mark = if value.is_some() { String::new() } else { format!(" {CHANGE}") };
            self.lines(&[&format!("{name} = {}{mark}", quoted(value.unwrap_or_else(|| placeholder(name))))]);
            if value.is_none() {
                self.to_change.push(format!("source.fetch.values.{name}"));
            }
        }
        for name in optional {
            let known: Vec<&str> = rules.regions.keys().map(String::as_str).collect();
            match name {
                "region" => self.lines(&[&format!("#region = {} # one of {}", quoted(known[0]), known.join(", "))]),
                _ => self.lines(&[&format!("#{name} = {} # where your login needs it", quoted(placeholder(name)))]),
            }
        }
    }
}

/// The kind of login to begin with: a key that lasts before a grant that must be given first.
fn preferred(kinds: &[Auth]) -> Option<&Auth> {
    let lasts = |auth: &&Auth| matches!(auth, Auth::Basic { .. } | Auth::Header { .. } | Auth::None);
    let client = |auth: &&Auth| matches!(auth, Auth::ClientCredentials(_));
    kinds.iter().find(lasts).or_else(|| kinds.iter().find(client)).or(kinds.first())
}

fn login(auth: &Auth) -> Vec<Credential> {
    let mut parts = auth.needs();
    if matches!(auth, Auth::RefreshToken(_)) {
        // A public client has none, and then it is taken out.
        parts.insert(Credential::ClientSecret);
    }
    parts.into_iter().collect()
}

fn suffix(credential: Credential) -> &'static str {
    match credential {
        Credential::Token => "API_TOKEN",
        Credential::Username => "API_USERNAME",
        Credential::Password => "API_PASSWORD",
        Credential::ClientId => "CLIENT_ID",
        Credential::ClientSecret => "CLIENT_SECRET",
        Credential::RefreshToken => "REFRESH_TOKEN",
        Credential::ClientCertificate => "CLIENT_CERTIFICATE",
        Credential::ClientKey => "CLIENT_KEY",
    }
}

/// `HR_SECRET` of the source `hr`.
fn variable(source: &SourceName, suffix: &str) -> String {
    format!("{}_{suffix}", source.as_str().to_ascii_uppercase().replace('-', "_"))
}

/// A placeholder for a value that is not known yet: a part of a host, or a host that does not exist.
fn placeholder(name: &str) -> &'static str {
    if name == "host" { "hr-api.example.com" } else { "your-own" }
}

/// The address without user and password, the user, and whether there was a password.
fn without_login(store: &str) -> (String, Option<String>, bool) {
    let Some((scheme, rest)) = store.split_once("://") else { return (store.to_owned(), None, false) };
    let Some((login, hosts)) = rest.rsplit_once('@') else { return (store.to_owned(), None, false) };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let user = percent_encoding::percent_decode_str(user).decode_utf8_lossy().into_owned();
    (format!("{scheme}://{hosts}"), Some(user).filter(|user| !user.is_empty()), !password.is_empty())
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A text in lines that are short enough to fit in.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + word.chars().count() < 108) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_store_url_does_not_reach_the_file() {
        for (store, url, user, has_password) in [
            ("redis://host:6379/0", "redis://host:6379/0", None, false),
            ("rediss://:s3cret@host/1", "rediss://host/1", None, true),
            ("redis-cluster://br%40dge:p%3Aw@a:1,b:2", "redis-cluster://a:1,b:2", Some("br@dge"), true),
            ("embedded:./d@ta", "embedded:./d@ta", None, false),
        ] {
            assert_eq!(without_login(store), (url.to_owned(), user.map(str::to_owned), has_password), "{store}");
        }
    }

    #[test]
    fn init_writes_a_valid_configuration_for_every_preset_and_store() {
        for preset in presets::names() {
            for store in ["embedded:./data", "redis://redis:6379/0", "redis+sentinel://:p@a:1,b:2/name/0"] {
                let choices = Choices {
                    system: System::new(preset, presets::built_in(preset).unwrap(), false).unwrap(),
                    store: store.to_owned(),
                    target: "https://scim.example.com/v2".to_owned(),
                    name: SourceName::parse("people-hr").unwrap(),
                    values: vec![("subdomain".to_owned(), "acme".to_owned())],
                };
                let composed = compose(&choices);
                let config = crate::config::Config::of_text(&composed.text);
                let config = config.unwrap_or_else(|errors| panic!("{preset}: {errors}\n{}", composed.text));
                let source = &config.sources[0];
                assert_eq!(source.fetch.is_some(), source.thin, "{preset}\n{}", composed.text);
                assert!(!composed.text.contains(":p@") && composed.text.contains("PEOPLE_HR_SECRET"), "{preset}");
                assert!(!composed.to_change.contains(&"source.fetch.values.subdomain".to_owned()), "{preset}");
            }
        }
    }
}
