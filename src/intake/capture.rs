//! Saves the token that a source's first delivery carries. Never overwrites an existing file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::files::Reading;

/// Far more than any token has.
const TOKEN_BYTES_MAX: u64 = 65_536;

/// The result of saving a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenResult {
    /// It is in the file, or was already.
    Saved,
    /// The file holds something else, and was left alone.
    Other,
}

/// How long saving a token may take, and how long it may wait for another one: far more than any disk needs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Saves a source's tokens, one at a time. Anybody can offer one, so a file system that does not answer must not block a
/// thread for each.
#[derive(Clone, Default)]
pub(super) struct Keeper(Arc<Mutex<Option<Reading>>>);

impl Keeper {
    /// Writes the token to the file, atomically and readable only by its owner.
    pub(super) async fn keep(&self, file: PathBuf, token: SecretString) -> io::Result<TokenResult> {
        self.within(PATIENCE, file, token).await
    }

    async fn within(&self, patience: Duration, file: PathBuf, token: SecretString) -> io::Result<TokenResult> {
        let mut reading = timeout(patience, self.0.clone().lock_owned()).await.map_err(|_| io::ErrorKind::TimedOut)?;
        let saved = tokio::task::spawn_blocking(move || {
            keep(&file, &token, reading.get_or_insert_with(|| Reading::of(&file, TOKEN_BYTES_MAX)))
        });
        let saved = timeout(patience, saved).await.map_err(|_| io::ErrorKind::TimedOut)?;
        saved.unwrap_or_else(|_| Err(io::Error::other("the process is stopping")))
    }
}

fn keep(file: &Path, token: &SecretString, reading: &mut Reading) -> io::Result<TokenResult> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", crate::clock::new_token()));
    let draft = file.with_file_name(name);
    let written = write(&draft, token.expose_secret().as_bytes());
    // A link, unlike a rename, never replaces what is there.
    let linked = written.and_then(|()| fs::hard_link(&draft, file));
    let removed = fs::remove_file(&draft);
    match linked {
        Ok(()) => removed.and_then(|()| sync_folder(file)).map(|()| TokenResult::Saved),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = reading.again()?;
            let same: bool = there.trim_ascii_end().ct_eq(token.expose_secret().as_bytes()).into();
            Ok(if same { TokenResult::Saved } else { TokenResult::Other })
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
    fn a_token_is_saved_for_its_owner_only_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let (one, two) = (SecretString::from("token-one"), SecretString::from("token-two"));
        let keep =
            |file: &Path, token: &SecretString| super::keep(file, token, &mut Reading::of(file, TOKEN_BYTES_MAX));
        assert_eq!(keep(&file, &one).unwrap(), TokenResult::Saved);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keep(&file, &one).unwrap(), TokenResult::Saved);
        assert_eq!(keep(&file, &two).unwrap(), TokenResult::Other);
        assert_eq!(fs::read(&file).unwrap(), b"token-one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(keep(&folder.path().join("missing/token"), &one).is_err());
    }

    #[tokio::test]
    async fn keeping_a_token_waits_a_limited_time_for_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let keeper = Keeper::default();
        let offer = async |token: &str| {
            keeper.within(Duration::from_millis(200), file.clone(), SecretString::from(token)).await
        };
        let before = keeper.0.clone().lock_owned().await;
        assert_eq!(offer("token-one").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(!file.exists(), "no thread was begun for it");
        drop(before);
        assert_eq!(offer("token-two").await.unwrap(), TokenResult::Saved);
        assert_eq!(offer("token-three").await.unwrap(), TokenResult::Other);
    }
}
