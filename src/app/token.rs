//! The admin token that `serve` makes if none is configured.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tracing::info;

use super::StartError;
use crate::clock;
use crate::secret::LiveSecret;

/// The file beside the embedded store that holds it.
pub const TOKEN_FILE: &str = "admin-token";

/// The token that is kept beside the store, made if there is none.
pub(super) fn kept(path: &Path) -> Result<LiveSecret, StartError> {
    let failed = |source| StartError::Token { path: path.display().to_string(), source };
    let owner_only = || fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed);
    if let Ok(token) = fs::read_to_string(path)
        && !token.trim().is_empty()
    {
        owner_only()?;
        info!(file = %path.display(), "the admin token is kept there");
        return Ok(LiveSecret::new(token.trim().to_owned().into()));
    }
    let token = clock::new_token();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    // A file that was there already keeps its mode.
    owner_only()?;
    file.write_all(token.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
    info!(file = %path.display(), "an admin token was made and is kept there");
    Ok(LiveSecret::new(token.into()))
}
