//! Keeps the token that a source's first delivery carries. Never overwrites an existing file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::files;

/// Far more than a token has.
const TOKEN_BYTES_MAX: u64 = 65_536;

/// The result of keeping a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is in the file, or was already.
    Kept,
    /// The file holds something else, and was left alone.
    Other,
}

/// Writes the token to the file, atomically and readable only by its owner. Blocks.
pub(super) fn keep(file: &Path, token: &SecretString) -> io::Result<Kept> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", crate::clock::new_token()));
    let draft = file.with_file_name(name);
    let written = write(&draft, token.expose_secret().as_bytes());
    // A link, unlike a rename, never replaces what is there.
    let linked = written.and_then(|()| fs::hard_link(&draft, file));
    let removed = fs::remove_file(&draft);
    match linked {
        Ok(()) => removed.and_then(|()| sync_folder(file)).map(|()| Kept::Kept),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = files::read(file, TOKEN_BYTES_MAX)?;
            let same: bool = there.trim_ascii_end().ct_eq(token.expose_secret().as_bytes()).into();
            Ok(if same { Kept::Kept } else { Kept::Other })
        }
        Err(error) => Err(error),
    }
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_kept_for_its_owner_only_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let (one, two) = (SecretString::from("token-one"), SecretString::from("token-two"));
        assert_eq!(keep(&file, &one).unwrap(), Kept::Kept);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keep(&file, &one).unwrap(), Kept::Kept);
        assert_eq!(keep(&file, &two).unwrap(), Kept::Other);
        assert_eq!(fs::read(&file).unwrap(), b"token-one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(keep(&folder.path().join("missing/token"), &one).is_err());
    }
}
