//! How a change is sent.

/// How a change of one attribute goes out.
#[derive(Clone, PartialEq, Eq)]
pub enum Carrier {
    /// As a PATCH of that attribute.
    Patch,
    /// As a PUT of the whole, where the target knows no PATCH.
    Put {
        /// The JSON that replaces what was read.
        body: String,
        /// `If-Match`, where a version was read.
        if_match: Option<String>,
    },
}
