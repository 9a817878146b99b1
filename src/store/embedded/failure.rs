//! What SQLite's errors mean to the store. Texts are built without values: a row may hold personal data.

use rusqlite::ErrorCode;

use crate::store::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let damaged = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => matches!(
                failure.code,
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
            ),
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows => true,
            _ => false,
        };
        // A conversion's inner error may quote the value.
        let text = match &error {
            rusqlite::Error::FromSqlConversionFailure(column, kind, _) => {
                format!("column {column} ({kind}) cannot be parsed")
            }
            other => other.to_string(),
        };
        if damaged { Self::Damaged(text) } else { Self::Unavailable(text) }
    }
}

/// A person's column that cannot be parsed.
pub(super) fn unreadable(person: i64, column: &'static str) -> StoreError {
    StoreError::Damaged(format!("person number {person:016x}: their {column} cannot be parsed"))
}
