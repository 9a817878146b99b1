//! Web addresses, as several sections of the configuration have them.

use url::Url;

/// An address that can be called. A login in it is refused, since logs show addresses.
pub(super) fn web_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// A web address to which paths are added.
pub(super) fn base_address(text: &str) -> Option<Url> {
    web_address(text).filter(|url| url.query().is_none() && url.fragment().is_none())
}
