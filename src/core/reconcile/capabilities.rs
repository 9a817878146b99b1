//! What a SCIM provider says it can do.

use super::json;

/// What a provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// `patch.supported`; if it is not, changes go out as PUT of what was read.
    pub patch: bool,
    /// `filter.supported`; if it is not, members are paged through.
    pub filter: bool,
    /// `etag.supported`; if it is not, no `If-Match` is sent.
    pub etag: bool,
}

impl Capabilities {
    /// Postman's. A version is sent if one was read, whatever Postman's configuration says.
    pub const POSTMAN: Self = Self { patch: true, filter: true, etag: true };
    /// For a provider that does not say. PATCH is optional (RFC 7644 §3.2), so it is not used; a filter is tried, and
    /// `If-Match` is sent if a version was read.
    pub const UNTOLD: Self = Self { patch: false, filter: true, etag: true };

    /// The capabilities in a `/ServiceProviderConfig` (RFC 7643 §5). None if the body is not one: `patch` is required
    /// in it.
    #[must_use]
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let [patch, filter, etag] = json::pick(json::document(body)?, ["patch", "filter", "etag"])?;
        let is_supported = |feature| {
            let [supported] = json::pick(feature, ["supported"])?;
            Some(supported?.get() == "true")
        };
        Some(Self {
            patch: is_supported(patch?).unwrap_or(Self::UNTOLD.patch),
            filter: filter.and_then(is_supported).unwrap_or(Self::UNTOLD.filter),
            etag: etag.and_then(is_supported).unwrap_or(Self::UNTOLD.etag),
        })
    }
}
