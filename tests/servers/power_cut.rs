//! The library that cuts the power: see `power_cut.c` beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds it in a folder.
pub(crate) fn library(folder: &Path) -> PathBuf {
    let library = folder.join("power_cut.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/power_cut.c");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    assert!(made.is_ok_and(|status| status.success()), "script/setup installs `cc`");
    library
}
