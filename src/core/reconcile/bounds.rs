//! How long an attribute of a reply may be, for users and groups alike.

/// Longest `id` that is accepted: percent-encoded, it still fits into a URL.
pub(super) const ID_BYTES_MAX: usize = 16 * 1024;
/// Longest version that is sent back: a header has to hold it.
pub(super) const VERSION_BYTES_MAX: usize = 1024;
