//! Enforces the layers: `src/core` stays pure, an import goes down, never up and never sideways between modules of
//! one layer, and no two files import each other. `docs/architecture.md` says the same.

/// From the top. Modules of one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["intake", "worker", "admin", "alert", "postman_sim", "hr_sim"],
    &["roster"],
    &["hr"],
    &["store", "scim", "config"],
    &["supervision"],
    &["clock", "telemetry", "lifecycle", "secret", "files", "peer", "descriptors"],
    &["failpoint"],
    &["core"],
];

/// What must not occur in the pure core: effects, ambient time, randomness, the environment.
const EFFECTS: &[&str] = &[
    "tokio",
    "reqwest",
    "redis::",
    "rusqlite",
    "actix",
    "::now(",
    "std::env",
    "std::{",
    "std::io",
    "std::process",
    "std::fs",
    "std::net",
    "std::thread",
    "rand::",
    "fastrand",
    "uuid",
    "async ",
    ".await",
    "tracing::",
    "metrics::",
    "SystemTime::",
];

#[cfg(test)]
mod sources {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A file of `src/` as it ships: without comments and tests.
    pub(super) struct Source {
        /// Its path in `src/`.
        pub(super) file: String,
        /// The first part of that path: `core` for all of `core/`.
        pub(super) top: String,
        /// Its path in the crate: `["core", "person"]` for `core/person/mod.rs`.
        pub(super) module: Vec<String>,
        pub(super) code: String,
    }

    pub(super) fn page(name: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    }

    pub(super) fn all() -> Vec<Source> {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        list(&src, &mut found);
        found.sort();
        assert!(found.len() > 20, "the sources were not found");
        found.iter().map(|path| read(&src, path)).collect()
    }

    /// The Rust files in a folder of the project, with their paths.
    pub(super) fn rust_files(folder: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        list(&root.join(folder), &mut found);
        found.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    fn list(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                list(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    fn read(src: &Path, path: &Path) -> Source {
        let relative = path.strip_prefix(src).unwrap().with_extension("");
        let mut module: Vec<String> =
            relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let top = module[0].clone();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        let file = path.strip_prefix(src).unwrap().display().to_string();
        Source { file, top, module, code: shipped(path) }
    }

    /// Removes line comments and test modules.
    fn shipped(path: &Path) -> String {
        if path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests")) {
            return String::new();
        }
        let text = fs::read_to_string(path).unwrap();
        let mut code = String::new();
        let mut for_tests = false;
        for line in text.lines() {
            if line.trim_start() == "#[cfg(test)]" {
                for_tests = true;
                continue;
            }
            if for_tests && line.starts_with("mod ") && line.ends_with('{') {
                // By convention a file's tests come last.
                break;
            }
            if !for_tests {
                code.push_str(line.split("//").next().unwrap_or_default());
                code.push('\n');
            }
            // Further attributes belong to the same item.
            for_tests &= line.trim_start().starts_with("#[");
        }
        code
    }

    /// The modules that a file names, by `use` or inline, each as the parts of its path in the crate. A path may
    /// continue to an item of the module: a type or a function.
    pub(super) fn named(source: &Source) -> BTreeSet<Vec<String>> {
        let mut paths = BTreeSet::new();
        let code = &source.code;
        for start in ["crate::", "scim_bridge::", "super::", "self::"] {
            for (at, _) in code.match_indices(start) {
                let before = code[..at].chars().next_back().unwrap_or(' ');
                if before.is_alphanumeric() || before == '_' || before == ':' {
                    continue;
                }
                for path in tree(&code[at..]).0 {
                    paths.extend(absolute(&source.module, &path));
                }
            }
        }
        paths
    }

    /// The paths of a `use` tree, `a::{b, c::{d, e}}`, and the rest of the text.
    fn tree(text: &str) -> (Vec<Vec<String>>, &str) {
        let mut rest = text.trim_start();
        let mut parts: Vec<String> = Vec::new();
        loop {
            if let Some(mut inside) = rest.strip_prefix('{') {
                let mut paths = Vec::new();
                loop {
                    let (more, after) = tree(inside);
                    paths.extend(more.into_iter().map(|path| [parts.clone(), path].concat()));
                    let after = after.trim_start();
                    match after.strip_prefix(',') {
                        Some(next) => inside = next,
                        None => return (paths, after.strip_prefix('}').unwrap_or(after)),
                    }
                }
            }
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if end > 0 {
                parts.push(rest[..end].to_owned());
            }
            rest = &rest[end..];
            match rest.strip_prefix("::") {
                Some(next) => rest = next,
                None => break,
            }
        }
        // `name as other`
        let renamed = rest.trim_start().strip_prefix("as ").unwrap_or(rest);
        let end = if renamed.len() == rest.len() { 0 } else { renamed.find([',', '}', ';']).unwrap_or(0) };
        (vec![parts], &renamed[end..])
    }

    /// Turns a path relative to a module into one relative to the crate.
    fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut from = match path.first()?.as_str() {
            "crate" | "scim_bridge" => Vec::new(),
            _ => module.to_vec(),
        };
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" | "scim_bridge" | "self" => {}
                "super" => drop(from.pop()?),
                _ => break,
            }
            rest = others;
        }
        from.extend(rest.iter().cloned());
        Some(from)
    }
}

#[cfg(test)]
mod layers {
    use std::collections::{BTreeMap, BTreeSet};

    use super::sources::{self, Source, all, page, rust_files};
    use super::{EFFECTS, LAYERS};

    fn layer_of(top: &str) -> Option<usize> {
        LAYERS.iter().position(|tops| tops.contains(&top))
    }

