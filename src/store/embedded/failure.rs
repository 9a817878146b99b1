//! What SQLite's errors mean to the store. Texts are built without values: a row may hold personal data.

use rusqlite::ErrorCode;

use crate::core::job::JobId;
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
                format!("column {column} ({kind}) does not read back")
            }
            other => other.to_string(),
        };
        if damaged { Self::Damaged(text) } else { Self::Unavailable(text) }
    }
}

/// A job's column that does not read back.
pub(super) fn unreadable(id: JobId, column: &'static str) -> StoreError {
    StoreError::Damaged(format!("job {id}: its {column} does not read back"))
}

/// The same error once more: every command of a failed batch is told.
pub(super) fn repeated(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(text) => StoreError::Unavailable(text.clone()),
        StoreError::InUse { path } => StoreError::InUse { path: path.clone() },
        StoreError::NewerSchema { found, known } => StoreError::NewerSchema { found: *found, known: *known },
        StoreError::Damaged(text) => StoreError::Damaged(text.clone()),
        StoreError::Trouble { code, detail } => StoreError::Trouble { code: *code, detail: detail.clone() },
    }
}
