//! `[[source]]`: the HR systems.

use std::collections::BTreeSet;

use ipnet::IpNet;
use secrecy::ExposeSecret;
use serde::Deserialize;
use toml::{Table, Value};

use super::error::{ConfigCode, ConfigError, Findings};
use super::fetch::{self, FetchConfig};
use super::layers::parse;
use super::presets;
use super::presets::Confidence;
use super::secret::{Fit, Reader, SecretSpec};
use super::server::Network;
use crate::core::mapping::{Mapping, Meaning};
use crate::core::person::SourceName;
use crate::core::roster::NOT_IN_HR;
use crate::core::signature::Scheme;
use crate::core::signature::scheme::Handshake;
use crate::core::time::UnixMs;
use crate::files;
use crate::secret::LiveSecret;

/// The environment variable that makes a source `hr` if no source is configured.
pub(super) const SECRET_VARIABLE: &str = "HR_SECRET";

/// One `[[source]]`.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// Its name in the URL: `/webhooks/{name}`.
    pub name: SourceName,
    /// How it signs: the preset's scheme, overridden by `[source.signature]`.
    pub signature: Scheme,
    /// The secrets it may sign with; any of them is accepted.
    pub secrets: Vec<SourceSecret>,
    /// How its payload is read: the preset's mapping, overridden by `[source.mapping]`.
    pub mapping: Mapping,
    /// How long a delivery is remembered, to recognise repetitions, in days.
    pub dedupe_days: u64,
    /// The accepted media types, in lower case; others get 415.
    pub content_types: Vec<String>,
    /// Largest body accepted from it, in bytes; none: `[server] body_bytes_max`.
    pub body_bytes_max: Option<usize>,
    /// The networks it may post from; empty: any.
    pub allow_from: Vec<IpNet>,
    /// What happens to updates about people who are not in the team.
    pub updates_of_others: UpdatesOfOthers,
    /// Whether its webhooks only say whom to read.
    pub thin: bool,
    /// How people are read: the preset's `[fetch]`, overridden by `[source.fetch]`.
    pub fetch: Option<FetchConfig>,
}

/// What happens to updates about people whom HR has not called hired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdatesOfOthers {
    /// They are kept in the record, but nobody is invited.
    #[default]
    Ignore,
    /// They invite the person.
    Create,
}

/// One secret of a source.
#[derive(Debug, Clone)]
pub struct SourceSecret {
    /// The secret. Empty until a handshake brings it: nothing may be accepted with it before.
    pub secret: LiveSecret,
    /// When it expires.
    pub not_after: Option<UnixMs>,
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    name: Option<SourceName>,
    // Already read, when the source was merged over its preset.
    #[serde(rename = "preset")]
    _preset: Option<String>,
    #[serde(rename = "preset_file")]
    _preset_file: Option<String>,
    #[serde(deserialize_with = "one_or_more")]
    secrets: Vec<SecretSpec>,
    signature: Option<Scheme>,
    mapping: Mapping,
    dedupe_days: u64,
    content_types: Vec<String>,
    body_bytes_max: Option<u64>,
    allow_from: Vec<Network>,
    updates_of_others: UpdatesOfOthers,
    thin: bool,
    confidence: Option<Confidence>,
    fetch: Option<Table>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            name: None,
            _preset: None,
            _preset_file: None,
            secrets: Vec::new(),
            signature: None,
            mapping: Mapping::default(),
            // More than three days, the longest time for which senders are known to try again.
            dedupe_days: 7,
            content_types: vec!["application/json".to_owned()],
            body_bytes_max: None,
            allow_from: Vec::new(),
            updates_of_others: UpdatesOfOthers::Ignore,
            thin: false,
            confidence: None,
            fetch: None,
        }
    }
}

