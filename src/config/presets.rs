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
            (None, below) => {
                source.insert(name, below);
            }
            (Some(Value::Table(above)), Value::Table(below)) => {
                for (key, value) in below {
                    match (above.get_mut(&key), value) {
                        (None, value) => {
                            above.insert(key, value);
                        }
                        (Some(Value::Table(above)), Value::Table(below))
                            if name == "signature" && matches!(key.as_str(), "key" | "timestamp") =>
                        {
                            for (key, value) in below {
                                above.entry(key).or_insert(value);
                            }
                        }
                        (Some(_), _) => {}
                    }
                }
            }
            (Some(_), _) => {}
        }
    }
}
