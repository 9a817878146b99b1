//! The presets: how known HR systems sign and shape their webhooks.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The presets in the binary, by name: all files of `config/presets`, found by `build.rs`.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// The preset of a source that names neither a preset nor a signature.
pub const DEFAULT: &str = "standard-webhooks";

/// The keys that a preset may have.
pub(super) const KEYS: &[&str] = &[
    "about",
    "confidence",
    "thin",
    "signature",
    "mapping",
    "fetch",
    "content_types",
    "dedupe_days",
    "updates_of_others",
];

/// How well a preset is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// The vendor's own pages, description or code were read.
    High,
    /// Two independent sources agree, or one good one and a vendor's page.
    Medium,
    /// Nobody has confirmed it.
    Guess,
}

impl Confidence {
    /// How a preset spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Guess => "guess",
        }
    }
}

/// What a preset says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// How sure we are of it.
    pub confidence: Confidence,
    /// Whether its webhooks only say whom to read.
    pub thin: bool,
    /// The system.
    pub system: String,
    /// The source of the facts.
    pub source: String,
    /// What to set up in the HR system.
    pub setup: String,
}

/// What a preset in the binary says about itself.
#[must_use]
pub fn about(name: &str) -> Option<About> {
    about_text(name, built_in(name)?)
}

/// What a preset says about itself, by its TOML; none if it says nothing.
#[must_use]
pub fn about_text(name: &str, text: &str) -> Option<About> {
    #[derive(Deserialize)]
    struct Preset {
        about: Text,
        confidence: Confidence,
        #[serde(default)]
        thin: bool,
    }
    #[derive(Deserialize)]
    struct Text {
        system: String,
        source: String,
        setup: String,
    }
    let Preset { about: Text { system, source, setup }, confidence, thin } = toml::from_str(text).ok()?;
    Some(About { name: name.to_owned(), confidence, thin, system, source, setup })
}

/// The names of the presets in the binary.
#[must_use]
pub fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

/// The TOML of a preset in the binary.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Whether a key of a source, such as `mapping.type`, is one that a preset may give.
#[must_use]
pub fn has_key(key: &str) -> bool {
    KEYS.contains(&key.split(['.', '[']).next().unwrap_or(key))
}

/// Merges a source's own keys over its preset's.
///
/// Tables such as `signature` and `mapping` are merged key by key. The value of a key is replaced as a whole, so that
/// one layout does not mix with another. There are three exceptions, whose members are merged, too: `signature.key`,
/// `signature.timestamp`, and `fetch.mapping` if the source uses the preset's requests. A source whose sender
/// authenticates in another way (`signature.auth`) takes from the preset's signature only what does not depend on that.
pub(super) fn merge_preset(preset: Table, source: &mut Table) {
    for (name, below) in preset {
        // It describes the preset to people; a source has no such key.
        if name == "about" {
            continue;
        }
        match (source.get_mut(&name), below) {
            (Some(Value::Table(above)), Value::Table(below)) => lay_table_over(&name, below, above),
            (Some(_), _) => {}
            (None, below) => {
                source.insert(name, below);
            }
        }
    }
}

fn lay_table_over(name: &str, preset: Table, source: &mut Table) {
    let auth = |table: &Table| table.get("auth").and_then(Value::as_str).unwrap_or("hmac").to_owned();
    let is_other_auth = name == "signature" && source.contains_key("auth") && auth(source) != auth(&preset);
    let asks_otherwise = source.contains_key("step") || source.contains_key("list");
    for (key, below) in preset {
        if is_other_auth && !stays(&key, &below) {
            continue;
        }
        let by_member = match name {
            "signature" => matches!(key.as_str(), "key" | "timestamp"),
            "fetch" => key == "mapping" && !asks_otherwise,
            _ => false,
        };
        match (source.get_mut(&key), below) {
            (Some(Value::Table(above)), Value::Table(below)) if by_member => {
                for (member, value) in below {
                    above.entry(member).or_insert(value);
                }
            }
            (Some(_), _) => {}
            (None, below) => {
                source.insert(key, below);
            }
        }
    }
}

/// Whether a key of a preset's signature is valid however a sender authenticates: handshakes, and an id in the body.
fn stays(key: &str, value: &Value) -> bool {
    key == "handshake" || (key == "id" && value.get("json").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_keys_replace_those_of_the_fetch_mapping_unless_the_source_has_requests_of_its_own() {
        let merged = |source: &str| {
            let preset =
                "[fetch]\nstep = [{ path = '/e/{id}' }]\n[fetch.mapping]\nstatus = '/s'\nactive_values = ['on']";
            let mut source: Table = toml::from_str(source).unwrap();
            merge_preset(toml::from_str(preset).unwrap(), &mut source);
            source["fetch"]["mapping"].as_table().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(merged("fetch = { mapping = { active_values = ['on', 'away'] } }"), ["active_values", "status"]);
        assert_eq!(
            merged("fetch = { step = [{ path = '/x' }], mapping = { active_values = ['on'] } }"),
            ["active_values"]
        );
    }

    #[test]
    fn another_auth_takes_only_handshakes_and_an_id_in_the_body_from_the_preset() {
        let merged = |preset: &str, source: &str| {
            let mut source: Table = toml::from_str(source).unwrap();
            merge_preset(toml::from_str(preset).unwrap(), &mut source);
            source["signature"].as_table().unwrap().clone()
        };
        let hmac = "[signature]\nheader = 'x'\nvalue = { single = { prefix = 'sha256=' } }\nid = { json = '/Id' }\nhandshake = [{ get = { parameter = 'echo' } }]";
        let of = merged(hmac, "signature = { auth = 'static_header', header = 'y' }");
        assert_eq!(of.keys().collect::<Vec<_>>(), ["auth", "handshake", "header", "id"]);
        assert_eq!(of["header"].as_str(), Some("y"));
        let of = merged(hmac, "signature = { auth = 'hmac', header = 'y' }");
        assert!(of.contains_key("value"), "the same auth");
        let header = "[signature]\nauth = 'static_header'\nheader = 'authorization'";
        assert!(!merged(header, "signature = { auth = 'static_headers' }").contains_key("header"));
        assert!(merged(header, "signature = {}").contains_key("header"));
    }

    #[test]
    fn every_preset_has_a_signature_and_only_what_belongs_in_a_preset() {
        assert!(names().contains(&DEFAULT));
        for name in names() {
            let preset: Table = built_in(name).unwrap().parse().unwrap();
            assert!(preset.contains_key("signature"), "{name}");
            let about = about(name).unwrap_or_else(|| panic!("{name} says nothing of itself"));
            assert!(about.setup.ends_with('.') && !about.source.is_empty(), "{name}");
            assert!(preset.keys().all(|key| KEYS.contains(&key.as_str())), "{name}");
        }
    }

    #[test]
    fn a_layout_replaces_a_layout_and_a_tolerance_changes_alone() {
        let preset = toml::from_str(
            "[signature]\nvalue = { list = { separator = ' ' } }\ntimestamp = { from = { header = 'x' }, past_s = 300 }",
        );
        let mut source: Table =
            toml::from_str("signature = { value = { single = {} }, timestamp = { past_s = 'off' } }").unwrap();
        merge_preset(preset.unwrap(), &mut source);
        let expected: Table = toml::from_str(
            "[signature]\nvalue = { single = {} }\ntimestamp = { from = { header = 'x' }, past_s = 'off' }",
        )
        .unwrap();
        assert_eq!(source, expected);
    }
}
