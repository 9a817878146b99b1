//! Secrets: given as a value, an environment variable or a file; re-read when the file changes;
//! never printed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Value;
use zeroize::Zeroizing;

use super::address::web_address;
use super::error::{ConfigCode, ConfigError, Findings};
use crate::core::processes::ProcessRole;
use crate::core::signature::{Scheme, check_secret};
use crate::core::time::UnixMs;
use crate::files::{self, Reading};
use crate::secret::LiveSecret;

/// Largest file that is taken for a secret, in bytes.
const FILE_BYTES_MAX: u64 = 65_536;
/// The form of a secret, for errors.
const FORM: &str = "text, { env = \"NAME\" } or { file = \"PATH\" }";

/// Where a secret comes from, as configured.
#[derive(Clone)]
pub(super) struct SecretSpec {
    at: At,
    /// From this instant on it is not accepted any more.
    pub(super) not_after: Option<UnixMs>,
}

#[derive(Clone)]
enum At {
    Value(SecretString),
    Env(String),
    File(PathBuf),
}

impl SecretSpec {
    pub(super) fn env(name: &str) -> Self {
        Self { at: At::Env(name.to_owned()), not_after: None }
    }

    /// The file that it is in, if it is in one.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.at {
            At::File(path) => Some(path),
            At::Value(_) | At::Env(_) => None,
        }
    }
}

impl fmt::Debug for SecretSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Value(_) => f.write_str("a value"),
            At::Env(name) => write!(f, "environment variable {name}"),
            At::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for SecretSpec {
    /// Reads a whole TOML value, so that no message of serde's can show what is in it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let not_so = || D::Error::custom(format!("expected {FORM}"));
        let mut table = match Value::deserialize(deserializer).map_err(|_| not_so())? {
            Value::String(text) => return Ok(Self { at: At::Value(text.into()), not_after: None }),
            Value::Table(table) => table,
            _ => return Err(not_so()),
        };
        let not_after = match table.remove("not_after") {
            None => None,
            Some(Value::String(text)) => Some(instant(&text).map_err(D::Error::custom)?),
            Some(Value::Datetime(at)) => Some(instant(&at.to_string()).map_err(D::Error::custom)?),
            Some(_) => return Err(D::Error::custom("not_after: expected an instant such as 2026-12-31T00:00:00Z")),
        };
        let mut given = table.into_iter();
        let (Some((name, value)), None) = (given.next(), given.next()) else {
            return Err(D::Error::custom("expected exactly one of `value`, `env` and `file` (and `not_after`)"));
        };
        let Value::String(text) = value else { return Err(not_so()) };
        let at = match name.as_str() {
            "value" => At::Value(text.into()),
            "env" => At::Env(text),
            "file" => At::File(PathBuf::from(text)),
            _ => return Err(D::Error::custom("expected `value`, `env`, `file` or `not_after`, and nothing else")),
        };
        Ok(Self { at, not_after })
    }
}

fn instant(text: &str) -> Result<UnixMs, &'static str> {
    UnixMs::parse_rfc3339(text).ok_or("not_after: expected an instant with its offset, such as 2026-12-31T00:00:00Z")
}

/// A secret that is not there yet: no caller may accept anything under it.
pub(super) fn none_yet() -> LiveSecret {
    LiveSecret::new(SecretString::from(String::new()))
}

/// Reads secrets where the configuration says they are, and remembers the files among them.
pub(super) struct Reader<'e> {
    pub(super) env: &'e BTreeMap<String, String>,
    pub(super) files: SecretFiles,
    pub(super) absent: Absent,
    /// The role of this process: it reads no secret that the role does not use.
    pub(super) role: ProcessRole,
}

/// How a missing secret is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// It is an error.
    Refused,
    /// It is left out: the caller does without it.
    Allowed,
}

