//! How holds are stored. What this version cannot read is kept unchanged, and counts as a hold.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{Hold, HoldScope, Holds, Lifted};
use crate::core::code::Code;
use crate::core::time::UnixMs;

/// How much is kept of a document that cannot be read at all: more than any has.
const UNREAD_BYTES_MAX: usize = 65_536;

pub(super) fn read_each<'de, D: Deserializer<'de>>(stored: D) -> Result<Vec<Hold>, D::Error> {
    let read = |value: Value| Hold::deserialize(&value).unwrap_or_else(|_| Hold::unreadable(value));
    Ok(Vec::<Value>::deserialize(stored)?.into_iter().map(read).collect())
}

/// Only pauses depend on these: unreadable ones are left out.
pub(super) fn read_known<'de, D: Deserializer<'de>>(stored: D) -> Result<Vec<Lifted>, D::Error> {
    let stored = Value::deserialize(stored)?;
    Ok(stored.as_array().into_iter().flatten().filter_map(|value| Lifted::deserialize(value).ok()).collect())
}

pub(super) fn write_each<S: Serializer>(holds: &[Hold], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Stored<'a> {
        Unread(&'a Value),
        Read(&'a Hold),
    }
    to.collect_seq(holds.iter().map(|hold| hold.unread.as_ref().map_or(Stored::Read(hold), Stored::Unread)))
}

impl Hold {
    /// A stored hold that cannot be read: of a newer version, or damaged. It must not count as no hold, so
    /// whatever it may be meant for waits.
    pub(super) fn unreadable(unread: Value) -> Self {
        let scope = unread.get("scope").and_then(Value::as_str).and_then(HoldScope::parse);
        let since = unread.get("since").and_then(Value::as_i64).map(UnixMs).unwrap_or_default();
        let hold = Self::new(scope.unwrap_or(HoldScope::All), Code::HoldUnreadable, since);
        Self { unread: Some(unread), ..hold }
    }
}

impl Holds {
    /// Reads the document. An unreadable part becomes a hold that only an operator lifts.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        let stored = serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
        stored.and_then(|stored| Self::deserialize(stored).ok()).unwrap_or_else(|| {
            let kept = &bytes[..bytes.len().min(UNREAD_BYTES_MAX)];
            let text = String::from_utf8_lossy(kept).into_owned();
            Self { holds: vec![Hold::unreadable(Value::String(text))], ..Self::default() }
        })
    }
}
