//! The configuration as users see it: files, environment, secrets, and all errors at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod layers;
mod reference;
mod secrets;
mod sources;
mod store;
mod target;

use std::fs;
use std::path::PathBuf;

use scim_bridge::config::{Config, ConfigErrors};
use tempfile::TempDir;

const SECRETS: [(&str, &str); 2] =
    [("HR_SECRET", "whsec_aHItc2VjcmV0LWZvci10ZXN0cy0wMDAwMDA="), ("POSTMAN_SCIM_KEY", "PMAK-0")];

/// A folder with a configuration file.
struct Folder(TempDir);

impl Folder {
    fn with(toml: &str) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("c.toml"), toml).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let env = SECRETS.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(&self.path("c.toml")), env)
    }
}

fn load(toml: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Folder::with(toml).load(env)
}

/// Keys and codes of the errors, sorted by key.
fn errors(toml: &str, env: &[(&str, &str)]) -> Vec<(String, &'static str)> {
    load(toml, env).unwrap_err().0.into_iter().map(|error| (error.key, error.code.as_str())).collect()
}

fn pairs<'a>(errors: &'a [(String, &'static str)]) -> Vec<(&'a str, &'a str)> {
    errors.iter().map(|(key, code)| (key.as_str(), *code)).collect()
}