/// A bare secret, or a list of them.
fn one_or_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretSpec>, D::Error> {
    use serde::de::Error;
    let cannot = || D::Error::custom("expected a list of secrets, such as [{ env = \"HR_SECRET\" }]");
    let specs = match Value::deserialize(deserializer).map_err(|_| cannot())? {
        Value::Array(items) => items,
        one @ (Value::String(_) | Value::Table(_)) => vec![one],
        _ => return Err(cannot()),
    };
    let spec = |(n, value): (usize, Value)| {
        SecretSpec::deserialize(value).map_err(|error| D::Error::custom(format!("entry {n}: {}", error.message())))
    };
    specs.into_iter().enumerate().map(spec).collect()
}

/// Merges each source over its preset, before they are parsed; without any source, adds `hr`.
pub(super) fn prepare(tree: &mut Value, assume_hr: bool, findings: &mut Findings) {
    let Some(root) = tree.as_table_mut() else { return };
    if root.get("source").is_some_and(Value::is_table) {
        let problem = "it is one table, but sources are a list";
        findings.push(
            ConfigError::new("source", ConfigCode::Value, problem).advise("Write [[source]], with two brackets."),
        );
        // Parsed as it was meant, so that other errors in it are reported, too.
        let source = root.remove("source").into_iter().collect();
        root.insert("source".to_owned(), Value::Array(source));
    }
    let silent = root.get("source").is_none_or(|source| source.as_array().is_some_and(Vec::is_empty));
    if silent && assume_hr {
        let mut hr = Table::new();
        let secret = Table::from_iter([("env".to_owned(), Value::String(SECRET_VARIABLE.to_owned()))]);
        hr.insert("name".to_owned(), Value::String("hr".to_owned()));
        hr.insert("secrets".to_owned(), Value::Array(vec![Value::Table(secret)]));
        root.insert("source".to_owned(), Value::Array(vec![Value::Table(hr)]));
    }
    let sources = root.get_mut("source").and_then(Value::as_array_mut).into_iter().flatten();
    for (n, source) in sources.enumerate() {
        let Some(source) = source.as_table_mut() else { continue };
        match preset_of(source, n) {
            Ok(Some(preset)) => presets::merge_preset(preset, source),
            Ok(None) => {}
            Err(error) => findings.push(error),
        }
        fetch::inherit(source);
    }
}

/// No preset file is larger, in bytes.
const PRESET_BYTES_MAX: u64 = 1 << 20;

/// The preset of a source; none if the source has a complete signature of its own.
fn preset_of(source: &Table, n: usize) -> Result<Option<Table>, ConfigError> {
    if let Some(path) = source.get("preset_file") {
        let key = format!("source[{n}].preset_file");
        let Value::String(path) = path else {
            return Err(ConfigError::new(key, ConfigCode::Value, "expected the path of a file, as text"));
        };
        let read = files::read(std::path::Path::new(path), PRESET_BYTES_MAX);
        let text = read.map_err(|error| ConfigError::new(key.clone(), ConfigCode::File, error.to_string()))?;
        let text = std::str::from_utf8(&text)
            .map_err(|_| ConfigError::new(key.clone(), ConfigCode::File, format!("{path} is not UTF-8 text")))?
            .to_owned();
        let preset = parse(path, &text)?;
        if let Some(other) = preset.keys().find(|name| !presets::KEYS.contains(&name.as_str())) {
            let problem = format!("{path}: `{other}` does not belong in a preset");
            let advice = format!("A preset has {}.", presets::KEYS.join(", "));
            return Err(ConfigError::new(key, ConfigCode::UnknownKey, problem).advise(advice));
        }
        check_mappings(path, &text, key)?;
        return Ok(Some(preset));
    }
    let name = match source.get("preset") {
        Some(Value::String(name)) => name,
        // Of another type: reported when the source is read.
        Some(_) => return Ok(None),
        None if source.contains_key("signature") => return Ok(None),
        None => presets::DEFAULT,
    };
    let key = format!("source[{n}].preset");
    let unknown = || {
        let advice = format!("The presets are {}; or point `preset_file` at a file.", presets::names().join(", "));
        ConfigError::new(key, ConfigCode::Preset, format!("no preset `{name}`")).advise(advice)
    };
    presets::built_in(name).ok_or_else(unknown).and_then(|text| parse(name, text)).map(Some)
}