impl Reader<'_> {
    /// Reads a secret that should exist by now.
    pub(super) fn secret(&mut self, key: &str, spec: &SecretSpec, findings: &mut Findings) -> Option<LiveSecret> {
        let secret = self.read(key, spec, findings)?;
        if self.absent == Absent::Refused && is_in_quotes(secret.current().expose_secret()) {
            findings.notice(format!(
                "{key}: its text is in quotes, which count as part of it (an `--env-file` of Docker keeps them): take them away unless the sender has them, too"
            ));
        }
        Some(secret)
    }

    fn read(&mut self, key: &str, spec: &SecretSpec, findings: &mut Findings) -> Option<LiveSecret> {
        let problem = match &spec.at {
            At::Value(value) if value.expose_secret().is_empty() => "it is empty".to_owned(),
            At::Value(value) if is_written_as_config(value.expose_secret()) => {
                if self.absent == Absent::Allowed {
                    return None;
                }
                let example = "`…__SECRETS__0` has the first secret's text, `…__SECRETS__0__ENV` or `…__SECRETS__0__FILE` where it is";
                findings.push(
                    ConfigError::new(key, ConfigCode::Secret, AS_CONFIG).advise(format!(
                        "In the environment, {example}; in a file, take the quotes away from around it."
                    )),
                );
                return None;
            }
            At::Value(value) => match unexpanded(value.expose_secret()) {
                None => return Some(LiveSecret::new(value.clone())),
                Some(_) if self.absent == Absent::Allowed => return None,
                Some(name) => {
                    let advice = format!("Write {{ env = \"{name}\" }}, and set that environment variable.");
                    findings.push(ConfigError::new(key, ConfigCode::Secret, UNEXPANDED).advise(&advice));
                    return None;
                }
            },
            At::Env(name) => match self.env.get(name) {
                Some(value) if value.is_empty() => format!("environment variable `{name}` is empty"),
                Some(value) if unexpanded(value).is_some() => format!("environment variable `{name}`: {UNEXPANDED}"),
                Some(value) if is_written_as_config(value) => format!("environment variable `{name}`: {AS_CONFIG}"),
                Some(value) => return Some(LiveSecret::new(value.clone().into())),
                None => format!("environment variable `{name}` is not set"),
            },
            At::File(path) => match read_file(path) {
                Ok(value) => return Some(self.files.watch(key, path, value)),
                Err(problem) => problem,
            },
        };
        if self.absent == Absent::Refused {
            findings.push(ConfigError::new(key, ConfigCode::Secret, problem));
        }
        None
    }

    /// Reads a secret, and requires it to fit its use, now and whenever its file changes.
    pub(super) fn fitting_secret(
        &mut self,
        key: &str,
        spec: &SecretSpec,
        fit: Fit,
        findings: &mut Findings,
    ) -> Option<LiveSecret> {
        let secret = self.secret(key, spec, findings)?;
        if let Err(problem) = fit.check(&secret.current()) {
            findings.push(ConfigError::new(key, ConfigCode::Secret, problem).advise(fit.advice()));
        }
        self.files.must_fit(key, fit);
        Some(secret)
    }

    /// A secret whose file may not be there yet, because a handshake will write it; empty until then.
    pub(super) fn secret_to_come(&mut self, key: &str, path: &Path) -> LiveSecret {
        let value = read_file(path).unwrap_or_else(|_| SecretString::from(String::new()));
        self.files.watch(key, path, value)
    }
}

/// The secrets that are in files, to be re-read every few seconds.
#[derive(Debug, Default)]
pub struct SecretFiles(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    key: String,
    file: Reading,
    secret: LiveSecret,
    fit: Fit,
    /// What was wrong with the file when it was last read, if anything.
    failing: Option<String>,
}

/// What a secret must be fit for.
#[derive(Debug)]
pub(super) enum Fit {
    /// It may be any text.
    Any,
    /// To sign by a scheme.
    Scheme(Box<Scheme>),
    /// For an HTTP header.
    Header,
    /// For API and console: must not be guessable.
    Token,
    /// To be posted to.
    Url,
}

/// The shortest admin token, in bytes: 24 characters of base64 have 144 bits.
const TOKEN_BYTES_MIN: usize = 24;

impl Fit {
    /// What is wrong with a secret, without its value.
    pub(super) fn check(&self, secret: &SecretString) -> Result<(), String> {
        match self {
            Self::Any => Ok(()),
            Self::Scheme(scheme) => check_secret(scheme, secret).map_err(|problem| problem.to_string()),
            // RFC 9110 §5.5: visible characters. A line break in the middle comes from copying two lines.
            Self::Header if secret.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
            Self::Header => Err("it has spaces, line breaks or characters that no HTTP header can carry".to_owned()),
            Self::Token if secret.expose_secret().trim().len() >= TOKEN_BYTES_MIN => Ok(()),
            Self::Url if web_address(secret.expose_secret().trim()).is_some() => Ok(()),
            Self::Url => Err("it is not an http or https address".to_owned()),
            Self::Token => Err(format!("it is shorter than {TOKEN_BYTES_MIN} characters, so it could be guessed")),
        }
    }

