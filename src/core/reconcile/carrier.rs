//! How a change is sent.

/// How a change is sent: as a PATCH, or as a PUT of the whole resource.
#[derive(Clone, PartialEq, Eq)]
pub enum Carrier {
    /// As a PATCH of what changes.
    Patch,
    /// As a PUT of the whole resource (a member, or a group), for a target without PATCH.
    Put {
        /// The JSON that replaces what was read.
        body: String,
        /// `If-Match`, if a version was read.
        if_match: Option<String>,
    },
}
