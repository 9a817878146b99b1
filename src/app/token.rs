//! The admin token that `serve` makes if none is configured.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tracing::{info, warn};

use super::StartError;
use crate::clock;
use crate::config::{Config, StoreUrl};
use crate::secret::LiveSecret;

/// The file beside the embedded store that holds it.
pub const TOKEN_FILE: &str = "admin-token";
/// The key that could be set instead.
const KEY: &str = "server.admin_token";

/// The admin token, and the file that keeps it if it is not configured.
pub(super) fn admin(config: &Config) -> Result<(LiveSecret, Option<KeptToken>), StartError> {
    match (&config.server.admin_token, &config.store.url) {
        (Some(token), _) => Ok((token.clone(), None)),
        (None, StoreUrl::Embedded { dir }) => {
            let path = dir.join(TOKEN_FILE);
            let token = kept(&path)?;
            Ok((token.clone(), Some(KeptToken { path, token })))
        }
        (None, StoreUrl::Redis(_)) => {
            if config.server.tokens.is_empty() {
                warn!("no `[server] admin_token` is set, so API and console stay closed; health and metrics need none");
            }
            Ok((LiveSecret::new(clock::new_token().into()), None))
        }
    }
}

/// The token that is kept beside the store, made if there is none.
fn kept(path: &Path) -> Result<LiveSecret, StartError> {
    let failed = |source| StartError::Token { path: path.display().to_string(), source };
    if let Ok(token) = fs::read_to_string(path)
        && !token.trim().is_empty()
    {
        owner_only(path).map_err(failed)?;
        info!(file = %path.display(), "the admin token is kept there");
        return Ok(LiveSecret::new(token.trim().to_owned().into()));
    }
    let token = clock::new_token();
    write(path, &token).map_err(failed)?;
    info!(file = %path.display(), "an admin token was made and is kept there");
    Ok(LiveSecret::new(token.into()))
}

fn write(path: &Path, token: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    owner_only(path)?;
    let written = file.write_all(token.as_bytes()).and_then(|()| file.write_all(b"\n"));
    // Half a token would be taken for one.
    written.inspect_err(|_| drop(fs::remove_file(path)))
}

/// A file that was there already keeps its mode.
fn owner_only(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// A token that is kept in a file: commands read it there, so it is written again where somebody removes it.
#[derive(Debug, Clone)]
pub(super) struct KeptToken {
    path: PathBuf,
    token: LiveSecret,
}

impl KeptToken {
    /// Writes the token again if its file is gone. If that fails: the key that may be set instead, and the problem.
    pub(super) fn tend(&self) -> Option<(String, String)> {
        let shown = self.path.display();
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) | Err(_) => return None,
        }
        match write(&self.path, self.token.current().expose_secret()) {
            Ok(()) => {
                warn!(file = %shown, "the file of the admin token was gone, and is written again");
                None
            }
            Err(error) => Some((
                KEY.to_owned(),
                format!("file `{shown}`, where commands read the token, is gone and cannot be written again: {error}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_token_file_is_rewritten_for_its_owner_only_or_the_failure_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TOKEN_FILE);
        let kept = KeptToken { token: kept(&path).unwrap(), path };
        let there = || fs::read_to_string(&kept.path).unwrap();
        let first = there();
        fs::remove_file(&kept.path).unwrap();
        assert_eq!(kept.tend(), None);
        assert_eq!(there(), first);
        assert_eq!(fs::metadata(&kept.path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&kept.path, "another").unwrap();
        assert_eq!((kept.tend(), there().as_str()), (None, "another"), "an operator's doing");
        fs::remove_dir_all(folder.path()).unwrap();
        let (key, problem) = kept.tend().unwrap();
        assert!(key == "server.admin_token" && problem.contains("cannot be written again"), "{problem}");
    }
}