    /// What to do about a secret that is not fit.
    fn advice(&self) -> &'static str {
        match self {
            Self::Token => "Make one: `openssl rand -hex 24` prints 48 characters.",
            Self::Url => "Give scheme, host and path, such as \"https://hooks.example.com/bridge\".",
            Self::Any | Self::Scheme(_) | Self::Header => ConfigCode::Secret.advice(),
        }
    }
}

/// Why a file has no secret that can be used.
enum Unusable {
    /// A handshake has not written it yet.
    ToCome,
    /// It has a problem.
    Problem(String),
}

impl Watched {
    /// The file's secret, if it is one that can be used.
    fn look(&mut self) -> Result<SecretString, Unusable> {
        let read = self.file.again();
        if read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
            && self.secret.current().expose_secret().is_empty()
        {
            return Err(Unusable::ToCome);
        }
        let value = taken(self.file.path(), read).map_err(Unusable::Problem)?;
        match self.fit.check(&value) {
            Ok(()) => Ok(value),
            Err(problem) => Err(Unusable::Problem(format!("file `{}`: {problem}", self.file.path().display()))),
        }
    }
}

/// What a look at the files showed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// The keys whose secret has changed.
    pub changed: Vec<String>,
    /// The keys whose file has no usable secret any more, with the problem; reported once. The last good value
    /// stays in use.
    pub failed: Vec<(String, String)>,
    /// All keys whose file has no usable secret now, whether or not that was reported before.
    pub failing: Vec<(String, String)>,
}

impl SecretFiles {
    /// Reads every file again and puts changed secrets in place.
    ///
    /// Compares contents, not modification times, so it does not matter how a file is replaced; Kubernetes swaps a
    /// symbolic link.
    pub fn refresh(&mut self) -> Refreshed {
        let mut refreshed = Refreshed::default();
        for watched in &mut self.0 {
            match watched.look() {
                Ok(value) => {
                    watched.failing = None;
                    if watched.secret.current().expose_secret() != value.expose_secret() {
                        watched.secret.replace(value);
                        refreshed.changed.push(watched.key.clone());
                    }
                }
                Err(Unusable::ToCome) => {}
                Err(Unusable::Problem(problem)) => {
                    if watched.failing.is_none() {
                        refreshed.failed.push((watched.key.clone(), problem.clone()));
                    }
                    watched.failing = Some(problem);
                }
            }
            refreshed.failing.extend(watched.failing.clone().map(|problem| (watched.key.clone(), problem)));
        }
        refreshed
    }

    /// From now on, takes a changed secret at `key` only if it is fit for its use.
    pub(super) fn must_fit(&mut self, key: &str, fit: Fit) {
        if let Some(watched) = self.0.iter_mut().find(|watched| watched.key == key) {
            watched.fit = fit;
        }
    }

    /// Whether there is nothing to refresh.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn watch(&mut self, key: &str, path: &Path, value: SecretString) -> LiveSecret {
        let secret = LiveSecret::new(value);
        self.0.push(Watched {
            key: key.to_owned(),
            file: Reading::of(path, FILE_BYTES_MAX),
            secret: secret.clone(),
            fit: Fit::Any,
            failing: None,
        });
        secret
    }
}

/// The problem with a secret that is only a placeholder: anybody who has seen the configuration would know it.
const UNEXPANDED: &str = "it is a placeholder for a variable, which nothing has replaced by its value";

/// The variable's name, if a secret is only a placeholder for it: `${NAME}`, `$(NAME)`, or `$A_NAME`.
fn unexpanded(secret: &str) -> Option<&str> {
    let rest = secret.trim().strip_prefix('$')?;
    let is_name = |name: &str| {
        let is_of_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.bytes().all(is_of_name)
    };
    let braced =
        [('{', '}'), ('(', ')')].iter().find_map(|(open, close)| rest.strip_prefix(*open)?.strip_suffix(*close));
    // Without braces it might be a password.
    let is_bare = rest.contains('_') && !rest.bytes().any(|b| b.is_ascii_lowercase());
    braced.or(is_bare.then_some(rest)).filter(|name| is_name(name))
}