    #[test]
    fn every_module_has_a_layer_and_every_layer_its_modules() {
        let tops: BTreeSet<String> = all().into_iter().map(|source| source.top).filter(|top| top != "lib").collect();
        for top in &tops {
            assert!(layer_of(top).is_some(), "say in which layer `{top}` is");
        }
        for top in LAYERS.iter().copied().flatten() {
            assert!(tops.contains(*top), "there is no module `{top}` in src/");
        }
    }

    #[test]
    fn the_document_has_the_same_layers() {
        let page = page("docs/architecture.md");
        for (layer, tops) in LAYERS.iter().enumerate() {
            let row = page.lines().find(|line| line.starts_with(&format!("| {} |", layer + 1)));
            let row = row.unwrap_or_else(|| panic!("docs/architecture.md has no layer {}", layer + 1));
            let named: BTreeSet<&str> =
                row.split('`').skip(1).step_by(2).filter(|word| layer_of(word).is_some()).collect();
            let tops: BTreeSet<&str> = tops.iter().copied().collect();
            assert_eq!(named, tops, "docs/architecture.md, layer {}", layer + 1);
        }
    }

    #[test]
    fn the_core_is_pure() {
        for Source { top, file, code, .. } in all() {
            if top != "core" {
                continue;
            }
            for effect in EFFECTS {
                assert!(!code.contains(effect), "{file} names `{effect}`: the core has no effects");
            }
        }
    }

    #[test]
    fn imports_go_down() {
        let mut wrong = Vec::new();
        for source in all() {
            let Some(layer) = layer_of(&source.top) else { continue };
            for path in sources::named(&source) {
                let Some(target) = path.first() else { continue };
                if *target != source.top && layer_of(target).is_some_and(|below| below <= layer) {
                    wrong.push(format!("{} imports `{}`", source.file, path.join("::")));
                }
            }
        }
        assert!(wrong.is_empty(), "an import goes down, never up and never sideways:\n{}", wrong.join("\n"));
    }

    /// A module and its submodules may know each other; all others may not.
    #[test]
    fn no_two_files_import_each_other() {
        let sources = all();
        let files: BTreeMap<&[String], &str> =
            sources.iter().map(|source| (source.module.as_slice(), source.file.as_str())).collect();
        let mut imports = BTreeSet::new();
        for source in &sources {
            for path in sources::named(source) {
                let longest = (1..=path.len()).rev().find_map(|end| files.get_key_value(&path[..end]));
                let Some((module, file)) = longest else { continue };
                let related = module.starts_with(&source.module) || source.module.starts_with(module);
                if !related {
                    imports.insert((source.file.clone(), (*file).to_owned()));
                }
            }
        }
        assert!(imports.len() > 100, "the imports were not found");
        let twins: Vec<_> =
            imports.iter().filter(|(a, b)| a < b && imports.contains(&(b.clone(), a.clone()))).collect();
        assert!(twins.is_empty(), "these import each other: {twins:#?}");
    }

    #[test]
    fn every_file_is_part_of_the_build() {
        let sources = all();
        for source in &sources {
            let Some((name, parent)) = source.module.split_last() else { continue };
            if name == "main" {
                continue;
            }
            // Searched in the full text: tests are modules, too, and may be in a file of their own.
            let beside = format!("#[path = \"{name}.rs\"]");
            let declared = sources.iter().filter(|other| other.module.starts_with(parent)).any(|other| {
                page(&format!("src/{}", other.file)).lines().map(str::trim).any(|line| {
                    let line = line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
                    let line = line.strip_prefix("pub(super) ").unwrap_or(line);
                    (other.module == parent && line == format!("mod {name};")) || line == beside
                })
            });
            assert!(declared, "src/{} is not declared by any `mod`: nothing compiles it", source.file);
        }
    }

    #[test]
    fn every_test_and_benchmark_is_part_of_the_build() {
        let files: Vec<_> = ["tests", "benches"].into_iter().flat_map(rust_files).collect();
        let texts: Vec<_> = files.iter().map(|file| page(file)).collect();
        assert!(files.len() > 100, "the tests were not found");
        for file in &files {
            let (folder, name) = file.rsplit_once('/').unwrap();
            let stem = name.strip_suffix(".rs").unwrap();
            // Cargo finds files directly in these folders, and every `main.rs`.
            if matches!(folder, "tests" | "benches") || stem == "main" {
                continue;
            }
            let (beside, module) = if stem == "mod" { folder.rsplit_once('/').unwrap() } else { (folder, stem) };
            let path = if stem == "mod" { format!("{module}/mod.rs\"]") } else { format!("{stem}.rs\"]") };
            let declared = files.iter().zip(&texts).any(|(other, text)| {
                let is_beside = other.rsplit_once('/').is_some_and(|(folder, _)| folder == beside);
                text.lines().map(str::trim).any(|line| {
                    (is_beside && line.trim_start_matches("pub(crate) ") == format!("mod {module};"))
                        || (line.starts_with("#[path = ") && line.ends_with(&path))
                })
            });
            assert!(declared, "{file} is not declared by any `mod`: nothing compiles it");
        }
    }

    #[test]
    fn the_store_meets_neither_configuration_nor_wire_and_the_stand_in_is_a_stranger() {
        for Source { top, file, code, .. } in all() {
            let strangers: &[&str] = match top.as_str() {
                "store" => &["crate::config", "crate::scim", "reqwest", "actix"],
                "postman_sim" => &["crate::scim", "crate::core::reconcile", "crate::core::person"],
                "scim" => &["crate::core::reconcile::plan", "crate::core::reconcile::verdict"],
                _ => &[],
            };
            for stranger in strangers {
                assert!(!code.contains(stranger), "{file} names `{stranger}`");
            }
        }
    }
}
