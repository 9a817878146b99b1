//! Numbers as SQLite has them, and counts by word.

use std::collections::BTreeMap;

/// A number as SQLite has it. All that are stored are below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Adds to a count, or subtracts from it.
pub(super) fn count(tally: &mut BTreeMap<String, u64>, name: &str, by: i64) {
    if let Some(number) = tally.get_mut(name) {
        *number = number.saturating_add_signed(by);
        if *number == 0 {
            tally.remove(name);
        }
    } else if by > 0 {
        tally.insert(name.to_owned(), by.unsigned_abs());
    }
}