/// Whether a text has quotes around it, as in a file of variables that is not read by a shell.
fn is_in_quotes(secret: &str) -> bool {
    let text = secret.trim();
    text.len() > 2 && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote))
}

/// What is wrong with a secret that looks like TOML.
const AS_CONFIG: &str =
    "it is a list or a table of the configuration, and would be taken for the secret itself, with brackets and quotes";

/// Whether a text is a list or table such as the configuration has for secrets: `["…"]`, `[{ env = "…" }]`, `{ env = "…" }`,
/// in TOML or JSON. No HR system makes such secrets.
fn is_written_as_config(secret: &str) -> bool {
    let text = secret.trim();
    let within = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close).map(str::trim);
    let is_table = |inner: &str| {
        let name = inner.trim_start_matches(['{', ' ', '"', '\'']);
        ["env", "file", "value"].iter().any(|word| {
            let rest = name.strip_prefix(word).map(|rest| rest.trim_start_matches(['"', '\'', ' ']));
            rest.is_some_and(|rest| rest.starts_with(['=', ':']))
        })
    };
    within('[', ']').is_some_and(|inner| {
        let is_quoted =
            inner.len() > 1 && inner.starts_with(['"', '\'']) && inner.ends_with(inner.chars().next().unwrap_or(' '));
        is_quoted || (inner.starts_with('{') && is_table(inner))
    }) || within('{', '}').is_some_and(is_table)
}

fn read_file(path: &Path) -> Result<SecretString, String> {
    taken(path, files::read(path, FILE_BYTES_MAX))
}

/// A secret file's text, without the byte-order mark that some editors put before it, and the line break at its end.
/// The error names the path only.
fn taken(path: &Path, read: io::Result<Zeroizing<Vec<u8>>>) -> Result<SecretString, String> {
    let shown = path.display();
    let bytes = read.map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("file `{shown}` is not UTF-8 text"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.trim().is_empty() {
        return Err(format!("file `{shown}` is empty"));
    }
    if unexpanded(text).is_some() {
        return Err(format!("file `{shown}`: {UNEXPANDED}"));
    }
    if is_written_as_config(text) {
        return Err(format!("file `{shown}`: {AS_CONFIG}"));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_nobody_expanded_is_known_and_a_password_is_not_taken_for_one() {
        for (text, name) in [
            ("${HR_SECRET}", "HR_SECRET"),
            ("${hr}", "hr"),
            (" $(HR_SECRET)\n", "HR_SECRET"),
            ("$HR_SECRET", "HR_SECRET"),
        ] {
            assert_eq!(unexpanded(text), Some(name), "{text}");
        }
        for text in [
            "$apple_1",
            "$ABC123",
            "${}",
            "${a b}",
            "x${HR_SECRET}",
            "${HR_SECRET}x",
            "$",
            "$2b$12$KIX_abc",
            "HR_SECRET",
            "",
        ] {
            assert_eq!(unexpanded(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_or_a_table_of_the_configuration_is_no_secret() {
        for text in [
            r#"["the-secret"]"#,
            " [ 'the-secret', 'the next' ] ",
            r#"[{ env = "HR_SECRET" }]"#,
            r#"{ env = "HR_SECRET" }"#,
            r#"{"file": "/run/secret"}"#,
            "{value='x', not_after = 2030-01-01T00:00:00Z}",
        ] {
            assert!(is_written_as_config(text), "{text}");
        }
        for text in
            ["[]", "{}", "[a]b", "[secret]", "{secret}", "[\"", "[\"]", "{environment}", "\"secret\"", "env = x"]
        {
            assert!(!is_written_as_config(text), "{text}");
        }
    }

    #[test]
    fn a_files_byte_order_mark_and_its_line_break_are_no_part_of_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        for (bytes, expected) in [
            ("\u{feff}a secret\r\n", Some("a secret")),
            ("a secret\n", Some("a secret")),
            (" a secret\n\n", Some(" a secret\n")),
            ("\u{feff}\n", None),
            ("${HR_SECRET}\n", None),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let read = read_file(&path);
            assert_eq!(read.as_ref().ok().map(ExposeSecret::expose_secret), expected, "{bytes:?}");
        }
    }
}
