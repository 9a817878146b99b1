//! The payload that a command is given: a file, or standard input.

use std::io::Read;
use std::path::Path;

use super::failure::Failure;

/// Reads the file; `-` is standard input, the easiest way to pass a payload into a container without a shell.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file == Path::new("-") {
        let mut body = Vec::new();
        return match std::io::stdin().read_to_end(&mut body) {
            Ok(_) => Ok(body),
            Err(error) => Err(Failure::failed(format!("standard input cannot be read: {error}"))),
        };
    }
    std::fs::read(file).map_err(|error| {
        let action = "Check the path, as this process sees it (in a container: its own files), or give `-` and the content on standard input.";
        Failure::advise(format!("{} cannot be read: {error}", file.display()), action)
    })
}
