//! The library that cuts the power (see `power_cut.c`), and the times of the cuts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Compiles it into a folder.
pub(crate) fn library(folder: &Path) -> PathBuf {
    let library = folder.join("power_cut.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/power_cut.c");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    assert!(made.is_ok_and(|status| status.success()), "script/setup installs `cc`");
    library
}

/// The times of a test's cuts: random, in this range. The seed is printed; `script/soak` sets another one each time,
/// and asks for more cuts.
pub(crate) fn moments(what: &str, cuts: usize, from_ms: u64, to_ms: u64) -> Vec<Duration> {
    let number = |name: &str| std::env::var_os(name)?.to_str()?.parse::<u64>().ok();
    let seed = number("SCIM_BRIDGE_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let cuts = number("SCIM_BRIDGE_POWER_CUTS").and_then(|cuts| usize::try_from(cuts).ok()).unwrap_or(cuts);
    let mut chance = fastrand::Rng::with_seed(seed);
    let moments: Vec<_> = (0..cuts).map(|_| Duration::from_millis(chance.u64(from_ms..to_ms))).collect();
    println!("{what}: SCIM_BRIDGE_CHAOS_SEED={seed}, power cuts after {moments:?}");
    moments
}
