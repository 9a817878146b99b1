//! What scripts answer, piece by piece. An answer that is not of the shape that our own script makes
//! is damage; its content is not told: it may be personal data.

use deadpool_redis::redis::Value;

use crate::core::job::JobId;
use crate::core::time::UnixMs;
use crate::store::StoreError;

/// A list's elements, taken one after the other.
pub(super) struct Reply(std::vec::IntoIter<Value>);

pub(super) fn unexpected(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} does not read back"))
}

impl Reply {
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            _ => Err(unexpected("an answer of the store's script")),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    fn next(&mut self) -> Result<Value, StoreError> {
        self.0.next().ok_or_else(|| unexpected("a short answer of the store's script"))
    }

    pub(super) fn list(&mut self) -> Result<Self, StoreError> {
        Self::of(self.next()?)
    }

    /// The rest, each a list.
    pub(super) fn lists(self) -> impl Iterator<Item = Result<Self, StoreError>> {
        self.0.map(Self::of)
    }

    /// The rest, each bytes.
    pub(super) fn all_bytes(self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0.map(bytes_of).collect()
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        bytes_of(self.next()?)
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        text_of(self.next()?)
    }

    /// A text of which the rest is worth reading where a part is damaged.
    pub(super) fn lossy_text(&mut self) -> Result<String, StoreError> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn number(&mut self) -> Result<i64, StoreError> {
        number_of(&self.next()?)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, StoreError> {
        u64::try_from(self.number()?).map_err(|_| unexpected("a negative number"))
    }

    pub(super) fn time(&mut self) -> Result<UnixMs, StoreError> {
        self.number().map(UnixMs)
    }

    /// A time, or none where the text is empty.
    pub(super) fn optional_time(&mut self) -> Result<Option<UnixMs>, StoreError> {
        match self.next()? {
            Value::BulkString(text) if text.is_empty() => Ok(None),
            value => number_of(&value).map(|ms| Some(UnixMs(ms))),
        }
    }

    pub(super) fn id(&mut self) -> Result<JobId, StoreError> {
        id_of(&self.bytes()?)
    }
}

pub(super) fn text_of(value: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes_of(value)?).map_err(|_| unexpected("a text"))
}

pub(super) fn number_of(value: &Value) -> Result<i64, StoreError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::BulkString(text) => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(|| unexpected("a number"))
        }
        _ => Err(unexpected("a number")),
    }
}

/// Reads the 16 bytes of an id.
pub(super) fn id_of(bytes: &[u8]) -> Result<JobId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| unexpected("a job's id"))?;
    Ok(JobId(u128::from_be_bytes(bytes)))
}

fn bytes_of(value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(unexpected("a text")),
    }
}
