//! How a change is sent.

/// How a change of one attribute is sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Carrier {
    /// As a PATCH of that attribute.
    Patch,
    /// As a PUT of the whole member, for a target without PATCH.
    Put {
        /// The JSON that replaces what was read.
        body: String,
        /// `If-Match`, if a version was read.
        if_match: Option<String>,
    },
}
