//! Compiles the presets in: every file of `config/presets`, by its name.
#![expect(clippy::disallowed_methods, reason = "Cargo tells a build script everything by the environment")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rustc-env=SCIM_BRIDGE_VERSION={}", version());
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let folder = Path::new(&root).join("config/presets");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> =
        fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort_by(|one, other| one.file_stem().cmp(&other.file_stem()));
    let mut list = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        writeln!(list, "    ({name:?}, include_str!({:?})),", file.display().to_string()).map_err(io::Error::other)?;
    }
    list.push_str("]\n");
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("presets.rs"), list)
}

/// What `--version` prints: the version, and the revision it was built from. The revision comes from
/// `SCIM_BRIDGE_REVISION`, else from git if the sources are a clone; an archive has neither.
fn version() -> String {
    println!("cargo::rerun-if-env-changed=SCIM_BRIDGE_REVISION");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let told = env::var("SCIM_BRIDGE_REVISION").ok().filter(|revision| is_revision(revision));
    // Only for a release: otherwise every commit would cause another debug build.
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let revision = told.or_else(|| if is_release { revision() } else { None });
    revision.map_or(version.clone(), |revision| format!("{version} ({})", &revision[..12.min(revision.len())]))
}

fn revision() -> Option<String> {
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={head}");
    git(&["rev-parse", "HEAD"]).filter(|revision| is_revision(revision))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn is_revision(text: &str) -> bool {
    text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
