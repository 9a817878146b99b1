//! What can be wrong with a configuration: all errors at once, each with its key, a stable code, the problem and what
//! to do. Never a secret's value.

use std::fmt;

use serde::Serialize;

use crate::core::code::codes;

codes! {
    /// A stable code of a refused configuration.
    ConfigCode {
    File = "CONFIG-FILE",
        "A file that the configuration names cannot be read.",
        "Check the path, seen from the working directory, and that this user may read it.";
    Syntax = "CONFIG-SYNTAX",
        "The file is not TOML.",
        "Correct the line named; https://toml.io shows how TOML is written.";
    UnknownKey = "CONFIG-UNKNOWN-KEY",
        "There is no such key.",
        "Correct the spelling, or remove it; `config/scim-bridge.toml` shows every key.";
    Value = "CONFIG-VALUE",
        "The value is not allowed for this key.",
        "Give an allowed value; `docs/configuration.md` lists them.";
    Secret = "CONFIG-SECRET",
        "A secret is not where the configuration says, or is empty.",
        "Set the environment variable, write the file, or point the key elsewhere.";
    Source = "CONFIG-SOURCE",
        "A source is incomplete or cannot work.",
        "Complete it as `docs/configuration.md` shows; `scim-bridge explain` tries it on a payload.";
    Preset = "CONFIG-PRESET",
        "A source names a preset that does not exist.",
        "Name one of the presets, point `preset_file` at a file, or spell out `[source.signature]`.";
}
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{key}: {code}: {problem}. {advice}")]
pub struct ConfigError {
    /// Where: `postman.timeout_s`, `source[0].name`, or a file's path.
    pub key: String,
    /// What kind of error.
    pub code: ConfigCode,
    /// What exactly is wrong.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
}

impl ConfigError {
    /// An error with its code's own advice.
    #[must_use]
    pub fn new(key: impl Into<String>, code: ConfigCode, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        let problem = problem.trim_end_matches('.').to_owned();
        Self { key: key.into(), code, problem, advice: code.advice().to_owned() }
    }

    /// Whether it concerns this key or one below it.
    fn is_within(&self, key: &str) -> bool {
        self.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// The error with more fitting advice.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

/// Everything that is wrong with a configuration: at least one error, each on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects what the checks of all sections find.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: Vec<ConfigError>,
    /// Messages that are not errors.
    notices: Vec<String>,
    /// How many errors there were after reading, before the checks began.
    unread: usize,
}

impl Findings {
    /// Notes an error, unless it is only the consequence of a value at this key, or below it, that could not be read.
    pub(crate) fn push(&mut self, error: ConfigError) {
        let follows = self.errors[..self.unread].iter().any(|unread| unread.is_within(&error.key));
        if !follows {
            self.errors.push(error);
        }
    }

    /// Notes a key that is accepted but no longer has any effect.
    pub(crate) fn outlived(&mut self, is_given: bool, key: &str, instead: &str) {
        if is_given {
            self.notices.push(format!("{key} has no effect any more: {instead}; remove it"));
        }
    }

    /// Adds a message that is not an error.
    pub(crate) fn notice(&mut self, notice: String) {
        self.notices.push(notice);
    }

    /// The messages that are not errors.
    pub(crate) fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Whether something was found at this key or below it.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.errors.iter().any(|error| error.is_within(key))
    }

    /// Reading is finished: from here on, an error at a key that already has one is only its consequence.
    pub(crate) fn reading_ends(&mut self) {
        self.unread = self.errors.len();
    }

    /// Returns `value` if there are no errors.
    pub(crate) fn or<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors()) }
    }

    /// All that was found.
    pub(crate) fn errors(mut self) -> ConfigErrors {
        self.errors.sort();
        ConfigErrors(self.errors)
    }

    /// Notes an error if a value is out of bounds.
    pub(crate) fn bounds(&mut self, key: &str, value: u64, min: u64, max: u64) {
        if !(min..=max).contains(&value) {
            let problem = format!("{value} is out of bounds");
            let advice = format!("Give a whole number from {min} to {max}.");
            self.push(ConfigError::new(key, ConfigCode::Value, problem).advise(advice));
        }
    }

    /// Notes an error if a condition holds.
    pub(crate) fn when(&mut self, wrong: bool, key: &str, problem: &str, advice: &str) {
        if wrong {
            self.push(ConfigError::new(key, ConfigCode::Value, problem).advise(advice));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_say_what_to_do() {
        let mut texts: Vec<_> = ConfigCode::ALL.iter().map(|code| code.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), ConfigCode::ALL.len());
        for code in ConfigCode::ALL {
            assert!(code.as_str().starts_with("CONFIG-"));
            assert!(code.title().ends_with('.') && code.advice().ends_with('.'), "{code}");
        }
    }

    #[test]
    fn an_error_reads_as_one_line_with_key_code_problem_and_advice() {
        let error = ConfigError::new("worker.lease_s", ConfigCode::Value, "5 is too short.").advise("Give 30.");
        assert_eq!(error.to_string(), "worker.lease_s: CONFIG-VALUE: 5 is too short. Give 30.");
        let json = serde_json::to_value(ConfigErrors(vec![error])).unwrap();
        assert_eq!(json[0]["code"], "CONFIG-VALUE");
    }
}
