//! What is written for people is held to what the code does.

#[cfg(test)]
mod pages {
    use std::fs;
    use std::path::Path;

    use scim_bridge::config::ConfigCode;
    use scim_bridge::core::code::Code;
    use scim_bridge::telemetry::metrics::FAMILIES;

    const PAGES: [&str; 13] = [
        "CHANGELOG.md",
        "README.md",
        "docs/benchmarks.md",
        "docs/configuration.md",
        "docs/container.md",
        "docs/deploy.md",
        "docs/failures.md",
        "docs/operating.md",
        "docs/redis.md",
        "docs/runbook.md",
        "docs/security.md",
        "docs/upgrade.md",
        "helm/README.md",
    ];

    fn page(name: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
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
    fn the_pages_name_only_metrics_that_exist() {
        for name in PAGES {
            let page = page(name);
            for (at, _) in page.match_indices("scim_bridge_") {
                let metric: String = page[at..]
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit())
                    .collect();
                assert!(FAMILIES.iter().any(|family| family.name == metric), "{name} names {metric}");
            }
        }
    }

    #[test]
    fn the_pages_that_are_linked_are_there() {
        for name in PAGES {
            let page = page(name);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            for (at, _) in page.match_indices("](") {
                let target = page[at + 2..].split([')', '#']).next().unwrap();
                let elsewhere = target.is_empty() || target.starts_with("http");
                assert!(elsewhere || folder.parent().unwrap().join(target).exists(), "{name} links to {target}");
            }
        }
    }
}
