//! The documentation must match the code.

#[cfg(test)]
mod pages {
    use std::fs;
    use std::path::{Path, PathBuf};

    use scim_bridge::config::{ConfigCode, presets};
    use scim_bridge::core::code::Code;
    use scim_bridge::telemetry::metrics::FAMILIES;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// All pages that are read on their own, with their paths.
    fn pages() -> Vec<PathBuf> {
        let mut pages = Vec::new();
        for folder in ["", "docs", "docs/adr", "helm"] {
            for entry in fs::read_dir(root().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "md") {
                    pages.push(path.strip_prefix(root()).unwrap().to_owned());
                }
            }
        }
        assert!(pages.len() > 15, "the pages were not found");
        pages.sort();
        pages
    }

    fn page(name: impl AsRef<Path>) -> String {
        fs::read_to_string(root().join(name)).unwrap()
    }

    #[test]
    fn every_code_has_an_entry_and_every_entry_a_code() {
        let page = page("docs/failures.md");
        let entries: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let codes: Vec<&str> = Code::ALL
            .iter()
            .map(|code| code.as_str())
            .chain(ConfigCode::ALL.iter().map(|code| code.as_str()))
            .collect();
        for code in &codes {
            assert!(entries.contains(code), "{code} has no entry in docs/failures.md");
        }
        for entry in entries {
            assert!(codes.contains(&entry), "docs/failures.md: there is no code {entry}");
        }
    }

    #[test]
    fn every_preset_is_documented() {
        let (systems, configuration) = (page("docs/hr-systems.md"), page("docs/configuration.md"));
        let mut missing = Vec::new();
        for name in presets::names() {
            let setup = presets::about(name).unwrap().setup;
            if !systems.contains(&format!("\n| `{name}` | ")) {
                missing.push(format!("docs/hr-systems.md has no row for `{name}`"));
            }
            if !systems.contains(&setup) {
                missing.push(format!("docs/hr-systems.md, \"On the other side\": - **`{name}`**: {setup}"));
            }
            if !configuration.contains(&format!("`{name}`")) {
                missing.push(format!("docs/configuration.md, \"Presets\", does not list `{name}`"));
            }
        }
        assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
    }

    #[test]
    fn the_pages_name_only_metrics_that_exist() {
        for name in pages() {
            let page = page(&name);
            for (at, _) in page.match_indices("scim_bridge_") {
                let metric: String = page[at..]
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit())
                    .collect();
                assert!(FAMILIES.iter().any(|family| family.name == metric), "{} names {metric}", name.display());
            }
        }
    }

    #[test]
    fn linked_pages_and_headings_exist() {
        let mut missing = Vec::new();
        for name in pages() {
            let page = page(&name);
            for (at, _) in page.match_indices("](") {
                let target = page[at + 2..].split(')').next().unwrap();
                if target.starts_with("http") {
                    continue;
                }
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                let path = if file.is_empty() { name.clone() } else { name.parent().unwrap().join(file) };
                let is_there = root().join(&path).exists()
                    && (heading.is_empty()
                        || self::page(&path).lines().any(|line| anchor(line) == Some(heading.to_owned())));
                if !is_there {
                    missing.push(format!("{} links to {target}", name.display()));
                }
            }
        }
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }

    /// A heading's anchor, as GitHub derives it.
    fn anchor(line: &str) -> Option<String> {
        let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
        let kept = heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>();
        Some(kept.replace(' ', "-"))
    }
}
