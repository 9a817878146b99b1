//! How a document is stored, and which version can read it.

use serde::Deserialize;

use super::Document;

/// The newest document format that this version reads: the one with a start that was moved, or with late statuses. A
/// version that does not know them would forget the start, or call a leaver employed.
pub const FORMAT: u32 = 4;
/// The format with early statements on employment. A version that does not know them would switch people off before
/// their day.
const FORMAT_WITH_EARLY: u32 = 3;
/// The format with scope in the record. A version that does not know scope would switch people on who are out of it.
const FORMAT_WITH_SCOPE: u32 = 2;
/// The format of all other documents.
pub(super) const FORMAT_WITHOUT_SCOPE: u32 = 1;

/// Why a document cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is damaged.
    #[error("the person's document is damaged")]
    Damaged,
    /// A newer version wrote it.
    #[error("the person's document has format {format}, this version knows up to {FORMAT}")]
    Newer {
        /// Its format.
        format: u32,
    },
}

impl Document {
    /// The form in which it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of strings and numbers always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// Why it cannot be read: damaged, or of a newer format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        match serde_json::from_slice::<Format>(bytes) {
            Ok(Format { format }) if format > FORMAT => Err(Unreadable::Newer { format }),
            Ok(_) => serde_json::from_slice(bytes).map_err(|_| Unreadable::Damaged),
            Err(_) => Err(Unreadable::Damaged),
        }
    }

    pub(super) fn note_format(&mut self) {
        let has_early = self.record.employment.words().iter().any(|word| word.is_early);
        let is_derived = !self.record.moved.is_empty() || !self.record.late_statuses.is_empty();
        self.format = match (has_early, self.record.scope.is_empty()) {
            _ if is_derived => FORMAT,
            (true, _) => FORMAT_WITH_EARLY,
            (false, false) => FORMAT_WITH_SCOPE,
            (false, true) => FORMAT_WITHOUT_SCOPE,
        };
    }
}
