//! The reference file and the reference page: both match the code.

use std::fs;

use scim_bridge::config::{ConfigCode, REFERENCE, presets};
use scim_bridge::core::signature::fields::Tolerance;

use super::{Folder, load};

/// The reference file with all its keys uncommented.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with([' ', '#']) => format!("{key}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    REFERENCE.lines().map(line).collect()
}

#[test]
fn the_reference_file_has_the_defaults_and_nothing_else() {
    let text = uncommented();
    let tree: toml::Table = text.parse().unwrap();
    assert!(tree["source"][0].get("dedupe_days").is_some());
    // These have no default: their lines show the syntax.
    let without_default = [
        "admin_token",
        "workers",
        "ca_file",
        "cert_file",
        "key_file",
        "username",
        "password",
        "sentinel_username",
        "sentinel_password",
        "preset_file",
        "assume",
        "team",
        "leave_at",
        // Only for targets other than Postman.
        "name",
        "admin_url",
        "field",
        "body_bytes_max",
    ];
    let name_of_source = "name = \"hr\"";
    let shown = |line: &&str| {
        *line == name_of_source || !without_default.contains(&line.split('=').next().unwrap_or_default().trim())
    };
    // Sample entries, each up to the next blank line.
    let mut in_example = false;
    let is_example = |line: &&str| {
        in_example = (in_example || (line.starts_with("[[") && *line != "[[source]]")) && !line.is_empty();
        !in_example
    };
    let in_force = text.lines().filter(is_example).filter(shown).collect::<Vec<_>>().join("\n");
    let loaded = load(&in_force, &[]).unwrap();
    let default = load("", &[]).unwrap();
    // The file sets what the default has by itself.
    let shown = |config: &dyn std::fmt::Debug| format!("{config:?}").replace("is_set: true", "is_set: false");
    assert_eq!(shown(&loaded), shown(&default));
    // As shipped, everything is commented out.
    assert_eq!(format!("{:?}", load(REFERENCE, &[]).unwrap()), format!("{default:?}"));
}

#[test]
fn every_key_of_the_reference_file_is_in_the_reference_document() {
    let document = include_str!("../../docs/configuration.md");
    let tree: toml::Table = uncommented().parse().unwrap();
    for (section, keys) in &tree {
        let heading = if keys.is_array() { format!("\n## [[{section}]]") } else { format!("\n## [{section}]") };
        let keys = keys.as_array().map_or(keys, |entries| &entries[0]);
        let (_, text) = document.split_once(&heading).expect(section);
        let text = text.split("\n## ").next().unwrap();
        let of = |table: &str| keys.get(table).and_then(toml::Value::as_table).into_iter().flatten();
        for (key, _) in keys.as_table().unwrap().iter().chain(of("signature")).chain(of("mapping")) {
            assert!(text.contains(&format!("\n| `{key}` |")), "{section}.{key}");
        }
    }
    for name in presets::names() {
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
    for code in ConfigCode::ALL {
        assert!(document.contains(code.as_str()), "{code}");
    }
}

#[test]
fn the_documented_source_reads_as_described() {
    let (_, after) = include_str!("../../docs/configuration.md").split_once("### A source spelt out").unwrap();
    let toml = after.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = Folder::with("");
    fs::write(folder.path("secret"), "0123456789abcdef").unwrap();
    let toml = toml.replace("/run/secrets/people", &folder.path("secret").display().to_string());
    let config = load(&toml, &[]).unwrap();
    assert_eq!(config.sources[0].mapping.kind.to_string(), "`root:/event`");
    assert_eq!(config.sources[0].signature.timestamp.as_ref().unwrap().past_s, Tolerance::Seconds(300));
}
