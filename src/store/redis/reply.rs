//! Reads the answers of scripts. An answer with an unexpected shape is damage; its content is never shown, since it
//! may be personal data.

use deadpool_redis::redis::Value;

use crate::core::person::PersonId;
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;
use crate::store::StoreError;

/// A field and its value, or a member and its score.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// A list's elements, read one after the other.
pub(super) struct ScriptReply(std::vec::IntoIter<Value>);

pub(super) fn unexpected(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} cannot be parsed"))
}

impl ScriptReply {
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

    /// A list; an empty one if there is nothing.
    pub(super) fn list(&mut self) -> Result<Self, StoreError> {
        match self.next()? {
            Value::Nil => Self::of(Value::Array(Vec::new())),
            value => Self::of(value),
        }
    }

    /// The rest, as lists.
    pub(super) fn lists(self) -> impl Iterator<Item = Result<Self, StoreError>> {
        self.0.map(Self::of)
    }

    /// The rest, as bytes.
    pub(super) fn all_bytes(self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0.map(bytes_of).collect()
    }

    /// The rest, as pairs.
    pub(super) fn pairs(self) -> Result<Vec<Pair>, StoreError> {
        let mut rest = self.all_bytes()?.into_iter();
        Ok(std::iter::from_fn(|| Some((rest.next()?, rest.next()?))).collect())
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        bytes_of(self.next()?)
    }

    /// Bytes, or none if there is nothing.
    pub(super) fn optional(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next()? {
            Value::Nil => Ok(None),
            value => bytes_of(value).map(Some),
        }
    }

    pub(super) fn number(&mut self) -> Result<i64, StoreError> {
        number_of(&self.next()?)
    }

    /// A number, or none if there is nothing.
    pub(super) fn optional_number(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next()? {
            Value::Nil => Ok(None),
            Value::BulkString(text) if text.is_empty() => Ok(None),
            value => number_of(&value).map(Some),
        }
    }

    /// A count; 0 if there is nothing.
    pub(super) fn count(&mut self) -> Result<u64, StoreError> {
        Ok(self.optional_number()?.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    pub(super) fn time(&mut self) -> Result<UnixMs, StoreError> {
        self.number().map(UnixMs)
    }

    pub(super) fn person(&mut self) -> Result<PersonId, StoreError> {
        person_of(&self.bytes()?)
    }
}

pub(super) fn text_of(bytes: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(bytes).map_err(|_| unexpected("a text"))
}

pub(super) fn number_of(value: &Value) -> Result<i64, StoreError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::BulkString(text) => parsed(text),
        // A Lua 5.1 number that is not whole, or a score in RESP3.
        Value::Double(number) => parsed(format!("{number}").as_bytes()),
        _ => Err(unexpected("a number")),
    }
}

/// A number that is written as text.
pub(super) fn parsed(text: &[u8]) -> Result<i64, StoreError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(|| unexpected("a number"))
}

/// Reads the 16 bytes of an id.
pub(super) fn id_of(bytes: &[u8]) -> Result<JobId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| unexpected("a job's id"))?;
    Ok(JobId(u128::from_be_bytes(bytes)))
}

/// Reads the ids of a remembered delivery, and the hash of what it said: the 4 bytes after them.
pub(super) fn remembered_of(bytes: &[u8]) -> Result<(Vec<JobId>, Option<u32>), StoreError> {
    let (ids, says) = bytes.split_at(bytes.len() - bytes.len() % 16);
    Ok((ids_of(ids)?, says.try_into().ok().map(u32::from_be_bytes)))
}

/// Reads the 16 bytes of each of several ids.
pub(super) fn ids_of(bytes: &[u8]) -> Result<Vec<JobId>, StoreError> {
    bytes.chunks(16).map(id_of).collect()
}

/// Reads the 8 bytes of a person's number.
pub(super) fn person_of(bytes: &[u8]) -> Result<PersonId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| unexpected("a person's number"))?;
    Ok(PersonId(u64::from_be_bytes(bytes)))
}

fn bytes_of(value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        _ => Err(unexpected("a text")),
    }
}
