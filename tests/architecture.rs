//! Holds the floors of the house: `src/core` stays pure, and an import goes down, never up and never
//! sideways between rooms of one floor.

/// From the top. Rooms of one floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["intake", "worker", "admin", "postman_sim", "hr_sim"],
    &["store", "scim", "hr", "config"],
    &["clock", "telemetry", "lifecycle", "secret", "peer", "descriptors"],
    &["core"],
];

/// What has no place in the pure core: effects, ambient time, chance, the environment.
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
mod floors {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{EFFECTS, FLOORS};

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    fn all_sources() -> Vec<(String, String, String)> {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        sources(&src, &mut found);
        assert!(found.len() > 20, "the sources were not found");
        found
            .into_iter()
            .map(|path| {
                let relative = path.strip_prefix(&src).unwrap();
                let room = relative.components().next().unwrap().as_os_str().to_string_lossy();
                let room = room.trim_end_matches(".rs").to_owned();
                (room, relative.display().to_string(), without_tests_and_comments(&path))
            })
            .collect()
    }

    /// The code that ships: line comments go, and so does everything from a file's test module on.
    fn without_tests_and_comments(path: &Path) -> String {
        if path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests")) {
            return String::new();
        }
        let text = fs::read_to_string(path).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        shipped.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    }

    fn floor_of(room: &str) -> Option<usize> {
        FLOORS.iter().position(|rooms| rooms.contains(&room))
    }

    #[test]
    fn every_room_has_a_floor() {
        for (room, file, _) in all_sources() {
            assert!(room == "lib" || floor_of(&room).is_some(), "{file}: say on which floor `{room}` is");
        }
    }

    #[test]
    fn the_core_is_pure() {
        for (room, file, code) in all_sources() {
            if room != "core" {
                continue;
            }
            for effect in EFFECTS {
                assert!(!code.contains(effect), "{file} names `{effect}`: the core has no effects");
            }
        }
    }

    #[test]
    fn imports_go_down() {
        for (room, file, code) in all_sources() {
            let Some(floor) = floor_of(&room) else { continue };
            for prefix in ["crate::", "scim_bridge::"] {
                for (at, _) in code.match_indices(prefix) {
                    let rest = &code[at + prefix.len()..];
                    let named: Vec<String> = match rest.strip_prefix('{') {
                        // use crate::{a::b, c};
                        Some(group) => group
                            .split(['}', ';'])
                            .next()
                            .unwrap_or_default()
                            .split(',')
                            .map(|part| part.trim().split("::").next().unwrap_or_default().to_owned())
                            .collect(),
                        None => vec![
                            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                                .next()
                                .unwrap_or_default()
                                .to_owned(),
                        ],
                    };
                    for target in named {
                        let Some(below) = floor_of(&target) else { continue };
                        assert!(
                            target == room || below > floor,
                            "{file} imports `{target}`: an import goes down, never up and never sideways"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_store_meets_neither_configuration_nor_wire_and_the_stand_in_is_a_stranger() {
        for (room, file, code) in all_sources() {
            let strangers: &[&str] = match room.as_str() {
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