/// Parses a preset file's mappings by themselves, so that errors have a line number, which is lost once a source
/// is merged over the preset.
fn check_mappings(path: &str, text: &str, key: String) -> Result<(), ConfigError> {
    #[derive(Deserialize)]
    struct Mappings {
        #[serde(rename = "mapping")]
        _mapping: Option<Mapping>,
        #[serde(rename = "fetch")]
        _fetch: Option<Fetch>,
    }
    #[derive(Deserialize)]
    struct Fetch {
        #[serde(rename = "mapping")]
        _mapping: Option<Mapping>,
    }
    let Ok(file) = toml::Deserializer::parse(text) else { return Ok(()) };
    serde_path_to_error::deserialize::<_, Mappings>(file).map(drop).map_err(|error| {
        let before = error.inner().span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let problem = format!("{path}, line {line}: `{}`: {}", error.path(), error.inner().message());
        let advice = "Give an allowed value; `docs/configuration.md` lists them.";
        ConfigError::new(key, ConfigCode::Value, problem).advise(advice)
    })
}

/// Checks the sources and reads their secrets.
pub(super) fn build(raws: Vec<Raw>, read: &mut Reader<'_>, findings: &mut Findings) -> Vec<SourceConfig> {
    if raws.is_empty() {
        let advice =
            format!("Add a `[[source]]` with a name and secrets, or set {SECRET_VARIABLE} for one named `hr`.");
        findings.push(ConfigError::new("source", ConfigCode::Source, "no source is configured").advise(advice));
    }
    let mut names = BTreeSet::new();
    let mut built = Vec::new();
    for (n, raw) in raws.into_iter().enumerate() {
        let Some(source) = raw.build(&format!("source[{n}]"), read, findings) else { continue };
        if source.name.as_str() == NOT_IN_HR {
            let problem = format!("`{NOT_IN_HR}` stands for members whom HR does not have");
            let advice = "Give the source another name.";
            findings.push(ConfigError::new(format!("source[{n}].name"), ConfigCode::Source, problem).advise(advice));
        }
        if !names.insert(source.name.clone()) {
            let problem = format!("`{}` occurs twice", source.name);
            let advice = "Give each source a name of its own; a source may have several secrets.";
            findings.push(ConfigError::new(format!("source[{n}].name"), ConfigCode::Source, problem).advise(advice));
        }
        built.push(source);
    }
    built
}

