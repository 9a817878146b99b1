//! Dead letters about fields of a record that could not be used, while the rest of it took effect.

use serde::{Deserialize, Serialize};

use super::fact::Stamp;
use super::job::JobId;

/// A dead letter about fields of a record whose other fields took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its id.
    pub id: JobId,
    /// Which fields.
    pub fields: Vec<String>,
}

impl Letter {
    /// A letter that a later value of each of these fields answers; none if there is a field of another kind, such as a date
    /// of employment.
    #[must_use]
    pub fn of(id: JobId, fields: &[&str]) -> Option<Self> {
        let is_answerable = |field: &&str| matches!(*field, "email" | "given_name" | "family_name");
        let is_one = !fields.is_empty() && fields.iter().all(is_answerable);
        is_one.then(|| Self { id, fields: fields.iter().map(|field| (*field).to_owned()).collect() })
    }
}

/// A dead letter about fields of a record, with that record's place in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLetter {
    /// The dead letter.
    #[serde(flatten)]
    pub letter: Letter,
    /// When HR stated what could not be used.
    #[serde(flatten)]
    pub stamp: Stamp,
}
