//! The presets: how known HR systems sign and shape their webhooks.

use toml::{Table, Value};

/// The presets in the binary, by name.
const BUILT_IN: &[(&str, &str)] = &[
    ("standard-webhooks", include_str!("../../config/presets/standard-webhooks.toml")),
    ("github", include_str!("../../config/presets/github.toml")),
    ("slack", include_str!("../../config/presets/slack.toml")),
    ("stripe", include_str!("../../config/presets/stripe.toml")),
];

/// The preset of a source that names none and spells out no signature.
pub const DEFAULT: &str = "standard-webhooks";

/// What a preset may say.
pub(super) const KEYS: &[&str] = &["signature", "mapping", "content_types", "dedupe_days"];

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

/// Lays a source's own keys over a preset's.
///
/// `signature` and `mapping` are laid over one another key by key; what stands at such a key is
/// replaced whole (one layout does not mix with another), but for `signature.key` and
/// `signature.timestamp`, of which single members may be given.
pub(super) fn lay_over(preset: Table, source: &mut Table) {
    for (name, below) in preset {
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
    for (key, below) in preset {
        let by_member = name == "signature" && matches!(key.as_str(), "key" | "timestamp");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_a_signature_and_only_what_belongs_in_a_preset() {
        assert!(names().contains(&DEFAULT));
        for name in names() {
            let preset: Table = built_in(name).unwrap().parse().unwrap();
            assert!(preset.contains_key("signature"), "{name}");
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
        lay_over(preset.unwrap(), &mut source);
        let expected: Table = toml::from_str(
            "[signature]\nvalue = { single = {} }\ntimestamp = { from = { header = 'x' }, past_s = 'off' }",
        )
        .unwrap();
        assert_eq!(source, expected);
    }
}