impl Raw {
    /// The source, if it is complete enough; all problems are noted in any case.
    fn build(self, at: &str, read: &mut Reader<'_>, findings: &mut Findings) -> Option<SourceConfig> {
        let trouble = |key: &str, problem: &str| ConfigError::new(format!("{at}.{key}"), ConfigCode::Source, problem);
        let secrets = self.secrets(&format!("{at}.secrets"), read, findings);
        if self.name.is_none() {
            findings.push(trouble("name", "the source has no name").advise("Name it as in `/webhooks/{name}`."));
        }
        match &self.signature {
            Some(scheme) => {
                for problem in scheme.validate() {
                    findings.push(trouble(&format!("signature.{}", problem.key), &problem.help));
                }
            }
            // Otherwise its preset is at fault, which has been reported.
            None if !findings.has(&format!("{at}.preset")) && !findings.has(&format!("{at}.preset_file")) => {
                let advice = "Name a `preset`, or spell out `[source.signature]`.";
                findings.push(trouble("signature", "nothing says how this source signs").advise(advice));
            }
            None => {}
        }
        let says_facts =
            [Meaning::Hire, Meaning::Update, Meaning::Leave].into_iter().any(|meaning| self.mapping.can_mean(meaning));
        if self.signature.as_ref().is_some_and(|scheme| scheme.body_unsigned) && says_facts {
            let advice =
                "Let the mapping make only notices: set hire, update and leave to [], and list all types under notice.";
            let problem = "leaves the body unsigned, so anybody could change it";
            findings.push(trouble("signature.body_unsigned", problem).advise(advice));
        }
        if let (Some(Confidence::Guess), Some(name)) = (self.confidence, &self.name) {
            findings.notice(format!("{at} (`{name}`): its preset is a guess that nobody confirmed: try it with `scim-bridge explain --request`"));
        }
        for (key, problem) in self.mapping.validate() {
            findings.push(trouble(&format!("mapping.{key}"), &problem));
        }
        if let (Some(name), Some(what)) = (&self.name, self.mapping.lacks_for_hires()) {
            findings.notice(format!("{at} (`{name}`): {what}"));
        }
        findings.bounds(&format!("{at}.dedupe_days"), self.dedupe_days, 1, 90);
        let content_types: Vec<String> = self.content_types.iter().map(|kind| kind.trim().to_lowercase()).collect();
        findings.when(
            content_types.is_empty() || !content_types.iter().all(|kind| is_media_type(kind)),
            &format!("{at}.content_types"),
            "needs media types without parameters",
            "Give a list such as [\"application/json\"].",
        );
        findings.bounds(&format!("{at}.body_bytes_max"), self.body_bytes_max.unwrap_or(1_024), 1_024, 67_108_864);
        let fetch = fetch::build(self.fetch, at, self.thin, read, findings);
        let reads_untimed = fetch.as_ref().is_some_and(|fetch| !fetch.api.is_list());
        Some(SourceConfig {
            name: self.name?,
            signature: self.signature?,
            secrets,
            mapping: Mapping { reads_untimed, ..self.mapping },
            dedupe_days: self.dedupe_days,
            content_types,
            body_bytes_max: self.body_bytes_max.and_then(|bytes| usize::try_from(bytes).ok()),
            allow_from: self.allow_from.into_iter().map(|network| network.0).collect(),
            updates_of_others: self.updates_of_others,
            thin: self.thin,
            fetch,
        })
    }

    fn secrets(&self, key: &str, read: &mut Reader<'_>, findings: &mut Findings) -> Vec<SourceSecret> {
        if !read.role.takes_in() {
            // Every process reports when they expire; only the intake needs the values.
            let secret =
                |spec: &SecretSpec| SourceSecret { secret: super::secret::none_yet(), not_after: spec.not_after };
            return self.secrets.iter().map(secret).collect();
        }
        if self.secrets.is_empty() {
            let advice = "Give at least one, such as secrets = [{ env = \"HR_SECRET\" }].";
            findings.push(ConfigError::new(key, ConfigCode::Secret, "the source has no secret").advise(advice));
        }
        let handshakes = self.signature.iter().flat_map(|scheme| &scheme.handshake);
        let captured: Vec<_> = handshakes
            .filter_map(|handshake| match handshake {
                Handshake::Capture { file, .. } => file.as_deref(),
                Handshake::Echo { .. } | Handshake::Ping { .. } | Handshake::Get { .. } => None,
            })
            .collect();
        let mut secrets = Vec::new();
        for (m, spec) in self.secrets.iter().enumerate() {
            let key = format!("{key}[{m}]");
            let secret = match spec.file().filter(|file| captured.contains(file)) {
                Some(file) => Some(read.secret_to_come(&key, file)),
                None => read.secret(&key, spec, findings),
            };
            let Some(secret) = secret else { continue };
            if let Some(scheme) = &self.signature {
                let fit = Fit::Scheme(Box::new(scheme.clone()));
                let present = !secret.current().expose_secret().is_empty();
                if let Some(problem) = fit.check(&secret.current()).err().filter(|_| present) {
                    findings.push(ConfigError::new(&key, ConfigCode::Secret, problem));
                }
                read.files.must_fit(&key, fit);
            }
            secrets.push(SourceSecret { secret, not_after: spec.not_after });
        }
        secrets
    }
}

/// RFC 6838 §4.2, without parameters.
fn is_media_type(text: &str) -> bool {
    let named =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    text.split_once('/').is_some_and(|(kind, subtype)| named(kind) && named(subtype))
}
